"""Rows that come together, many in one, are those that come one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.errors import SourceUnreadable
from kalla_core.recipe.model import Filter, FilterOp
from kalla_core.sources.postgres import connector as connectors
from kalla_core.sources.postgres import statements
from kalla_core.sources.registry import connector_for
from tests.support.postgres import Database, new_database, sql_value
from tests.support.sources import read_table

COLUMNS = {
    "t": "text",
    "c": "char(3)",
    "j": "jsonb",
    "s": "smallint",
    "i": "integer",
    "b": "bigint",
    "n": "numeric(12,2)",
    "m": "money",
    "o": "oid",
    "day": "date",
    "at": "timestamp",
}
TEXTS = st.sampled_from(
    ["", " ", "\x01", "\x02", "\x02\x02", "a\x01b", "Łódź 🦊", "two\nlines", "'"]
)
WHOLE = st.sampled_from([0, 1, -1, -32768, 32767])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "t": TEXTS,
    "c": st.sampled_from(["", "a", "a b", "🦊"]),
    "j": st.sampled_from(["1", "null", '{"a": "b"}']),
    "s": WHOLE,
    "i": WHOLE | st.sampled_from([-(2**31), 2**31 - 1]),
    "b": WHOLE | st.sampled_from([-(2**63), 2**63 - 1]),
    "n": st.sampled_from(["0", "-0.01", "9999999999.99", "-9999999999.99", "1.5"]),
    "m": st.sampled_from(["0", "-92233720368547758.08", "1.25"]),
    "o": st.sampled_from([0, 4294967295]),
    "day": st.sampled_from(["1970-01-01", "0001-01-01", "4713-01-01 BC", "5874897-12-31"]),
    "at": st.sampled_from(["2000-01-01", "4713-01-01 BC", "2262-04-11 23:47:16.854775"]),
}


@pytest.fixture
def unbundled(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Return a list to which each bundle adds its rows, None if they cannot be told apart."""
    seen: list[int | None] = []
    take_apart = connectors.unbundled

    def counting(*args: Any) -> pa.RecordBatch | None:
        found = take_apart(*args)
        seen.append(None if found is None else found.num_rows)
        return found

    monkeypatch.setattr(connectors, "unbundled", counting)
    return seen


@pytest.fixture(scope="module")
def database() -> Database:
    made = new_database()
    made.run(f"CREATE TABLE ledger ({', '.join(f'{n} {kind}' for n, kind in COLUMNS.items())})")
    return made


ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), max_size=6
)


@given(rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_any_rows_are_those_that_are_read_one_by_one(
    database: Database, rows: list[dict[str, Any]]
) -> None:
    values = ", ".join(f"({', '.join(sql_value(row[name]) for name in COLUMNS)})" for row in rows)
    database.run("TRUNCATE ledger", f"INSERT INTO ledger VALUES {values}" if rows else "SELECT 1")
    spec = database.spec()

    together = read_table(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "can_be_bundled", lambda _: False)
        alone = read_table(spec)

    together.validate(full=True)
    assert together.equals(alone)
    assert together.num_rows == len(rows)


def test_blocks_come_in_bundles_in_their_order_filters_applied(
    unbundled: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "BUNDLE_BLOCKS", 3)
    database = new_database()
    database.run(
        "CREATE TABLE ledger AS SELECT n, CASE WHEN n % 3 > 0 THEN 'note ' || n END AS note"
        " FROM generate_series(1, 4000) n"
    )
    spec = replace(database.spec(), filters=(Filter("n", FilterOp.GT, 100),))

    connector = connector_for(spec)
    with connector.pin(spec) as pinned:
        batches = [b for p in connector.plan(pinned, 2) for b in connector.read(pinned, p, 250)]

    rows = [row for batch in batches for row in batch.to_pylist()]
    assert rows == [{"n": n, "note": f"note {n}" if n % 3 else None} for n in range(101, 4001)]
    assert max(batch.num_rows for batch in batches) <= 250
    assert len(unbundled) > 4
    assert sum(count or 0 for count in unbundled) == 3900


@pytest.mark.parametrize("odd", ["a\x01b", "\x02"], ids=["mark", "sign-for-null"])
def test_a_text_with_a_mark_in_it_lets_rows_be_read_one_by_one_from_there(
    unbundled: list[int | None], monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    monkeypatch.setattr(statements, "BUNDLE_BLOCKS", 1)
    database = new_database()
    database.run(
        "CREATE TABLE ledger AS SELECT n, NULLIF('note ' || n, 'note 1000') AS note"
        f" FROM generate_series(1, 1000) n UNION ALL SELECT 1001, {sql_value(odd)}",
    )

    notes = read_table(database.spec()).column("note").to_pylist()

    expected = [None if n == 1000 else f"note {n}" for n in range(1, 1001)]
    assert notes == [*expected, odd]
    assert len(unbundled) > 2
    assert [count is None for count in unbundled] == [False] * (len(unbundled) - 1) + [True]


def test_infinities_and_nan_are_told_as_of_rows_that_come_one_by_one(
    unbundled: list[int | None],
) -> None:
    database = new_database()
    for name, value in (
        ("above", "'infinity'::date"),
        ("below", "'-infinity'::timestamp"),
        ("none", "'NaN'::numeric(9,2)"),
    ):
        database.run(f"CREATE TABLE {name} AS SELECT {value} AS odd UNION ALL SELECT NULL")

        with pytest.raises(SourceUnreadable, match="`odd` holds"):
            read_table(database.spec(name))

    assert unbundled == [None, 2]


@pytest.mark.parametrize("count", [800, 801])
def test_as_many_columns_travel_together_as_a_query_can_select(
    unbundled: list[int | None], count: int
) -> None:
    database = new_database()
    names = ", ".join(f"c{n} smallint" for n in range(count))
    values = ", ".join(str(n) for n in range(count))
    database.run(f"CREATE TABLE ledger ({names})", f"INSERT INTO ledger VALUES ({values})")

    (row,) = read_table(database.spec()).to_pylist()

    assert list(row.values()) == list(range(count))
    assert unbundled == ([1] if count == 800 else [])


def test_values_that_lie_outside_their_blocks_do_not_travel_together(
    unbundled: list[int | None],
) -> None:
    database = new_database()
    database.run(
        "CREATE TABLE ledger (note text)",
        "ALTER TABLE ledger ALTER note SET STORAGE external",
        "INSERT INTO ledger SELECT repeat(n::text, 5000) FROM generate_series(1, 3) n",
    )

    notes = read_table(database.spec()).column("note").to_pylist()

    assert notes == [str(n) * 5000 for n in (1, 2, 3)]
    assert unbundled == []


def test_texts_that_are_packed_into_their_blocks_and_long_come_one_by_one(
    unbundled: list[int | None],
) -> None:
    database = new_database()
    database.run(
        "CREATE TABLE ledger AS SELECT repeat('a', 130000) || n AS note"
        " FROM generate_series(1, 300) n"
    )

    notes = read_table(database.spec()).column("note").to_pylist()

    assert notes == [f"{'a' * 130_000}{n}" for n in range(1, 301)]
    assert set(unbundled) == {None}
