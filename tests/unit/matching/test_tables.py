from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import ROW, MatchQuery, TableShape
from kalla_core.matching.sql.tables import (
    ArrowFile,
    TableData,
    register_shapes,
    register_tables,
    table_names,
)

SCHEMA = pa.schema([("id", pa.int64())])
BATCH = pa.RecordBatch.from_pydict({"id": [1, 2]}, schema=SCHEMA)


def query(left: str = "Invoices", right: str = "payments", *extras: str) -> MatchQuery:
    return MatchQuery(
        sql="",
        left=TableShape(left, SCHEMA, ("id",)),
        right=TableShape(right, SCHEMA, ("id",)),
        extras=tuple(TableShape(extra, SCHEMA) for extra in extras),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "name", ["left_src", "LEFT_SRC", "Invoices", "invoices", "INVOICES", '"Invoices"', '"invoices"']
)
def test_a_table_is_found_however_its_name_is_spelt(name: str) -> None:
    session = new_session()

    register_tables(session, query(), [BATCH], [], {})

    assert session.sql(f"SELECT * FROM {name}").count() == 2


@pytest.mark.parametrize("alias", ["fx rates", "a.b", "x.csv", 'q"q', "order", "Größe", "1st"])
def test_any_alias_is_found_in_quotes(alias: str) -> None:
    session = new_session()

    register_tables(session, query("l", "r", alias), [], [], {alias: [BATCH, BATCH]})

    quoted = '"' + alias.replace('"', '""') + '"'
    assert session.sql(f"SELECT * FROM {quoted}").count() == 4


@pytest.mark.parametrize("data", [[], (), ArrowFile(Path("not-there.arrow"), SCHEMA, rows=0)])
def test_a_table_may_be_empty(data: TableData) -> None:
    session = new_session()

    register_tables(session, query(), data, [BATCH], {})

    assert session.sql("SELECT id FROM left_src").to_arrow_table().schema.types == [pa.int64()]
    assert session.sql("SELECT id FROM left_src JOIN right_src USING (id)").count() == 0


def test_a_file_is_read_like_batches(tmp_path: Path) -> None:
    session, path = new_session(), tmp_path / "a b.spooled"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        writer.write_batch(BATCH)

    register_tables(session, query(), ArrowFile(path, SCHEMA, rows=2), [BATCH], {})

    assert session.sql("SELECT 1 FROM Invoices JOIN payments USING (id)").count() == 2


def test_a_file_may_be_read_without_its_last_column(tmp_path: Path) -> None:
    session, path = new_session(), tmp_path / "a.arrow"
    wide = BATCH.append_column(ROW, pa.array([7, 8], pa.uint64()))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, wide.schema) as writer:
        writer.write_batch(wide)
    whole = ArrowFile(path, wide.schema, rows=2)

    register_tables(session, query("l", "r"), whole.without(ROW), whole, {})

    assert session.sql("SELECT * FROM l").to_pydict() == {"id": [1, 2]}
    assert session.sql("SELECT * FROM r").to_pydict() == {"id": [1, 2], ROW: [7, 8]}


def test_only_the_two_sides_are_numbered() -> None:
    session = new_session()

    register_shapes(session, query("l", "r", "x"), numbered=True)

    columns = {name: session.table(name).schema().names for name in ("l", "right_src", "x")}
    assert columns == {"l": ["id", ROW], "right_src": ["id", ROW], "x": ["id"]}
    assert session.table("l").schema().field(ROW).type == pa.uint64()


@pytest.mark.parametrize(
    "names",
    [
        ("a", "a"),
        ("Fx", "fx"),
        ("right_src", "r"),
        ("l", "LEFT_SRC"),
        ("l", "r", "l"),
        ("l", "r", "x", "X"),
    ],
)
def test_two_tables_of_one_name_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidSql, match="Two tables have the alias"):
        table_names(query(*names))


def test_the_sides_may_be_called_what_they_are() -> None:
    names = table_names(query("left_src", "right_src"))

    assert names == {"left_src": 0, "right_src": 1}


def test_two_sides_of_one_shape_stay_two_tables() -> None:
    shape = TableShape("Same", SCHEMA, ("id",))
    twice = replace(query(), left=shape, right=shape)

    with pytest.raises(InvalidSql, match='alias "Same"'):
        table_names(twice)
