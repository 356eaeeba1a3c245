"""Values of every type, there and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidType, SourceUnreadable, UnknownColumn
from kalla_core.sources.registry import connector_for
from tests.support.postgres import Database, new_database
from tests.support.sources import read_table

UTC_US = pa.timestamp("us", tz="UTC")

EXACT: list[tuple[str, list[str], pa.DataType, list[Any]]] = [
    ("boolean", ["true", "false"], pa.bool_(), [True, False]),
    ("smallint", ["-32768", "32767"], pa.int16(), [-32768, 32767]),
    ("integer", ["-2147483648", "2147483647"], pa.int32(), [-(2**31), 2**31 - 1]),
    ("bigint", ["-9223372036854775808", "9223372036854775807"], pa.int64(), [-(2**63), 2**63 - 1]),
    ("real", ["1.5", "Infinity", "-Infinity"], pa.float32(), [1.5, float("inf"), -float("inf")]),
    ("double precision", ["0.1", "-Infinity"], pa.float64(), [0.1, -float("inf")]),
    ("oid", ["0", "4294967295"], pa.int64(), [0, 2**32 - 1]),
    (
        "numeric(18,2)",
        ["9999999999999999.99", "-9999999999999999.99", "0.01"],
        pa.decimal128(18, 2),
        [Decimal("9999999999999999.99"), Decimal("-9999999999999999.99"), Decimal("0.01")],
    ),
    (
        "numeric(38,10)",
        ["9999999999999999999999999999.9999999999", "-0.0000000001"],
        pa.decimal128(38, 10),
        [Decimal("9999999999999999999999999999.9999999999"), Decimal("-0.0000000001")],
    ),
    ("numeric(50,2)", ["9" * 48 + ".25"], pa.decimal256(50, 2), [Decimal("9" * 48 + ".25")]),
    ("numeric(3,-2)", ["99900", "-100"], pa.decimal128(5, 0), [Decimal(99900), Decimal(-100)]),
    ("numeric(2,4)", ["0.0099", "-0.0001"], pa.decimal128(4, 4),
     [Decimal("0.0099"), Decimal("-0.0001")]),
    ("numeric", ["123.4500", "-0.005"], pa.decimal128(6, 3),
     [Decimal("123.450"), Decimal("-0.005")]),
    ("numeric", ["9" * 40], pa.decimal256(40, 0), [Decimal("9" * 40)]),
    ("money", ["-92233720368547758.08", "1.50"], pa.decimal128(19, 2),
     [Decimal("-92233720368547758.08"), Decimal("1.50")]),
    ("text", ["", "Łódź 🦊", "a'b\\c\nd"], pa.string(), ["", "Łódź 🦊", "a'b\\c\nd"]),
    ("varchar(5)", ["abc"], pa.string(), ["abc"]),
    ("char(5)", ["abc"], pa.string(), ["abc"]),
    ("mood", ["happy", "sad"], pa.string(), ["happy", "sad"]),
    ("uuid", ["00000000-0000-0000-0000-000000000001"], pa.string(),
     ["00000000-0000-0000-0000-000000000001"]),
    ("json", ['{"a":  1}'], pa.string(), ['{"a":  1}']),
    ("jsonb", ['{"a":  1}'], pa.string(), ['{"a": 1}']),
    ("bytea", ["\\x00ff", ""], pa.binary(), [b"\x00\xff", b""]),
    ("date", ["0001-01-01", "9999-12-31"], pa.date32(), [date.min, date.max]),
    ("time", ["00:00", "23:59:59.999999"], pa.time64("us"), [time.min, time.max]),
    ("timestamp", ["0001-01-01", "9999-12-31 23:59:59.999999"], pa.timestamp("us"),
     [datetime.min, datetime.max]),
    ("timestamptz", ["2024-01-31 10:00+02"], UTC_US, [datetime(2024, 1, 31, 8, tzinfo=UTC)]),
    ("price", ["12.50"], pa.decimal128(8, 2), [Decimal("12.50")]),
    ("integer[]", ["{1,NULL,3}", "{}"], pa.list_(pa.int32()), [[1, None, 3], []]),
    ("text[]", ['{a,NULL,"b c"}'], pa.list_(pa.string()), [["a", None, "b c"]]),
    ("numeric[]", ["{1.5,NULL,22}", "{}"], pa.list_(pa.decimal128(3, 1)),
     [[Decimal("1.5"), None, Decimal("22.0")], []]),
    ("date[]", ["{2024-01-31}"], pa.list_(pa.date32()), [[date(2024, 1, 31)]]),
]  # fmt: skip

NOT_EXACT = [
    ("interval", "1 mon 02:00:00"),
    ("timetz", "12:00:00+02"),
    ("bit(3)", "101"),
    ("bit varying(5)", "1010"),
    ("inet", "10.0.0.0/8"),
    ("macaddr", "08:00:2b:01:02:03"),
    ("int4range", "[1,5)"),
    ("point", "(1,2)"),
    ("tsvector", "'a' 'b'"),
    ("pair", "(1,x)"),
    ("interval[]", "{01:00:00}"),
]

ODD_VALUES = [
    ("numeric(12,2)", "NaN"),
    ("numeric(30,2)", "NaN"),
    ("numeric", "NaN"),
    ("numeric", "Infinity"),
    ("numeric", "9" * 80),
    ("date", "infinity"),
    ("date", "-infinity"),
    ("timestamp", "infinity"),
    ("timestamp", "294276-12-31 23:59:59.999999"),
    ("timestamptz", "-infinity"),
    ("time", "24:00:00"),
    ("date[]", "{infinity}"),
    ("integer[]", "{{1,2},{3,4}}"),
    ("integer[]", "[0:1]={1,2}"),
]


@pytest.fixture(scope="module")
def database() -> Database:
    made = new_database()
    made.run(
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE DOMAIN price AS numeric(8,2) CHECK (value > 0)",
    )
    return made


def put(database: Database, kind: str, values: list[str | None]) -> None:
    rows = ", ".join(
        f"({n}, {'NULL' if v is None else chr(39) + v.replace(chr(39), chr(39) * 2) + chr(39)})"
        for n, v in enumerate(values)
    )
    database.run(
        "DROP TABLE IF EXISTS ledger",
        f'CREATE TABLE ledger (n int, "Odd ""name" {kind})',
        f"INSERT INTO ledger VALUES {rows}",
    )


@pytest.mark.parametrize(
    ("kind", "written", "arrow", "values"), EXACT, ids=lambda v: v if isinstance(v, str) else ""
)
def test_values_of_a_type_are_read_as_they_are(
    database: Database, kind: str, written: list[str], arrow: pa.DataType, values: list[Any]
) -> None:
    put(database, kind, [*written, None])

    found = read_table(database.spec()).column(1)

    assert found.type == arrow
    assert found.to_pylist() == [*values, None]


@pytest.mark.parametrize("kind", ["real", "double precision"])
def test_nan_of_a_float_stays_nan(database: Database, kind: str) -> None:
    put(database, kind, ["NaN", None])

    (nan, null) = read_table(database.spec()).column(1).to_pylist()

    assert nan != nan
    assert null is None


def test_dates_before_christ_and_far_ahead_are_exact(database: Database) -> None:
    put(database, "date", ["4713-01-01 BC", "1970-01-01", "5874897-12-31"])

    found = read_table(database.spec()).column(1).cast(pa.int32()).to_pylist()

    assert found == [-2440550, 0, 2145042905]


@pytest.mark.parametrize(("kind", "value"), NOT_EXACT)
def test_a_type_that_arrow_has_not_is_refused_by_the_column_and_read_as_text_by_request(
    database: Database, kind: str, value: str
) -> None:
    put(database, kind, [value, None])
    spec = database.spec()

    with pytest.raises(SourceUnreadable, match=r'Odd "name.*"text"'), connector_for(spec).pin(spec):
        pass
    found = read_table(database.spec(types={'Odd "name': "text"})).column(1)

    assert found.to_pylist() == [value, None]


@pytest.mark.parametrize(("kind", "value"), ODD_VALUES)
def test_a_value_that_the_type_has_not_is_an_error_that_names_the_column(
    database: Database, kind: str, value: str
) -> None:
    put(database, kind, [None, value])

    with pytest.raises(SourceUnreadable, match='Odd "name') as raised:
        read_table(database.spec())
    found = read_table(database.spec(types={'Odd "name': "text"})).column(1)

    assert raised.value.details["column"] == 'Odd "name'
    assert found.to_pylist() == [None, value]


def test_types_turn_numbers_into_decimals_exactly_or_not_at_all(database: Database) -> None:
    put(database, "numeric", ["1.50", "2"])

    found = read_table(database.spec(types={'Odd "name': "decimal(10,2)", "n": "decimal(5)"}))

    assert found.schema.types == [pa.decimal128(5, 0), pa.decimal128(10, 2)]
    assert found.column(1).to_pylist() == [Decimal("1.50"), Decimal("2.00")]
    with pytest.raises(SourceUnreadable, match='Odd "name'):
        read_table(database.spec(types={'Odd "name': "decimal(10,0)"}))


def test_types_that_cannot_be_had_are_refused(database: Database) -> None:
    put(database, "text", ["1"])

    for types, error in (
        ({"m": "text"}, UnknownColumn),
        ({"n": "date"}, InvalidType),
        ({"n": "nonsense"}, InvalidType),
    ):
        spec = database.spec(types=types)
        with pytest.raises(error), connector_for(spec).pin(spec):
            pass


def test_a_numeric_column_without_values_is_a_decimal(database: Database) -> None:
    put(database, "numeric", [None])

    found = read_table(database.spec()).column(1)

    assert found.type == pa.decimal128(1, 0)
    assert found.to_pylist() == [None]
