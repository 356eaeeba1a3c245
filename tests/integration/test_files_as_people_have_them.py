"""Small inputs as banks, ledgers and spreadsheets write them, each run as a user would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kalla_core.evidence.metadata import RunMetadata
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import parse_recipe
from tests.support.runs import run_in_process

LEFT = "id,ref,amount,d\n1,A1,1234.56,2026-05-12\n2,A2,9.00,2026-05-18\n3,A3,-950.00,2026-06-01\n"
WAYS: dict[str, dict[str, Any]] = {
    "in one": {},
    "in parts and buckets": {"partitions": 3, "buckets": 2},
}


def recipe_of(
    folder: Path, right: str | bytes, on: str, source: Mapping[str, Any], options: Mapping[str, Any]
) -> Recipe:
    """Return the recipe that matches `LEFT` with a file of the bytes given."""
    (folder / "left.csv").write_text(LEFT)
    (folder / "right.csv").write_bytes(right if isinstance(right, bytes) else right.encode())
    document = {
        "recipe_id": "files",
        "name": "Files",
        "match_sql": f"SELECT l.id AS lid, r.id AS rid FROM l JOIN r ON l.ref = r.ref AND {on}",
        "sources": {
            "left": {"alias": "l", "type": "file", "uri": "left.csv", "primary_key": ["id"]},
            "right": {
                "alias": "r",
                "type": "file",
                "uri": "right.csv",
                "primary_key": ["id"],
                **source,
            },
        },
        "options": dict(options),
    }
    return parse_recipe(document, folder)


def run(recipe: Recipe, folder: Path) -> tuple[RunMetadata, list[tuple[int, int]]]:
    """Return what a run says and which ids it matched."""
    metadata = run_in_process(recipe, folder / "out")
    rows = pq.read_table(folder / "out" / "matched.parquet").to_pylist()
    return metadata, sorted((row["lid"], row["rid"]) for row in rows)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("on", "matched"),
    [
        ("l.amount = coalesce(r.credit, 0) - coalesce(r.debit, 0)", [(1, 11), (2, 12)]),
        ("l.amount = coalesce(r.debit, r.credit)", [(1, 11), (2, 12)]),
        ("tolerance_match(l.amount, r.debit, 0.01)", []),
        ("l.amount = r.debit", []),
        ("date_within(l.d, r.debit, 3)", []),
        ("l.ref = r.debit", []),
        ("r.debit IS NULL AND NOT r.debit IS NOT NULL", [(1, 11), (2, 12)]),
        ("(r.debit > 0 OR upper(r.debit) = 'X' OR r.credit > 10)", [(1, 11)]),
    ],
)
def test_a_column_without_a_value_fits_whatever_it_meets(
    tmp_path: Path, on: str, matched: list[tuple[int, int]], way: str
) -> None:
    right = "id,ref,debit,credit\n11,A1,,1234.56\n12,A2,,9.00\n"

    _, pairs = run(recipe_of(tmp_path, right, on, {}, WAYS[way]), tmp_path)

    assert pairs == matched


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "on", ["tolerance_match(l.amount, r.amount, 0.01)", "l.amount = r.amount", "l.id = r.id"]
)
def test_a_file_of_nothing_but_a_header_leaves_every_row_unmatched(
    tmp_path: Path, on: str, way: str
) -> None:
    metadata, pairs = run(recipe_of(tmp_path, "id,ref,amount\n", on, {}, WAYS[way]), tmp_path)

    assert pairs == []
    assert (metadata.left.unmatched, metadata.right.records) == (3, 0)


def test_a_filter_on_a_column_without_a_value_keeps_no_row(tmp_path: Path) -> None:
    filters = [{"column": "debit", "op": "gt", "value": 5}]
    right = "id,ref,debit\n11,A1,\n12,A2,\n"

    metadata, pairs = run(recipe_of(tmp_path, right, "true", {"filters": filters}, {}), tmp_path)

    assert pairs == []
    assert metadata.right.excluded == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_null_word_with_a_slash_in_it_is_an_option(tmp_path: Path, way: str) -> None:
    right = "id,ref,amount\n11,A1,1234.56\n12,A2,N/A\n13,A3,N/A\n"
    on = "tolerance_match(l.amount, r.amount, 0.01)"
    source = {"uri": "right.csv?null=N/A"}

    _, pairs = run(recipe_of(tmp_path, right, on, source, WAYS[way]), tmp_path)

    assert pairs == [(1, 11)]
