"""Rows in the format that a client accepts, as a stream of pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from kalla_coordinator.api.rows_csv import csv_column, csv_type
from kalla_coordinator.api.rows_json import json_rows

Batches = Iterator[pa.RecordBatch]


class Format(StrEnum):
    """Formats of rows, by their media type; the first is for whoever accepts anything."""

    JSON = "application/json"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"
    ARROW = "application/vnd.apache.arrow.stream"


_ALSO = {
    "application/x-parquet": Format.PARQUET,
    "application/parquet": Format.PARQUET,
    "application/arrow": Format.ARROW,
}


def accepted(accept: str | None) -> Format | None:
    """Return the format that an `Accept` header likes best; None if it likes none of ours."""
    if accept is None or not accept.strip():
        return Format.JSON
    liked = [
        (quality, -position, chosen)
        for position, item in enumerate(accept.split(","))
        for chosen, quality in [_liked(item)]
        if chosen is not None and quality > 0
    ]
    return max(liked)[2] if liked else None


def encoded(chosen: Format, schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    """Yield rows in a format, a batch or less at a time."""
    return _ENCODERS[chosen](schema, batches)


def _liked(item: str) -> tuple[Format | None, float]:
    media, *parameters = [piece.strip().lower() for piece in item.split(";")]
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            quality = _number(value)
    if media in ("*/*", "application/*"):
        return Format.JSON, quality
    if media == "text/*":
        return Format.CSV, quality
    known = {one.value: one for one in Format} | _ALSO
    return known.get(media), quality


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class _Sink:
    """A file that is taken away piece by piece while it is written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        """Return what was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _json(_: pa.Schema, batches: Batches) -> Iterator[bytes]:
    lead = b"["
    for batch in batches:
        for rows in json_rows(batch):
            yield lead + rows
            lead = b",\n"
    yield b"]\n" if lead != b"[" else b"[]\n"


def _csv(schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    sink = _Sink()
    flat = pa.schema([field.with_type(csv_type(field.type)) for field in schema])
    with pa_csv.CSVWriter(sink, flat) as writer:
        for batch in batches:
            columns = [csv_column(column) for column in batch.columns]
            writer.write_batch(pa.record_batch(columns, schema=flat))
            yield sink.take()
    yield sink.take()


def _parquet(schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def _arrow(schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    sink = _Sink()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


_ENCODERS: Mapping[Format, Callable[[pa.Schema, Batches], Iterator[bytes]]] = {
    Format.JSON: _json,
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
    Format.ARROW: _arrow,
}
