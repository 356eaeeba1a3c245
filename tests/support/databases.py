"""A database of PostgreSQL for the job store, on a real server that ends with the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kalla_core.cli.embedded_postgres import embedded_server


@contextmanager
def postgres_url() -> Iterator[str]:
    """Start a server; the URL of a database on it."""
    with embedded_server() as server:
        yield server.uri()
