"""Tables of MariaDB are read exactly, under one state, or refused by name."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_coordinator.jobs.allowed import Allowed
from kalla_core.errors import (
    ConnectorMissing,
    InvalidUri,
    NotAllowed,
    SourceChanged,
    SourceNotFound,
    SourceUnavailable,
    SourceUnreadable,
)
from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.recipe.parse import parse_recipe
from kalla_core.sources.mysql.uri import parse_mysql_uri
from kalla_core.sources.protocol import EVERYTHING
from kalla_core.sources.registry import connector_for
from tests.support import mysql
from tests.support.runs import run_in_process
from tests.support.sources import read_table

installed = pytest.mark.skipif(bool(mysql.missing()), reason=mysql.missing() or "-")


def read(*columns: str, values: str, **fields: Any) -> pa.Table:
    """Read a table of one row."""
    database = mysql.new_database()
    database.run(f"CREATE TABLE ledger ({', '.join(columns)})", "SET time_zone = '+03:00'")
    database.run("SET time_zone = '+03:00'", f"INSERT INTO ledger VALUES ({values})")
    return read_table(database.spec(**fields))


@installed
@pytest.mark.parametrize(
    ("kind", "value", "expected", "wanted"),
    [
        ("bigint unsigned", "18446744073709551615", Decimal(2**64 - 1), pa.decimal128(20, 0)),
        ("bigint", "-9223372036854775808", -(2**63), pa.int64()),
        ("int unsigned", "4294967295", 2**32 - 1, pa.int64()),
        ("tinyint unsigned", "255", 255, pa.int16()),
        ("tinyint(1)", "1", True, pa.bool_()),
        ("bit(1)", "b'0'", False, pa.bool_()),
        ("bit(64)", "~0", Decimal(2**64 - 1), pa.decimal128(20, 0)),
        ("smallint unsigned", "65535", 65535, pa.int32()),
        ("mediumint unsigned", "16777215", 2**24 - 1, pa.int64()),
        ("year", "2026", 2026, pa.int16()),
        ("decimal(38,20)", "'123456789012345678.12345678901234567891'",
         Decimal("123456789012345678.12345678901234567891"), pa.decimal128(38, 20)),
        ("decimal(65,30)", "'-12345678901234567890123456789012345.123456789012345678901234567891'",
         Decimal("-12345678901234567890123456789012345.123456789012345678901234567891"),
         pa.decimal256(65, 30)),
        ("double", "0.1", 0.1, pa.float64()),
        ("float", "16777217", 16777216.0, pa.float64()),
        ("date", "'9999-12-31'", date(9999, 12, 31), pa.date32()),
        ("datetime(6)", "'2026-03-29 02:30:00.123456'",
         datetime(2026, 3, 29, 2, 30, 0, 123456), pa.timestamp("us")),
        ("timestamp", "'2026-03-29 02:30:00'",
         datetime(2026, 3, 28, 23, 30, tzinfo=UTC), pa.timestamp("us", "UTC")),
        ("time(3)", "'23:59:59.999'", time(23, 59, 59, 999_000), pa.time64("us")),
        ("varchar(9) character set latin1", "'é'", "é", pa.string()),
        ("longtext character set utf8mb4", "REPEAT('🦊', 70000)", "🦊" * 70_000, pa.string()),
        ("enum('open','paid')", "'paid'", "paid", pa.string()),
        ("json", "'{\"a\": 1}'", '{"a": 1}', pa.string()),
        ("varbinary(4)", "x'00ff'", b"\x00\xff", pa.binary()),
    ],
)  # fmt: skip
def test_a_value_is_what_it_is_in_the_server(
    kind: str, value: str, expected: object, wanted: pa.DataType
) -> None:
    found = read(f"`a value` {kind}", values=value)

    assert found.schema == pa.schema([("a value", wanted)])
    assert found.column(0).to_pylist() == [expected]


@installed
@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("date", "'0000-00-00'", r"`v` holds 1 dates as 0000-00-00.*\"v\": \"text\""),
        ("datetime", "'2026-00-10'", r"`v` holds 1 dates as 0000-00-00"),
        ("time", "'-01:00:00'", "`v` holds 1 times that are no time of a day"),
        ("time", "'25:00:00'", "`v` holds 1 times"),
        ("tinyint(1)", "2", r"`v` holds 1 values other than 0 and 1.*\"v\": \"integer\""),
        ("point", "POINT(1, 1)", "`v` is of type point"),
    ],
)
def test_a_value_that_no_type_holds_is_refused_by_its_column(
    kind: str, value: str, said: str
) -> None:
    database = mysql.new_database()
    database.run(f"CREATE TABLE ledger (v {kind})")
    database.run("SET sql_mode = ''", f"INSERT INTO ledger VALUES ({value})")

    with pytest.raises(SourceUnreadable, match=said):
        read_table(database.spec())


@installed
def test_types_read_what_is_refused_and_make_decimals_of_integers() -> None:
    database = mysql.new_database()
    database.run("CREATE TABLE ledger (day date, flag tinyint(1), n int)")
    database.run("SET sql_mode = ''", "INSERT INTO ledger VALUES ('0000-00-00', 2, 7)")
    types = {"day": "text", "flag": "integer", "n": "decimal(10,2)"}

    found = read_table(database.spec(types=types))

    assert found.to_pylist() == [{"day": "0000-00-00", "flag": 2, "n": Decimal("7.00")}]


@installed
def test_rows_written_while_it_is_read_are_not_seen_and_those_written_before_are_told() -> None:
    database = mysql.new_database()
    database.run("CREATE TABLE ledger (id int PRIMARY KEY, v int)")
    database.run("INSERT INTO ledger SELECT seq, seq FROM seq_1_to_100000")
    connector = connector_for(database.spec())

    with connector.pin(database.spec()) as pinned:
        (part,) = connector.plan(pinned, 4)
        batches = iter(connector.read(pinned, part, 1000))
        total = sum(next(batches).column(1).to_pylist())
        database.run("UPDATE ledger SET v = 0")
        for batch in batches:
            total += sum(batch.column(1).to_pylist())

        assert total == 100_000 * 100_001 // 2
        with pytest.raises(SourceChanged, match="changed, added or removed"):
            list(connector.read(pinned, part))


@installed
def test_twins_that_become_other_twins_are_a_change() -> None:
    database = mysql.new_database()
    database.run("CREATE TABLE ledger (v int)", "INSERT INTO ledger VALUES (1), (1)")
    connector = connector_for(database.spec())

    with connector.pin(database.spec()) as pinned:
        database.run("UPDATE ledger SET v = 2")

        with pytest.raises(SourceChanged):
            connector.verify(pinned)


@installed
@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (("ledger", "nowhere"), SourceNotFound, "no table `nowhere`"),
        (("/test_", "/nothing_"), SourceNotFound, "not there|no table"),
        (("p%3Bw", "hunter2"), SourceUnreadable, "does not let it be read: Access denied"),
        (("127.0.0.1:", "127.0.0.1:1"), SourceUnavailable, "cannot be reached"),
    ],
)
def test_what_the_server_refuses_is_told_without_the_password(
    change: tuple[str, str], error: type[Exception], said: str
) -> None:
    database = mysql.new_database()
    database.run("CREATE TABLE ledger (v int)")
    uri = database.uri().replace(*change)
    if "127.0.0.1:1" in change:
        uri = database.uri().replace(str(database.server.port), "1")
    spec = SourceSpec("ledger", SourceType.MYSQL, uri)

    with pytest.raises(error, match=said) as caught, connector_for(spec).pin(spec):
        pass

    assert "hunter2" not in str(caught.value)
    assert mysql.PASSWORD not in str(caught.value)
    assert "p%3Bw" not in str(caught.value)


@installed
def test_a_run_reconciles_a_table_with_a_file_and_keeps_the_password_to_itself(
    tmp_path: Path,
) -> None:
    database = mysql.new_database()
    database.run("CREATE TABLE ledger (id int PRIMARY KEY, amount decimal(12,2))")
    database.run("INSERT INTO ledger VALUES (1, 10.10), (2, 20.20), (3, 30.30)")
    (tmp_path / "bank.csv").write_text("id,amount\n1,10.10\n3,30.31\n")
    bank = str(tmp_path / "bank.csv")
    document = {
        "recipe_id": "mysql",
        "name": "MySQL",
        "match_sql": "SELECT l.id FROM l JOIN r ON l.id = r.id AND l.amount = r.amount",
        "sources": {
            "left": {"alias": "l", "type": "mysql", "uri": database.uri(), "primary_key": ["id"]},
            "right": {"alias": "r", "type": "file", "uri": bank, "primary_key": ["id"]},
        },
    }

    run_in_process(parse_recipe(document, tmp_path), tmp_path / "out")

    assert rows_of(tmp_path / "out" / "matched.parquet") == [1]
    assert rows_of(tmp_path / "out" / "unmatched_left.parquet") == [2, 3]
    metadata = (tmp_path / "out" / "metadata.json").read_text()
    assert '"digest"' in metadata
    assert mysql.PASSWORD not in metadata
    assert "p%3Bw" not in metadata


def rows_of(path: Path) -> list[int]:
    return sorted(pq.read_table(path).column("id").to_pylist())


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("mysql://u@h/d", "names no table"),
        ("mysql://u@h?table=t", "names no database"),
        ("mysql:///d?table=t", "neither a host nor a socket"),
        ("mysql://u:pass:hunter@h/d?table=t", "percent-encoded"),
        ("mysql://u:p@hunter@h/d?table=t", "percent-encoded"),
        ("mysql://u@h;SERVER=x/d?table=t", "percent-encoded"),
        ("mysql://u@h/d?table=t&sslmod=require", "did you mean `sslmode`"),
        ("mysql://u@h/d?table=t&sslmode=maybe", "`sslmode` is one of"),
        ("mysql://u@h:99999/d?table=t", "a port is"),
        ("mysql://u@h/d?table=a.b.c", "a table is"),
    ],
)
def test_a_uri_that_cannot_be_used_says_why(uri: str, said: str) -> None:
    with pytest.raises(InvalidUri, match=said) as caught:
        parse_mysql_uri(uri, EVERYTHING)

    assert "hunter" not in str(caught.value)


def test_a_coordinator_lets_tables_be_read_on_the_hosts_that_are_allowed(tmp_path: Path) -> None:
    allowed = Allowed(tmp_path, hosts=frozenset({"db.example"}))

    allowed.check_sources(["mysql://u@DB.example:3307/d?table=t"])

    for uri in (
        "mysql://u@other/d?table=t",
        "mariadb://db.example@other/d?table=t",
        "mysql://u@db.example/d?table=t&socket=/run/mysqld.sock",
    ):
        with pytest.raises(NotAllowed, match="may not reach the source host"):
            allowed.check_sources([uri])


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arrow_odbc", None)
    spec = SourceSpec("ledger", SourceType.MYSQL, "mysql://u@h/d?table=t")

    with (
        pytest.raises(ConnectorMissing, match=r"pip install 'kalla\[mysql\]'"),
        connector_for(spec).pin(spec),
    ):
        pass
