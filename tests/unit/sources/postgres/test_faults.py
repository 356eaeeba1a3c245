"""What the driver and the server say, and which error of Kalla's that is."""

from __future__ import annotations

import adbc_driver_postgresql.dbapi as adbc
import pytest
from adbc_driver_manager import AdbcStatusCode, Error

from kalla_core.errors import (
    Cancelled,
    InvalidUri,
    KallaError,
    SourceNotFound,
    SourceUnavailable,
    SourceUnreadable,
)
from kalla_core.sources.postgres.faults import driver_errors, named, sentence


def raised(said: str, state: str | None = None, primary: bytes | None = None) -> Error:
    """Return an error as the driver raises it."""
    details = [] if primary is None else [("PG_DIAG_MESSAGE_PRIMARY", primary)]
    return Error(said, status_code=AdbcStatusCode.IO, sqlstate=state, details=details)


@pytest.mark.parametrize(
    ("state", "said", "kind", "advice"),
    [
        ("42501", "permission denied for table ledger", SourceUnreadable, "may not be read"),
        ("42501", 'query would be affected by row-level security policy for table "ledger"',
         SourceUnreadable, "BYPASSRLS"),
        ("42P01", 'relation "ledger" does not exist', SourceNotFound, "not there"),
        ("3F000", 'schema "x" does not exist', SourceNotFound, "not there"),
        ("55P03", "canceling statement due to lock timeout", SourceUnavailable, "lock_timeout="),
        ("57014", "canceling statement due to statement timeout", SourceUnavailable,
         "statement_timeout="),
        ("57014", "canceling statement due to user request", Cancelled, "cancelled"),
        ("57P01", "terminating connection due to administrator command", SourceUnavailable,
         "server failed"),
        ("57P03", "the database system is shutting down", SourceUnavailable, "server failed"),
        ("53300", "sorry, too many clients already", SourceUnavailable, "too many clients"),
        ("53100", "could not write: No space left on device", SourceUnavailable, "No space"),
        ("08006", "connection failure", SourceUnavailable, "server failed"),
        ("40001", "could not serialize access", SourceUnavailable, "server failed"),
        ("58030", "could not read block 7", SourceUnavailable, "block 7"),
        ("XX001", "invalid page in block 7", SourceUnavailable, "block 7"),
        ("22003", "bigint out of range", SourceUnreadable, "could not read it"),
        ("42703", 'column "x" does not exist', SourceUnreadable, 'column "x"'),
        (None, "server closed the connection unexpectedly", SourceUnavailable, "was lost"),
        (None, 'Failed to prepare prepared statement: server closed the connection',
         SourceUnavailable, "was lost"),
        ("57P01", 'prepared statement ended: terminating connection', SourceUnavailable, "failed"),
        ("42P05", 'prepared statement "s1" already exists', InvalidUri, "pooler"),
        ("26000", 'prepared statement "s1" does not exist', InvalidUri, "pooler"),
        ("08P01", "unsupported startup parameter: options", InvalidUri, "session mode"),
    ],
)  # fmt: skip
def test_a_state_of_the_server_is_the_error_that_tells_what_happened(
    state: str | None, said: str, kind: type[KallaError], advice: str
) -> None:
    error = named(raised("whatever", state, said.encode()))

    assert type(error) is kind
    assert advice in error.message
    assert said in error.message


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('FATAL: password authentication failed for user "u"', SourceUnreadable),
        ("fe_sendauth: no password supplied", SourceUnreadable),
        ('FATAL: no pg_hba.conf entry for host "1.2.3.4"', SourceUnreadable),
        ('FATAL: role "u" is not permitted to log in', SourceUnreadable),
        ('FATAL: role "u" does not exist', SourceUnreadable),
        ('FATAL: permission denied for database "db"', SourceUnreadable),
        ('FATAL: database "db" does not exist', SourceNotFound),
        ("Connection refused", SourceUnavailable),
        ('could not translate host name "h" to address', SourceUnavailable),
        ("server does not support SSL, but SSL was required", SourceUnavailable),
        ("timeout expired", SourceUnavailable),
        ('invalid sslmode value: "x"', InvalidUri),
        ('invalid URI query parameter: "sslmod"', InvalidUri),
        ("unsupported startup parameter: client_encoding", InvalidUri),
    ],
)
def test_what_libpq_says_when_it_cannot_connect_is_told_apart(
    said: str, kind: type[KallaError]
) -> None:
    error = named(raised(f"IO: [libpq] Failed to connect: {said}\n"))

    assert type(error) is kind
    assert said in error.message


def test_faults_of_the_moment_may_be_tried_again_and_faults_of_the_request_may_not() -> None:
    assert named(raised("", "57P01", b"terminating connection")).retryable
    assert named(raised("", None, b"connection reset")).retryable
    assert not named(raised("", "42501", b"permission denied")).retryable
    assert not named(raised("", "42P01", b"no such table")).retryable


def test_one_line_is_kept_without_the_query_and_without_a_password() -> None:
    text = (
        "IO: [libpq] Failed to copy: ERROR:  odd\n  thing in postgres://u:s3cr3t@h/db \n\n"
        "Query was: SELECT 'much'"
    )

    said = sentence(raised(text))

    assert said == "Failed to copy: ERROR: odd thing in postgres://u:***@h/db"


def test_text_of_the_server_that_is_not_utf8_is_told_all_the_same() -> None:
    said = sentence(raised("", "42501", b"droit refus\xe9 pour la table."))

    assert said == "droit refus\ufffd pour la table"


def test_an_error_of_the_real_driver_is_turned_into_one_of_kalla() -> None:
    with pytest.raises(SourceUnavailable, match="cannot be reached"), driver_errors():
        adbc.connect("postgresql://u:s3cr3t@127.0.0.1:1/db?connect_timeout=1")
