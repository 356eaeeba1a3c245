"""Rows in a format, as a stream of pieces; every format keeps amounts exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from kalla_core.answers.rows_csv import csv_column, csv_type, harmless
from kalla_core.answers.rows_json import json_rows
from kalla_core.answers.xlsx.book import Book

Batches = Iterator[pa.RecordBatch]

SHEET = "rows"
"""The name of the sheet of rows that come without one."""


class Format(StrEnum):
    """Formats of rows, by their media type; the first is for whoever accepts anything."""

    JSON = "application/json"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"
    ARROW = "application/vnd.apache.arrow.stream"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def encoded(
    chosen: Format, schema: pa.Schema, batches: Batches, name: str = SHEET
) -> Iterator[bytes]:
    """Yield rows in a format, a batch or less at a time.

    Args:
        name: what a format that names its rows calls them.

    Raises:
        InvalidSetting: a sheet cannot have as many columns.
    """
    if chosen is Format.XLSX:
        return sheets(iter([(name, schema, batches)]))
    return _ENCODERS[chosen](schema, batches)


def sheets(sets: Iterator[tuple[str, pa.Schema, Batches]]) -> Iterator[bytes]:
    """Yield a workbook of several sets of rows, each a name, its columns and its rows."""
    sink = Sink()
    with Book(sink) as book:
        for name, schema, batches in sets:
            table = book.table(name, schema)
            for batch in batches:
                table.write(batch)
                yield sink.take()
            table.close()
    yield sink.take()


class Sink:
    """A file that is taken away piece by piece while it is written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> int:
        """Keep bytes until they are taken."""
        piece = bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: what was written is there already."""

    def close(self) -> None:
        """Remember that nothing more comes."""
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


def csv_for_spreadsheets(schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    """Yield rows as CSV in which nothing, no name of a column either, is taken for a formula."""
    names = harmless(pa.array(schema.names, pa.string())).to_pylist()
    return _csv_lines(schema, batches, names, harmless)


def _csv(schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    return _csv_lines(schema, batches, schema.names, lambda column: column)


def _csv_lines(
    schema: pa.Schema, batches: Batches, names: list[str], spelled: Callable[[pa.Array], pa.Array]
) -> Iterator[bytes]:
    sink = Sink()
    flat = pa.schema(
        [(name, csv_type(field.type)) for name, field in zip(names, schema, strict=True)]
    )
    with pa_csv.CSVWriter(sink, flat) as writer:
        for batch in batches:
            columns = [spelled(csv_column(column)) for column in batch.columns]
            writer.write_batch(pa.record_batch(columns, schema=flat))
            yield sink.take()
    yield sink.take()


def _parquet(schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    sink = Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def _arrow(schema: pa.Schema, batches: Batches) -> Iterator[bytes]:
    sink = Sink()
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
