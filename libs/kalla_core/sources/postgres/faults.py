"""What the driver raises, as Kalla's errors.

The server's own sentence is kept: it names the table, the role or the setting. The libpq text of
a failed connection names host and port and never the password.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adbc_driver_manager import Error

from kalla_core.errors import (
    Cancelled,
    InvalidUri,
    KallaError,
    SourceNotFound,
    SourceUnavailable,
    SourceUnreadable,
)
from kalla_core.observe.secrets import mask_text

POOLER = (
    "A transaction pooler (PgBouncer or one like it) stands before the server and gives every"
    " transaction another connection. Kalla holds a snapshot and needs the server itself, or a"
    " pooler in session mode: change host and port."
)

_PRIMARY = "PG_DIAG_MESSAGE_PRIMARY"
_CONNECT = "Failed to connect: "
_REFUSED = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied for database",
    "is not permitted to log in",
)
_POOLED = ("pgbouncer", "unsupported startup parameter")
_NO_SUCH_STATEMENT = ("26000", "42P05")
"""A prepared statement is missing, or there already: another connection has it."""

_MALFORMED = (
    "invalid URI",
    "invalid connection option",
    "invalid integer value",
    'invalid "',
    "invalid sslmode",
    "invalid percent-encoded",
    "forbidden value",
    "could not match",
)


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn what ADBC raises into `KallaError`."""
    try:
        yield
    except Error as error:
        raise named(error) from error


def sentence(error: Error) -> str:
    """Return what the server, or libpq, said: one line."""
    for name, value in error.details:
        if (name.decode() if isinstance(name, bytes) else name) == _PRIMARY:
            return mask_text(_text(value))
    text = str(error)
    if _CONNECT in text:
        text = text.split(_CONNECT, 1)[1]
    text = text.split("Query was:", 1)[0].removeprefix("IO: ").removeprefix("[libpq] ")
    return mask_text(" ".join(text.split()).rstrip("."))


def named(error: Error) -> KallaError:
    """Return the error that tells what happened."""
    state, said = error.sqlstate, sentence(error)
    server_said_so = state is not None or _CONNECT in str(error)
    pooled = server_said_so and any(word in said.lower() for word in _POOLED)
    if pooled or state in _NO_SUCH_STATEMENT:
        return InvalidUri(f"{POOLER} (It says: {said}.)")
    if _CONNECT in str(error):
        return _not_connected(said)
    match state:
        case None:
            return SourceUnavailable(f"The connection to the server was lost: {said}.")
        case "57014" if "statement timeout" in said:
            return SourceUnavailable(
                f"The server gave up on a query: {said}. `statement_timeout=SECONDS` in the URI"
                " gives it more time."
            )
        case "57014":
            return Cancelled(f"The query was cancelled: {said}.")
        case "55P03":
            return SourceUnavailable(
                f"Somebody changes the table's shape and keeps it locked: {said}."
                " `lock_timeout=SECONDS` in the URI waits longer."
            )
        case "42501" if "row-level security" in said:
            return SourceUnreadable(
                "Policies of row-level security may hide rows of it from this role, and rows are"
                f" never left out without a word: {said}. Read it as its owner, as a role with"
                " BYPASSRLS, or through a view that its owner made of the rows that are meant."
            )
        case "42501":
            return SourceUnreadable(f"It may not be read: {said}.")
        case "42P01" | "3F000":
            return SourceNotFound(f"It is not there: {said}.")
    if state[:2] in ("08", "53", "57", "58", "40", "XX"):
        return SourceUnavailable(f"The server failed: {said}.")
    return SourceUnreadable(f"The server could not read it: {said}.", sqlstate=state)


def _not_connected(said: str) -> KallaError:
    if any(words in said for words in _MALFORMED):
        return InvalidUri(f"The URI cannot be used: {said}.")
    if "database" in said and "does not exist" in said:
        return SourceNotFound(f"The database is not there: {said}.")
    if any(words in said for words in _REFUSED) or "does not exist" in said:
        return SourceUnreadable(f"The server lets nobody in with these credentials: {said}.")
    return SourceUnavailable(f"The server cannot be reached: {said}.")


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.rstrip(".")
