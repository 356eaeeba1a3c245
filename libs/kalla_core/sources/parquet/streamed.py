"""Row groups of files of this machine, decoded by DataFusion at half of what Arrow takes for it.

DataFusion cuts a file into ranges of equal length, one per partition, and a row group is read by
the partition in whose range its first page lies. So a part's row groups are had by executing
some of the partitions, if ranges are short enough to lie between those wanted and those not.

What it is not used for: columns that are not plain, which it may deliver in another form; files
whose pages have checksums, which it does not look at; and few rows, for which it takes longer to
get going than Arrow to be done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import RecordBatchStream, SessionConfig, SessionContext

from kalla_core.errors import EngineFailure

_TABLE = "part"
_MOST_RANGES = 4096
_BATCH_ROWS = 32_768
_PAGE_HEAD_BYTES = 64
_INT32_FIELD = 0x15
"""How the next field of a Thrift struct begins if it is an integer of 32 bits."""


class Undecodable(Exception):
    """The bytes are no row groups."""


class _NotSuited(Exception):
    """Arrow is to read this."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """A part of a file, ready to be read.

    Attributes:
        rows: that the row groups have.
    """

    session: SessionContext
    plan: Any
    partitions: tuple[int, ...]
    rows: int

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, text as views.

        Raises:
            Undecodable: something about them.
            EngineFailure: there are not as many as the footer says.
        """
        found = 0
        for partition in self.partitions:
            stream = self.session.execute(self.plan, partition)
            while (batch := _next(stream)) is not None:
                found += batch.num_rows
                yield batch
        if found != self.rows:
            raise EngineFailure(f"Row groups of {self.rows} rows were read as {found} rows.")


def streamed(
    file: pa.NativeFile,
    metadata: pq.FileMetaData,
    groups: Sequence[int],
    schema: pa.Schema,
    fewest_rows: int,
) -> Streamed | None:
    """Return some row groups of an open file, or None if Arrow is to read them.

    Args:
        groups: ascending.
        schema: of the columns to be read, as delivered.
        fewest_rows: fewer are read by Arrow.
    """
    rows = sum(metadata.row_group(group).num_rows for group in groups)
    if not isinstance(file, pa.OSFile) or not groups or rows < fewest_rows:
        return None
    if sys.platform != "linux":  # elsewhere a file opened by its descriptor shares its position
        return None
    if any(_is_uuid(metadata, index) for index in range(metadata.num_columns)):
        return None
    if not all(map(_is_plain, schema.types)) or any(_has_checksums(file, metadata, groups)):
        return None
    try:
        return _planned(file, metadata, groups, schema, rows)
    except _NotSuited:
        return None


def _is_uuid(metadata: pq.FileMetaData, index: int) -> bool:
    """Whether a column is kept as bytes and delivered as text."""
    return bool(metadata.schema.column(index).logical_type.type == "UUID")


def _next(stream: RecordBatchStream) -> pa.RecordBatch | None:
    try:
        result = next(stream, None)
    except Exception as error:
        raise Undecodable(str(error)) from error
    except BaseException as error:  # a panic is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise Undecodable(str(error)) from error
    return None if result is None else result.to_pyarrow()


def _planned(
    file: pa.OSFile,
    metadata: pq.FileMetaData,
    groups: Sequence[int],
    schema: pa.Schema,
    rows: int,
) -> Streamed:
    starts = [_first_page(metadata, group) for group in range(metadata.num_row_groups)]
    ranges = _ranges(starts, groups, file.size())
    # A file that has no more rows than a batch is not cut.
    session = _session(ranges, min(_BATCH_ROWS, rows))
    try:
        # By its descriptor: what was opened is what is read, whoever changes names meanwhile.
        path = f"file:///dev/fd/{file.fileno()}"
        session.register_parquet(_TABLE, path, file_extension="")
        table = session.table(_TABLE)
        there = table.schema()
        names = [name for name in schema.names if name in there.names]
        if not names or not all(_fits(there.field(n).type, schema.field(n).type) for n in names):
            raise _NotSuited
        plan = table.select(*[_quoted(name) for name in names]).execution_plan()
    except _NotSuited:
        raise
    except Exception as error:  # Arrow reads it, or says why it cannot be read
        raise _NotSuited from error
    length = -(-file.size() // ranges)
    partitions = tuple(dict.fromkeys(starts[group] // length for group in groups))
    if (plan.partition_count == 1) != (ranges == 1) or partitions[-1] >= plan.partition_count:
        raise _NotSuited
    return Streamed(session, plan, partitions, rows)


def _session(ranges: int, batch_rows: int) -> SessionContext:
    return SessionContext(
        SessionConfig()
        .with_target_partitions(ranges)
        .with_batch_size(batch_rows)
        .with_information_schema(False)
        .set("datafusion.execution.parquet.schema_force_view_types", "true")
        .set("datafusion.execution.parquet.enable_page_index", "false")
        .set("datafusion.execution.enable_file_stream_work_stealing", "false")
        .set("datafusion.optimizer.repartition_file_min_size", "0")
    )


def _ranges(starts: Sequence[int], groups: Sequence[int], size: int) -> int:
    """Return how many ranges it takes so that none has row groups wanted and others."""
    wanted = set(groups)
    apart = [
        after - before
        for (group, before), (_, after) in pairwise(enumerate(starts))
        if (group in wanted) != (group + 1 in wanted)
    ]
    if not apart:
        return 1
    if min(apart) <= 0 or -(-size // min(apart)) > _MOST_RANGES:
        raise _NotSuited
    return -(-size // min(apart))


def _first_page(metadata: pq.FileMetaData, group: int) -> int:
    """Return where DataFusion takes a row group to begin."""
    column = metadata.row_group(group).column(0)
    start = column.dictionary_page_offset if column.has_dictionary_page else None
    return int(column.data_page_offset if start is None else start)


def _has_checksums(
    file: pa.OSFile, metadata: pq.FileMetaData, groups: Sequence[int]
) -> Iterator[bool]:
    """Yield for each row group whether its first page's header has a checksum."""
    for group in groups:
        file.seek(_first_page(metadata, group))
        yield _has_checksum(file.read(_PAGE_HEAD_BYTES))


def _has_checksum(head: bytes) -> bool:
    """Tell by the first bytes of a page: type, size, compressed size, then perhaps a checksum."""
    at = 0
    for _ in range(3):
        if head[at : at + 1] != bytes([_INT32_FIELD]):
            return True  # no header as writers write it; Arrow knows what to say of it
        at += 1
        while at < len(head) and head[at] & 0x80:
            at += 1
        at += 1
    return head[at : at + 1] == bytes([_INT32_FIELD])


def _is_plain(delivered: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(delivered)
        or types.is_integer(delivered)
        or types.is_boolean(delivered)
        or types.is_date32(delivered)
        or types.is_decimal128(delivered)
        or types.is_float32(delivered)
        or types.is_float64(delivered)
    )


def _fits(stored: pa.DataType, delivered: pa.DataType) -> bool:
    if pa.types.is_dictionary(stored):
        return _fits(stored.value_type, delivered)
    if pa.types.is_string(delivered):
        return bool(stored in (pa.string_view(), pa.string()))
    return bool(stored == delivered)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
