"""Statements of banks are the same rows from a folder or a bucket, in parts, and in every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import SourceChanged
from kalla_core.recipe.model import Filter, FilterOp, Recipe
from kalla_core.recipe.parse import parse_recipe
from kalla_core.sources.registry import connector_for
from tests.support.cluster_runs import run_on
from tests.support.runs import run_in_process
from tests.support.s3 import s3_server, set_variables
from tests.support.small_executor import small_cluster
from tests.support.sources import file_spec, read_parts, read_table
from tests.unit.sources.banks.test_bai2 import WHOLE
from tests.unit.sources.banks.test_camt import balance, entry, statement
from tests.unit.sources.banks.test_mt940 import GERMAN, closed

CAMT = statement(
    balance("OPBD", "1.00"), balance("CLBD", "-5.50"), entry("1.00"), entry("7.50", "DBIT")
).replace("<Amt Ccy='EUR'>-5.50</Amt><CdtDbtInd>CRDT", "<Amt Ccy='EUR'>5.50</Amt><CdtDbtInd>DBIT")
KINDS: Mapping[str, tuple[str, str]] = {
    "bai2": ("ledger.bai2", WHOLE),
    "camt053": ("ledger.xml", CAMT),
    "mt940": ("ledger.sta", closed("1025,00", GERMAN, GERMAN)),
}

pytestmark = pytest.mark.parametrize("kind", KINDS)


def put(folder: Path, kind: str) -> Path:
    """Put two statements into a folder; the second follows in the same account."""
    name, text = KINDS[kind]
    path = folder / "statements"
    path.mkdir()
    (path / f"1-{name}").write_text(text)
    (path / f"2-{name}").write_text(text)
    return path


def recipe_of(folder: Path, kind: str, **options: int) -> Recipe:
    rows = read_table(file_spec(folder / "statements")).to_pylist()
    lines = [f"{n},{row['amount']}" for n, row in enumerate(rows, 1) if n != 2]
    (folder / "books.csv").write_text("\n".join(["id,amount", *lines, ""]))
    document = {
        "recipe_id": "statements",
        "name": "Statements",
        "match_sql": "SELECT b.id FROM s JOIN b ON s.row_number = b.id AND s.amount = b.amount",
        "sources": {
            "left": {
                "alias": "s", "type": "file", "uri": "statements",
                "primary_key": ["row_number"], "format": {"row_number": "row_number"},
            },
            "right": {"alias": "b", "type": "file", "uri": "books.csv", "primary_key": ["id"]},
        },
        "options": options,
    }  # fmt: skip
    return parse_recipe(document, folder)


def test_a_bucket_and_any_number_of_parts_give_the_rows_of_the_folder(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, s3_server().environment())
    spec = file_spec(put(tmp_path, kind))
    bucket = s3_server().new_bucket()
    for file in sorted((tmp_path / "statements").iterdir()):
        bucket.put(f"in/{file.name}", file.read_bytes())
    expected = read_table(spec)

    for one in (spec, replace(spec, uri=f"s3://{bucket.name}/in/")):
        connector = connector_for(one)
        with connector.pin(one) as pinned:
            assert pinned.schema == expected.schema
            assert connector.preview(pinned, 1).equals(expected.slice(0, 1))
            for count in (1, 2, 5):
                assert pa.concat_tables(read_parts(connector, pinned, count)).equals(expected)
    assert expected.num_rows >= 4


def test_filters_keep_rows_and_a_change_is_found(tmp_path: Path, kind: str) -> None:
    path = put(tmp_path, kind)
    spec = file_spec(path)
    rows = read_table(spec).to_pylist()
    filtered = replace(spec, filters=(Filter("amount", FilterOp.GT, 2),))
    connector = connector_for(filtered)

    with connector.pin(filtered) as pinned:
        (part,) = connector.plan(pinned, 1)
        reader = connector.read(pinned, part)
        found = [row for batch in reader for row in batch.to_pylist()]

        assert found == [row for row in rows if row["amount"] > 2]
        assert reader.excluded_rows == len(rows) - len(found)
        first = sorted(path.iterdir())[0]
        first.write_text(first.read_text() + "\n")
        with pytest.raises(SourceChanged):
            connector.verify(pinned)


@pytest.mark.parametrize("options", [{}, {"partitions": 2, "buckets": 2}], ids=["one", "parts"])
def test_a_run_matches_its_entries(tmp_path: Path, kind: str, options: dict[str, int]) -> None:
    put(tmp_path, kind)
    recipe = recipe_of(tmp_path, kind, **options)

    run_in_process(recipe, tmp_path / "out")

    unmatched = pq.read_table(tmp_path / "out" / "unmatched_left.parquet")
    assert unmatched.column("row_number").to_pylist() == [2]


@pytest.mark.full
async def test_executors_match_its_entries(tmp_path: Path, kind: str) -> None:
    put(tmp_path, kind)
    recipe = recipe_of(tmp_path, kind, partitions=2, buckets=2)

    async with small_cluster(tmp_path / "spools") as (dispatcher, _):
        await run_on(dispatcher, recipe, tmp_path / "out")

    unmatched = pq.read_table(tmp_path / "out" / "unmatched_left.parquet")
    assert unmatched.column("row_number").to_pylist() == [2]
