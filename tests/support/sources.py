"""Reading sources in tests: whole, by parts, and as Python rows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kalla_core.recipe.model import Filter, SourceSpec, SourceType
from kalla_core.recipe.parse import parse_source
from kalla_core.sources.protocol import Connector, Part, PinnedSource, Statistics
from kalla_core.sources.registry import connector_for

Rows = list[tuple[Any, ...]]


def format_spec(
    path: Path | str, found: dict[str, Any], types: dict[str, str] | None = None
) -> SourceSpec:
    """Return the spec of a file that is written in a format."""
    return parse_source(
        {"alias": "bank", "type": "file", "uri": str(path), "format": found, "types": types or {}}
    )


def format_rows(
    path: Path | str, found: dict[str, Any], parts: int = 1, types: dict[str, str] | None = None
) -> Rows:
    """Return the rows of a file that is written in a format."""
    table = read_table(format_spec(path, found, types), parts)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def file_spec(
    path: Path | str,
    filters: Sequence[Filter] = (),
    types: Mapping[str, str] | None = None,
) -> SourceSpec:
    """Return the spec of a file or folder, called `ledger`."""
    return SourceSpec(
        alias="ledger",
        type=SourceType.FILE,
        uri=str(path),
        filters=tuple(filters),
        types=types or {},
    )


def read_parts(connector: Connector, pinned: PinnedSource, parts: int) -> list[pa.Table]:
    """Return the rows of each part."""
    return [
        pa.Table.from_batches(list(connector.read(pinned, part)), pinned.schema)
        for part in connector.plan(pinned, parts)
    ]


def read_table(spec: SourceSpec, parts: int = 1) -> pa.Table:
    """Return all rows of a source, read in so many parts, in order."""
    connector = connector_for(spec)
    with connector.pin(spec) as pinned:
        tables = read_parts(connector, pinned, parts)
        return pa.concat_tables([pinned.schema.empty_table(), *tables])


def read_rows(path: Path | str, parts: int = 1, **spec: Any) -> list[tuple[Any, ...]]:
    """Return all rows of a file as Python tuples."""
    table = read_table(file_spec(path, **spec), parts)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def types_of(path: Path | str, **spec: Any) -> dict[str, pa.DataType]:
    """Return the types of a file's columns."""
    wanted = file_spec(path, **spec)
    with connector_for(wanted).pin(wanted) as pinned:
        return {field.name: field.type for field in pinned.schema}


def read_part(
    spec: SourceSpec, identity: str, detail: str, schema: bytes, part: str
) -> list[dict[str, Any]]:
    """Read one part from nothing but text and bytes, as another process gets it."""
    pinned = PinnedSource(
        spec=spec,
        schema=pa.ipc.read_schema(pa.py_buffer(schema)),
        identity=json.loads(identity),
        statistics=Statistics(),
        detail=json.loads(detail),
    )
    connector = connector_for(spec)
    batches = list(connector.read(pinned, Part(0, json.loads(part))))
    rows: list[dict[str, Any]] = pa.Table.from_batches(batches, pinned.schema).to_pylist()
    return rows
