"""Parquet footers, read and merged, so that row groups encoded apart become one file.

A Parquet file is `PAR1`, the bytes of its row groups, a footer in Thrift's compact protocol, the
footer's length (4 bytes, little-endian) and `PAR1` again. Only the footer knows where things lie,
as offsets from the file's start. So files of one schema are joined by putting their row groups
one after another and shifting those offsets; nothing is decoded. That is how several threads
encode one file, and how the parts of several processes become one.

Sources: parquet.thrift of apache/parquet-format, and the Thrift compact protocol specification.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Final

MAGIC: Final = b"PAR1"
_TAIL = struct.Struct("<i4s")

# Types of the compact protocol, as they stand in field and list headers.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

Fields = dict[int, tuple[int, Any]]
"""A Thrift struct: field id to (type, value); a list is (type of its items, items)."""

Columns = Sequence[tuple[str, int]]

# FileMetaData
_NUM_ROWS, _ROW_GROUPS = 3, 4
# RowGroup
_COLUMNS, _GROUP_BYTES, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_PACKED_BYTES, _ORDINAL = 1, 2, 3, 5, 6, 7
# ColumnChunk
_CHUNK_OFFSET, _CHUNK_META, _OFFSET_INDEX_OFFSET, _COLUMN_INDEX_OFFSET = 2, 3, 4, 6
# ColumnMetaData
_PATH, _BYTES, _PACKED_BYTES, _DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE, _BLOOM_FILTER = (
    *(3, 6, 7, 9, 10, 11, 14),
)
_PAGE_OFFSETS = (_DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE, _BLOOM_FILTER)
_SIZES = ((_GROUP_BYTES, _BYTES), (_GROUP_PACKED_BYTES, _PACKED_BYTES))

_LAST_ORDINAL = 2**15 - 1


class FooterError(ValueError):
    """Bytes that are not a Parquet file, or files that do not go together."""


def split(file: memoryview) -> tuple[memoryview, memoryview]:
    """Return the row groups and the footer of a whole file in memory.

    Raises:
        FooterError: it is not a Parquet file.
    """
    end = len(file) - _TAIL.size
    start = end - _footer_bytes(bytes(file[: len(MAGIC)]), bytes(file[-_TAIL.size :]), end)
    return file[len(MAGIC) : start], file[start:end]


def read_footer(file: BinaryIO, largest_bytes: int | None = None) -> tuple[bytes, int]:
    """Return the footer of an open Parquet file, and the length of its row groups in bytes.

    Args:
        file: at its start.
        largest_bytes: a longer footer is refused.

    Raises:
        FooterError: it is not a Parquet file.
    """
    head = file.read(len(MAGIC))
    size = file.seek(0, os.SEEK_END)
    end = max(0, size - _TAIL.size)
    file.seek(end)
    length = _footer_bytes(head, file.read(), end)
    if largest_bytes is not None and length > largest_bytes:
        raise FooterError(f"not a Parquet file that can be read: its footer has {length} bytes")
    file.seek(end - length)
    return file.read(length), end - length - len(MAGIC)


def rows_of(footer: bytes) -> int:
    """Return the rows that all row groups of a footer have, each of which must be there.

    Raises:
        FooterError: it is none, or contradicts itself.
    """
    common, groups = _read(footer)
    rows = sum(group[_GROUP_ROWS][1] for group in groups)
    if common.get(_NUM_ROWS, (_I64, rows))[1] != rows:
        raise FooterError("a Parquet file whose row groups do not add up")
    return int(rows)


def ended(footer: bytes) -> bytes:
    """Return the end of a file: its footer, that one's length, and the magic."""
    return footer + _TAIL.pack(len(footer), MAGIC)


def _footer_bytes(head: bytes, tail: bytes, end: int) -> int:
    """Return the footer's length, by the first and last bytes of a file and where it ends."""
    if head != MAGIC or len(tail) < _TAIL.size:
        raise FooterError("not a Parquet file")
    length, magic = _TAIL.unpack(tail)
    if magic != MAGIC or not 0 < length <= end - len(MAGIC):
        raise FooterError("not a Parquet file, or one that is cut off")
    return int(length)


