"""A column of no value in its sample fits a comparison, and is text where none needs it."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kalla_core.errors import SourceUnreadable
from kalla_core.evidence.names import UNMATCHED
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.source_format import SignedAmount, SourceFormat
from kalla_core.sources.csv import sample
from kalla_core.validate import validate_recipe
from tests.support.cluster_runs import run_on
from tests.support.runs import run_in_process
from tests.support.small_executor import small_cluster

LESS = "(r.debit IS NULL OR r.debit < l.amount)"
SUMS = "abs(coalesce(r.debit, 1.5)) < l.amount"
FILES = 3
ROWS = 20


def recipe_of(
    folder: Path, kind: str, on: str = LESS, values: Mapping[int, str] | None = None
) -> Recipe:
    """Two sides of 60 rows; the right one in files of the kind, its debits empty but for some.

    Args:
        values: of `debit`, by the number of the row.
    """
    header, right = "id,ref,debit", folder / "right"
    right.mkdir()
    rows = [f"{n},K{n},{(values or {}).get(n, '')}" for n in range(FILES * ROWS)]
    pieces = [rows] if kind == "file" else [rows[n * ROWS : (n + 1) * ROWS] for n in range(FILES)]
    for number, piece in enumerate(pieces):
        data = "\n".join([header, *piece, ""]).encode()
        if kind == "gzip":
            (right / f"{number}.csv.gz").write_bytes(gzip.compress(data))
        else:
            (right / f"{number}.csv").write_bytes(data)
    lines = [f"{n},K{n},{n}.50" for n in range(FILES * ROWS)]
    (folder / "left.csv").write_text("\n".join(["id,ref,amount", *lines, ""]))
    sides = {"l": "left.csv", "r": "right"}
    return parse_recipe(
        {
            "recipe_id": "empty",
            "name": "Empty",
            "match_sql": f"SELECT l.id, r.id AS rid FROM l JOIN r ON l.ref = r.ref AND {on}",
            "sources": {
                side: {"alias": name, "type": "file", "uri": uri, "primary_key": ["id"]}
                for side, (name, uri) in zip(("left", "right"), sides.items(), strict=True)
            },
            "options": {"partitions": 2},
        },
        folder,
    )


@pytest.fixture
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small files be larger than their samples."""
    monkeypatch.setattr(sample, "HEAD_BYTES", 100)
    monkeypatch.setattr(sample, "WINDOW_BYTES", 10)


@pytest.mark.usefixtures("small_samples")
@pytest.mark.parametrize("kind", ["file", "folder", "gzip"])
@pytest.mark.parametrize(("on", "matched"), [(LESS, FILES * ROWS), (SUMS, FILES * ROWS - 2)])
def test_an_empty_column_that_is_longer_than_its_sample_goes_with_numbers(
    tmp_path: Path, kind: str, on: str, matched: int
) -> None:
    recipe = recipe_of(tmp_path, kind, on)

    found = validate_recipe(recipe)
    metadata = run_in_process(recipe, tmp_path / "out")

    assert found.faults == ()
    assert metadata.matched_count == matched


async def test_an_empty_column_goes_with_numbers_on_executors(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "gzip")

    async with small_cluster(tmp_path / "spools") as (dispatcher, _):
        metadata = await run_on(dispatcher, recipe, tmp_path / "out")

    assert metadata.matched_count == FILES * ROWS


def test_a_value_behind_the_sample_names_its_line_and_the_type_to_write(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "gzip", values={ROWS + 3: "12.50"})

    with pytest.raises(SourceUnreadable) as raised:
        run_in_process(recipe, tmp_path / "out")

    assert "1.csv.gz" in raised.value.message
    assert "line 5" in raised.value.message
    assert "`12.50` is the first value" in raised.value.message
    assert '"types": {"debit": "decimal(18,2)"}' in raised.value.message


def test_a_rare_value_is_text_where_the_match_sql_needs_no_type(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "gzip", "r.debit IS NULL", {ROWS + 3: "per memo"})

    run_in_process(recipe, tmp_path / "out")

    left_over = pq.read_table(tmp_path / "out" / UNMATCHED[Side.RIGHT])
    assert left_over.column("debit").to_pylist() == ["per memo"]


@pytest.mark.usefixtures("small_samples")
def test_an_amount_of_a_column_that_is_empty_in_its_sample_names_the_type_to_write(
    tmp_path: Path,
) -> None:
    recipe = recipe_of(tmp_path, "file")
    made = SourceFormat(amount=SignedAmount("total", credit="id", debit="debit"))
    asked = replace(recipe, right=replace(recipe.right, format=made))
    typed = replace(asked, right=replace(asked.right, types={"debit": "decimal(18,2)"}))

    (fault,) = validate_recipe(asked).faults

    assert '"types": {"debit": "decimal(18,2)"}' in fault.message
    assert validate_recipe(typed).faults == ()
