"""Rows of a table that are read once more: which the server sends, and which it does not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kalla_core.errors import SourceChanged, SourceUnreadable
from kalla_core.recipe.model import Filter, FilterOp
from kalla_core.sources.marked import Bools
from kalla_core.sources.postgres import statements
from kalla_core.sources.postgres.connector import PostgresConnector
from kalla_core.sources.protocol import PinnedSource
from kalla_core.sources.registry import connector_for
from tests.support.postgres import SPARSE, Database, new_database

ROWS = 1000


@pytest.fixture(scope="module")
def database() -> Database:
    made = new_database()
    made.run(
        "CREATE TABLE ledger (place0 int, gone int, numbered text, part numeric(12,2), note text)"
        f" {SPARSE}",
        "ALTER TABLE ledger DROP COLUMN gone",
        "INSERT INTO ledger SELECT n, NULLIF('number ' || n % 7, 'number 3'), n / 4.0,"
        f" repeat(n::text, 1000) FROM generate_series(1, {ROWS}) n",
        "DELETE FROM ledger WHERE place0 % 5 = 0",
    )
    return made


@pytest.fixture
def pinned(database: Database) -> Iterator[tuple[PostgresConnector, PinnedSource]]:
    spec = database.spec()
    connector = connector_for(spec)
    assert isinstance(connector, PostgresConnector)
    with connector.pin(spec) as held:
        yield connector, held


def picked(
    connector: PostgresConnector,
    pinned: PinnedSource,
    wanted: Bools,
    columns: Collection[str] | None = None,
) -> pa.Table:
    (part,) = connector.plan(pinned, 1)
    return pa.Table.from_batches(connector.pick(pinned, part, wanted, columns))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 1.0])
def test_any_share_of_the_rows_is_read_with_any_columns(
    pinned: tuple[PostgresConnector, PinnedSource], share: float
) -> None:
    connector, held = pinned
    chance = np.random.default_rng(3)

    for part in connector.plan(held, 3):
        whole = pa.Table.from_batches(connector.read(held, part), held.schema)
        wanted = chance.random(whole.num_rows) < share
        for columns in (None, ["note"], ["numbered", "part"], ["place0"]):
            expected = whole.filter(pa.array(wanted)).select(columns or held.schema.names)
            found = list(connector.pick(held, part, wanted, columns))

            assert pa.Table.from_batches(found, expected.schema).equals(expected)


def test_a_row_that_is_not_wanted_is_not_sent(database: Database) -> None:
    database.run(
        "CREATE TABLE dated AS SELECT n, CASE WHEN n = 2 THEN 'infinity'::date"
        " ELSE '2026-01-01'::date + n END AS day FROM generate_series(1, 6) n"
    )
    spec = database.spec("dated")
    connector = connector_for(spec)
    assert isinstance(connector, PostgresConnector)

    with connector.pin(spec) as held:
        found = picked(connector, held, np.arange(6) % 2 == 0, ["n"])
        days = picked(connector, held, np.arange(6) % 2 == 0, ["day"])
        with pytest.raises(SourceUnreadable, match="`day` holds an infinity"):
            picked(connector, held, np.arange(6) % 2 == 1, ["day"])

    assert found.column("n").to_pylist() == [1, 3, 5]
    assert len(days) == 3


def test_another_number_of_rows_than_flags_is_a_change(
    pinned: tuple[PostgresConnector, PinnedSource],
) -> None:
    connector, held = pinned
    there = ROWS - ROWS // 5

    for flags in (there - 1, there + 1):
        wanted = np.zeros(flags, dtype=np.bool_)
        wanted[-1] = True
        with pytest.raises(SourceChanged, match="1 rows were to be read once more"):
            picked(connector, held, wanted)


def test_a_table_is_read_by_column_and_a_view_is_not_computed_twice(database: Database) -> None:
    database.run("CREATE VIEW seen AS SELECT * FROM ledger")
    by_column = {}

    for name in ("ledger", "seen"):
        spec = database.spec(name)
        connector = connector_for(spec)
        assert isinstance(connector, PostgresConnector)
        with connector.pin(spec) as held:
            by_column[name] = connector.is_read_by_column(held)

    assert by_column == {"ledger": True, "seen": False}


@pytest.mark.parametrize("filters", [(), (Filter("code", FilterOp.LT, 300),)], ids=["all", "few"])
def test_rows_come_as_they_lie_also_where_an_index_has_them_in_another_order(
    monkeypatch: pytest.MonkeyPatch, filters: tuple[Filter, ...]
) -> None:
    monkeypatch.setattr(statements, "can_be_bundled", lambda _: False)
    database = new_database()
    database.run(
        "CREATE TABLE ledger AS SELECT code, repeat('note', 100) || code AS note"
        " FROM (SELECT 20000 - n FROM generate_series(1::bigint, 20000) n) AS t (code)",
        "CREATE INDEX ON ledger (code)",
        "VACUUM ANALYZE ledger",
    )
    spec = replace(database.spec(), filters=filters)
    connector = connector_for(spec)
    assert isinstance(connector, PostgresConnector)

    with connector.pin(spec) as held:
        (part,) = connector.plan(held, 1)
        codes = pa.Table.from_batches(connector.read(held, part, columns=["code"]))
        wanted = np.arange(len(codes)) % 7 < 2
        notes = picked(connector, held, wanted, ["note"])

    found = codes.column("code").to_pylist()
    assert found == sorted(found, reverse=True)
    chosen = codes.filter(pa.array(wanted)).column("code").to_pylist()
    assert notes.column("note").to_pylist() == [f"{'note' * 100}{code}" for code in chosen]
