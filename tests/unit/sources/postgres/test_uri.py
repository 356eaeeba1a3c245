"""Postgres URIs: what they say, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from kalla_core.errors import InvalidUri
from kalla_core.sources.postgres.uri import PostgresUri, TableName, parse_postgres_uri
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.uri import expand_secrets, mask

PASSWORD = "s3cr3t"  # noqa: S105 - made up


def parsed(uri: str, roots: tuple[Path, ...] | None = None) -> PostgresUri:
    return parse_postgres_uri(uri, SourceAccess(allowed_roots=roots))


def connection_options(uri: str) -> dict[str, str]:
    query = urlsplit(parsed(uri).connection).query
    return {name: values[0] for name, values in parse_qs(query).items()}


@pytest.mark.parametrize(
    ("table", "schemas", "names"),
    [
        ("invoices", (), ("invoices",)),
        ("Invoices", (), ("Invoices", "invoices")),
        ("Sales.Invoices", ("Sales", "sales"), ("Invoices", "invoices")),
        ('"Invoices"', (), ("Invoices",)),
        ('%22odd.name%22."a""b"', ("odd.name",), ('a"b',)),
        ("with%20blank", (), ("with blank",)),
        ("Łódź", (), ("Łódź", "łódź")),
    ],
)
def test_a_table_is_named_as_in_sql_and_looked_for_in_lower_case_too(
    table: str, schemas: tuple[str, ...], names: tuple[str, ...]
) -> None:
    found = parsed(f"postgres://h/db?table={table}").table

    assert found == TableName(schemas, names)


def test_options_of_kalla_are_taken_out_and_all_others_are_kept_for_the_connection() -> None:
    uri = parsed(
        "postgres://u:p@h:6543/db?table=t&sslmode=verify-full&statement_timeout=7"
        "&lock_timeout=8&max_connections=9&options=-c%20geqo%3Doff"
    )

    assert (uri.statement_timeout_s, uri.lock_timeout_s, uri.max_connections) == (7, 8, 9)
    assert uri.connection.startswith("postgresql://u:p@h:6543/db?")
    assert "sslmode=verify-full" in uri.connection
    assert "options=-c%20geqo%3Doff" in uri.connection
    assert not any(name in uri.connection for name in ("table", "_timeout=7", "max_connections"))


def test_what_is_not_said_has_a_default_that_bounds_every_wait() -> None:
    uri = parsed("postgres://h/db?table=t")
    options = connection_options("postgres://h/db?table=t")

    assert (uri.statement_timeout_s, uri.lock_timeout_s, uri.max_connections) == (3600, 30, 8)
    assert (uri.read_timeout_s, uri.connect_timeout_s) == (60, 20)
    assert options["connect_timeout"] == "10"
    assert options["tcp_user_timeout"] == "60000"
    assert options["application_name"] == "kalla"


@pytest.mark.parametrize(
    ("uri", "host", "connecting_s"),
    [
        ("postgres://u:p@DB.example:6543/db?table=t&connect_timeout=3", "`db.example`", 6),
        ("postgres://a:1,b:2/db?table=t", "`a` or `b`", 40),
        ("postgres:///db?table=t&connect_timeout=0", "the local server", 0),
    ],
)
def test_the_servers_are_told_and_how_long_connecting_to_all_of_them_may_take(
    uri: str, host: str, connecting_s: int
) -> None:
    found = parsed(uri)

    assert (found.host, found.connect_timeout_s) == (host, connecting_s)


def test_defaults_of_the_connection_give_way_to_what_is_said() -> None:
    options = connection_options("postgres://h/db?table=t&connect_timeout=3&application_name=audit")

    assert options["connect_timeout"] == "3"
    assert options["application_name"] == "audit"


@pytest.mark.parametrize(
    "server",
    ["", "h", "h:5432", "u@h", "u:p@h", "[::1]:5432", "u:p@[fe80::1]", "a:1,b:2", "u:${env:P}@h"],
)
def test_servers_that_libpq_knows_are_accepted(server: str) -> None:
    connection = parsed(f"POSTGRES://{server}/db?table=t").connection

    assert connection.startswith(f"postgresql://{server}/db?")


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("postgres://h/db", "names no table"),
        ("postgres://h/db?table=", "names no table"),
        ("postgres://h/db?table=a.b.c", "`schema.name`"),
        ("postgres://h/db?table=%22open", "double quotes"),
        ("postgres://h/db?table=t&table=u", "`table` more than once"),
        ("postgres://h/db?table", "name=value"),
        ("postgres://h/db?table=t&lock_timeout=0", "`lock_timeout` is a whole number"),
        ("postgres://h/db?table=t&lock_timeout=1.5", "`lock_timeout` is a whole number"),
        ("postgres://h/db?table=t&max_connections=²", "`max_connections` is a whole number"),
        ("postgres://h/db?table=t&statement_timeout=1000001", "from 1 to 1000000"),
        ("postgres://h/db?table=t#piece", "not of the form"),
        ("postgres://h:port/db?table=t", "a port is a number"),
        (f"postgres://u:{PASSWORD}@x@h/db?table=t", "%40 for @"),
        (f"postgres://u:{PASSWORD}:x@h/db?table=t", "%3A for a colon"),
        (f"postgres://u:{PASSWORD}/x@h/db?table=t", "percent-encoded"),
        (f"postgres://u:{PASSWORD}?x@h/db?table=t", "a port is a number"),
    ],
)
def test_what_is_wrong_with_a_uri_is_said_without_its_password(uri: str, why: str) -> None:
    with pytest.raises(InvalidUri) as caught:
        parsed(uri)

    assert why in caught.value.message
    assert PASSWORD not in caught.value.message + str(caught.value.details)


def test_certificates_are_read_from_allowed_folders_only(tmp_path: Path) -> None:
    inside = f"postgres://h/db?table=t&sslrootcert={tmp_path}/ca.pem"
    outside = "postgres://h/db?table=t&sslkey=%2Fetc%2Fkey.pem"
    climbing = f"postgres://h/db?table=t&passfile={tmp_path}/../pgpass"

    assert parsed(inside, (tmp_path,)).table.name == ("t",)
    assert parsed(f"{inside}&sslcrl=".replace("ca.pem", "ca2.pem"), (tmp_path,))
    assert parsed("postgres://h/db?table=t&sslrootcert=system", (tmp_path,))
    for uri in (outside, climbing):
        with pytest.raises(InvalidUri, match="outside the folders"):
            parsed(uri, (tmp_path,))


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgres://u:p@h/db?table=t", "postgres://u:***@h/db?table=t"),
        ("postgres://u:p@q@h/db?table=t", "postgres://u:***@h/db?table=t"),
        ("postgres://u:p/q@h/db?table=t", "postgres://u:***@h/db?table=t"),
        ("postgres://u@h/db?password=p&table=t", "postgres://u@h/db?password=***&table=t"),
        ("postgres://u@h/db?table=t&sslpassword=p", "postgres://u@h/db?table=t&sslpassword=***"),
        ("postgres://u@h:5432/db?table=t", "postgres://u@h:5432/db?table=t"),
    ],
)
def test_a_password_is_masked_wherever_it_stands(uri: str, shown: str) -> None:
    assert mask(uri) == shown


def test_a_password_from_the_environment_is_put_in_with_its_odd_characters_encoded() -> None:
    uri = parsed("postgres://u:${env:PGPASS}@h/db?table=t")

    expanded = expand_secrets(uri.connection, {"PGPASS": "a@b:/c?#%"})

    assert expanded.startswith("postgresql://u:a%40b%3A%2Fc%3F%23%25@h/db?")
