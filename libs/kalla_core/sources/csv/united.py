"""Batches of files with unlike columns in the one schema of their source. Pure."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa


def selected(schema: pa.Schema, columns: Collection[str] | None) -> pa.Schema:
    """Return the columns wanted, in the schema's order; all for None."""
    if columns is None:
        return schema
    return pa.schema([field for field in schema if field.name in columns])


def united(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch's rows in a schema, NULL where the batch has no such column; no copy."""
    if batch.schema.names == schema.names:
        return batch
    own = set(batch.schema.names)
    arrays = [
        batch.column(field.name) if field.name in own else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