class MergedFooter:
    """The footer of a file that grows by row groups of other files.

    Attributes:
        rows: of all row groups so far.
    """

    def __init__(self, model: memoryview | bytes) -> None:
        """Begin without row groups, with the schema and all else of the footer `model`.

        Raises:
            FooterError: it is none.
        """
        self.rows = 0
        self._common, _ = _read(model)
        self._groups: list[bytes] = []

    def add(self, footer: memoryview | bytes, moved: int) -> None:
        """Take over the row groups of `footer`, whose bytes lie `moved` further on than there.

        Raises:
            FooterError: it is none, or of another schema; nothing is changed.
        """
        common, groups = _read(footer)
        if common != self._common:
            raise FooterError("Parquet files of unlike schemas cannot become one")
        for group in groups:
            self._take(group, moved)

    def add_with_twins(
        self, footer: memoryview | bytes, moved: int, columns: Columns, end: int
    ) -> list[tuple[int, int]]:
        """Take over the row group of a file that has each of the columns that are alike once.

        Args:
            footer: of one row group.
            columns: of this file, none of them nested, in order: its name, and which column of
                the other file it is.
            end: of the row group there.

        Returns:
            the ranges of that file's bytes that are to come after its row group, in their order.
        """
        _, (group,) = _read(footer)
        once = group[_COLUMNS][1][1]
        chunks: list[Fields] = []
        ranges = []
        for number, (name, place) in enumerate(columns):
            chunk = once[place]
            if any(place == before for _, before in columns[:number]):
                start, size = _span(chunk)
                chunk = _moved_chunk(chunk, end - start)
                chunk[_CHUNK_META][1][_PATH] = (_LIST, (_BINARY, [name.encode()]))
                for of_group, of_chunk in _SIZES:
                    _shift(group, of_group, chunk[_CHUNK_META][1][of_chunk][1])
                ranges.append((start, start + size))
                end += size
            chunks.append(chunk)
        group[_COLUMNS] = (_LIST, (_STRUCT, chunks))
        self._take(group, moved)
        return ranges

    def finish(self) -> bytes:
        """Return the end of the file (see `ended`)."""
        groups = _list_header(_STRUCT, len(self._groups)) + b"".join(self._groups)
        fields = self._common | {_NUM_ROWS: (_I64, self.rows), _ROW_GROUPS: (_LIST, groups)}
        return ended(_struct(fields))

    def _take(self, group: Fields, moved: int) -> None:
        self.rows += group[_GROUP_ROWS][1]
        _shift(group, _GROUP_OFFSET, moved)
        if group.pop(_ORDINAL, None) and len(self._groups) <= _LAST_ORDINAL:
            group[_ORDINAL] = (_I16, len(self._groups))
        kind, (items, chunks) = group[_COLUMNS]
        group[_COLUMNS] = (kind, (items, [_moved_chunk(chunk, moved) for chunk in chunks]))
        self._groups.append(_struct(group))


def _span(chunk: Fields) -> tuple[int, int]:
    """Return where a column of a row group begins, and its bytes."""
    meta = chunk[_CHUNK_META][1]
    first = meta.get(_DICTIONARY_PAGE, (_I64, 0))[1] or meta[_DATA_PAGE][1]
    return first, meta[_PACKED_BYTES][1]


def _moved_chunk(chunk: Fields, by: int) -> Fields:
    """Return a column of a row group that lies so many bytes further on."""
    kind, meta = chunk[_CHUNK_META]
    moved, meta = chunk.copy(), meta.copy()
    for offset in (_OFFSET_INDEX_OFFSET, _COLUMN_INDEX_OFFSET, _CHUNK_OFFSET):
        _shift(moved, offset, by)
    for offset in _PAGE_OFFSETS:
        _shift(meta, offset, by)
    moved[_CHUNK_META] = (kind, meta)
    return moved


