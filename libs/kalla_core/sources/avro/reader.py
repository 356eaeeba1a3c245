"""Avro files as a kind of files (see `streams.kind.Kind`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from types import ModuleType
from uuid import UUID

import pyarrow as pa

from kalla_core.errors import ConnectorMissing, KallaError, SourceUnreadable
from kalla_core.sources.avro.types import UnknownTypeError, columns_of
from kalla_core.sources.formats import FileSource
from kalla_core.sources.store import NO_PROMISE, Promise
from kalla_core.sources.streams.kind import Look, Span

_SAMPLED_ROWS = 1000
_BATCH_ROWS = 8192


class AvroKind:
    """Reads Avro files."""

    name = "Avro files"
    fields = frozenset({"row_number", "amount"})
    typed = False

    def look(self, source: FileSource, index: int) -> Look:
        """Read the schema and the first blocks."""
        avro = _fastavro()
        with source.open(index) as raw, _whole(source, index):
            blocks = avro.block_reader(raw)
            schema = columns_of(blocks.writer_schema, blocks._named_schemas["writer"])
            rows, size = 0, 0
            sample: list[dict[str, object]] = []
            for block in blocks:
                rows, size = rows + block.num_records, size + block.size
                sample += list(islice(block, _SAMPLED_ROWS - len(sample)))
                if rows >= _SAMPLED_ROWS:
                    break
            whole = next(iter(blocks), None) is None
            batch = _batch(sample, schema)
        if not whole:
            rows = round(rows * source.files[index].size_bytes / max(size, 1))
        return Look(schema, rows, whole, batch.nbytes / len(sample) if sample else 0.0)

    def cut(self, source: FileSource, index: int, pieces: int) -> Sequence[Span | None]:
        """Leave a file whole."""
        return (None,)

    def batches(
        self, source: FileSource, index: int, schema: pa.Schema, span: Span | None
    ) -> Iterator[pa.RecordBatch]:
        """Decode some thousand rows at a time."""
        avro = _fastavro()
        promise = Promise(((0, source.files[index].size_bytes),)) if span else NO_PROMISE
        with source.open(index, promise) as raw, _whole(source, index):
            blocks = avro.block_reader(raw)
            own = columns_of(blocks.writer_schema, blocks._named_schemas["writer"])
            rows = chain.from_iterable(blocks)
            while some := list(islice(rows, _BATCH_ROWS)):
                yield _batch(some, own)


def _batch(rows: list[dict[str, object]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [_array([row[one.name] for row in rows], one.type) for one in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: list[object], wanted: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, wanted)
    except pa.ArrowTypeError:  # Arrow takes no UUID for text
        return pa.array([_plain(value) for value in values], wanted)


def _plain(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case _:
            return value


@contextmanager
def _whole(source: FileSource, index: int) -> Iterator[None]:
    """Say of a file that cannot be decoded that it is not whole, or has changed."""
    path = source.files[index].path
    try:
        yield
    except KallaError:
        raise
    except UnknownTypeError as cause:
        raise SourceUnreadable(f"`{path}` {cause}", file=path) from cause
    except Exception as cause:  # a decoder fails in all ways on bytes that are damaged
        source.check_unchanged(index)
        why = str(cause) or type(cause).__name__
        raise SourceUnreadable(f"`{path}` is no whole Avro file: {why}.", file=path) from cause


def _fastavro() -> ModuleType:
    try:
        import fastavro
    except ImportError:
        raise ConnectorMissing(
            "Avro files are read by fastavro, which is not installed; the extra `avro` of Kalla"
            " brings it: pip install 'kalla[avro]'.",
            kind="avro",
        ) from None
    return fastavro
