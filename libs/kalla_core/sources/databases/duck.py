"""Tables of DuckDB files (see `streams.kind.Kind`), read by DuckDB itself, the extra `duckdb`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import ModuleType
from typing import Any

import pyarrow as pa

from kalla_core.errors import ConnectorMissing, KallaError, SourceUnreadable
from kalla_core.sources.databases.beside import chosen_table, opened_path, quoted
from kalla_core.sources.formats import FileSource
from kalla_core.sources.streams.kind import Look, Span

_BATCH_ROWS = 65_536
_SAMPLED_ROWS = 1024
_MAIN = "main"
_WHOLE = ("HUGEINT", "UHUGEINT")
_SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "1",
    "memory_limit": "256MB",
}


class DuckKind:
    """Reads DuckDB files."""

    name = "DuckDB files"
    fields = frozenset({"table", "row_number", "amount"})
    typed = False

    def look(self, source: FileSource, index: int) -> Look:
        """Ask for the columns and the number of rows."""
        with _opened(source, index) as database:
            selected, table = _selected(source, index, database)
            ((rows,),) = database.execute(f"SELECT count(*) FROM {table}").fetchall()
            sample = database.sql(f"{selected} LIMIT {_SAMPLED_ROWS}").to_arrow_table()
        width = sample.nbytes / sample.num_rows if sample.num_rows else 0.0
        return Look(sample.schema, int(rows), True, width)

    def cut(self, source: FileSource, index: int, pieces: int) -> Sequence[Span | None]:
        """Leave a table whole."""
        return (None,)

    def batches(
        self, source: FileSource, index: int, schema: pa.Schema, span: Span | None
    ) -> Iterator[pa.RecordBatch]:
        """Read a table as Arrow batches."""
        with _opened(source, index) as database:
            selected, _ = _selected(source, index, database)
            yield from database.sql(selected).to_arrow_reader(_BATCH_ROWS)


def _selected(source: FileSource, index: int, database: Any) -> tuple[str, str]:
    """Return the query that reads a table in order, and the table's name in SQL."""
    rows = database.execute(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_schema NOT IN ('information_schema', 'pg_catalog') ORDER BY ALL"
    ).fetchall()
    names = {
        table if schema == _MAIN else f"{schema}.{table}": (schema, table) for schema, table in rows
    }
    path = source.files[index].path
    schema, table = names[chosen_table(path, list(names), source.format.table)]
    columns = database.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
        [schema, table],
    ).fetchall()
    # Arrow has no such integers, and DuckDB would make doubles of them in silence.
    pieces = [
        f"CAST({quoted(name)} AS DECIMAL(38, 0)) AS {quoted(name)}"
        if kind in _WHOLE
        else quoted(name)
        for name, kind in columns
    ]
    place = f"{quoted(schema)}.{quoted(table)}"
    return f"SELECT {', '.join(pieces)} FROM {place}", place


@contextmanager
def _opened(source: FileSource, index: int) -> Iterator[Any]:
    duckdb = _duckdb()
    path = source.files[index].path
    with opened_path(source, index, (".wal",)) as where:
        try:
            with closing(duckdb.connect(where, read_only=True, config=_SETTINGS)) as database:
                database.execute("SET TimeZone = 'UTC'").fetchall()
                yield database
        except KallaError:
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as cause:
            source.check_unchanged(index)
            why = str(cause).partition("\n")[0]
            raise SourceUnreadable(
                f"`{path}` cannot be read by DuckDB: {why}.", file=path
            ) from cause


def _duckdb() -> ModuleType:
    try:
        import duckdb
    except ImportError:
        raise ConnectorMissing(
            "DuckDB files are read by DuckDB, which is not installed; the extra `duckdb` of Kalla"
            " brings it: pip install 'kalla[duckdb]'.",
            kind="duckdb",
        ) from None
    return duckdb