def _read(footer: memoryview | bytes) -> tuple[Fields, list[Fields]]:
    """Return what the files of a schema have in common, and the row groups."""
    try:
        fields = _Reader(bytes(footer)).struct()
        _, (_, groups) = fields.pop(_ROW_GROUPS)
        fields.pop(_NUM_ROWS)
    except (IndexError, KeyError) as error:
        raise FooterError("not the footer of a Parquet file") from error
    return fields, groups


def _shift(fields: Fields, offset: int, by: int) -> None:
    kind, value = fields.get(offset, (_I64, 0))
    if value > 0:  # writers give 0 or -1 where they have nothing to point to
        fields[offset] = (kind, value + by)


class _Reader:
    """Reads the compact protocol from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> Fields:
        fields: Fields = {}
        number = 0
        while header := self._byte():
            kind, delta = header & 0x0F, header >> 4
            number = number + delta if delta else self._integer()
            fields[number] = (kind, _READ[kind](self))
        return fields

    def list(self) -> tuple[int, list[Any]]:
        header = self._byte()
        kind, size = header & 0x0F, header >> 4
        if size == 15:
            size = self._varint()
        # A boolean is in its field's header, but takes a byte as an item.
        read = _READ[_BYTE if kind in (_TRUE, _FALSE) else kind]
        return kind, [read(self) for _ in range(size)]

    def true(self) -> bool:
        return True

    def false(self) -> bool:
        return False

    def byte(self) -> bytes:
        return self._take(1)

    def double(self) -> bytes:
        return self._take(8)

    def binary(self) -> bytes:
        return self._take(self._varint())

    def integer(self) -> int:
        return self._integer()

    def map(self) -> Any:
        raise FooterError("a map in a Parquet footer")  # parquet.thrift has none

    def _integer(self) -> int:
        raw = self._varint()
        return (raw >> 1) ^ -(raw & 1)

    def _varint(self) -> int:
        result = shift = 0
        while True:
            byte = self._byte()
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken


_READ: dict[int, Callable[[_Reader], Any]] = {
    _TRUE: _Reader.true,
    _FALSE: _Reader.false,
    _BYTE: _Reader.byte,
    _I16: _Reader.integer,
    _I32: _Reader.integer,
    _I64: _Reader.integer,
    _DOUBLE: _Reader.double,
    _BINARY: _Reader.binary,
    _LIST: _Reader.list,
    _SET: _Reader.list,
    _MAP: _Reader.map,
    _STRUCT: _Reader.struct,
}


def _struct(fields: Fields) -> bytes:
    out = bytearray()
    before = 0
    for number in sorted(fields):
        kind, value = fields[number]
        delta = number - before
        if 0 < delta < 16:
            out.append(delta << 4 | kind)
        else:
            out.append(kind)
            out += _integer(number)
        out += _WRITE[kind](value)
        before = number
    out.append(0)
    return bytes(out)


def _list(value: tuple[int, list[Any]] | bytes) -> bytes:
    if isinstance(value, bytes):  # written before
        return value
    kind, items = value
    write = _WRITE[_BYTE if kind in (_TRUE, _FALSE) else kind]
    return _list_header(kind, len(items)) + b"".join(map(write, items))


def _list_header(kind: int, size: int) -> bytes:
    return bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + _varint(size)


def _integer(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else ~(value << 1))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _nothing(_: bool) -> bytes:
    return b""


def _binary(value: bytes) -> bytes:
    return _varint(len(value)) + value


_WRITE: dict[int, Callable[[Any], bytes]] = {
    _TRUE: _nothing,
    _FALSE: _nothing,
    _BYTE: bytes,
    _I16: _integer,
    _I32: _integer,
    _I64: _integer,
    _DOUBLE: bytes,
    _BINARY: _binary,
    _LIST: _list,
    _SET: _list,
    _STRUCT: _struct,
}
