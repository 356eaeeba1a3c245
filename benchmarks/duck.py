"""DuckDB as the independent engine: how it reads our files, within how much memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from benchmarks.shapes import Columns

_TYPES = {"text": "VARCHAR", "date": "DATE", "int64": "BIGINT"}


def connect(*, memory_bytes: int, threads: int, temporary: Path) -> Any:
    """Return an in-memory database that spills into `temporary`."""
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{memory_bytes}B'")
    connection.execute(f"SET threads = {threads}")
    connection.execute(f"SET temp_directory = {quoted(str(temporary))}")
    # Without this, results wait in memory for their turn; order means nothing here.
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET enable_progress_bar = false")
    return connection


def scan(path: Path, columns: Columns) -> str:
    """Return SQL for a table function over a CSV (types declared) or Parquet file."""
    if path.suffix == ".parquet":
        return f"read_parquet({quoted(str(path))})"
    typed = ", ".join(
        f"{quoted(name)}: '{_TYPES.get(type_, type_)}'" for name, type_ in columns.items()
    )
    return (
        f"read_csv({quoted(str(path))}, auto_detect = false, header = true, delim = ',',"
        f" quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false,"
        f" columns = {{{typed}}})"
    )


def quoted(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
