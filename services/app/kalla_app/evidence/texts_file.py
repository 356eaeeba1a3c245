"""What is looked through for a text: a file with the texts of all rows, lower-case and packed.

To look through ten million rows takes as long as to unpack them and to search their bytes once.
Columns with few values are not in it: their words are, and the column itself is only read when one
of them holds the text.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_app.evidence.beside import read, told_by, written
from kalla_app.evidence.search import may_hold, narrow

Mask = npt.NDArray[np.bool_]

_END = "\x1f"
"""Stands behind each value, so that no text is found that begins in one and ends in another."""

_MOST_WORDS = 5000
_SEVERAL = 4096
"""Hits in a batch from which on each row is looked at for itself."""

_WORDS, _COLUMNS = "words", "columns"
_FIELD = pa.field("text", pa.string())


def write_texts(path: Path, of: str, parts: Sequence[pq.ParquetFile]) -> None:
    """Write the texts of the rows of a set, a row group at a time; `of` as `made_of` says."""
    schema = parts[0].schema_arrow
    few = {*narrow(parts[0].metadata)}
    held = [field.name for field in schema if may_hold(field.type, "")]
    apart = [name for name in held if name in few or _is_day(schema.field(name).type)]
    named = [name for name in held if name not in apart]
    told = {_COLUMNS: named, _WORDS: {name: _words(parts, name) for name in apart}}
    with written(path, _FIELD, of, told, packed=True) as writer:
        for part in parts:
            for group in range(part.metadata.num_row_groups):
                table = part.read_row_group(group, columns=named, use_threads=False)
                columns = [_lower(column.combine_chunks()) for column in table.columns]
                texts = (
                    pc.binary_join_element_wise(*columns, "", _END)
                    if columns
                    else pa.array([""] * part.metadata.row_group(group).num_rows, pa.string())
                )
                writer.write_batch(pa.record_batch([texts], schema=pa.schema([_FIELD])))


class Texts:
    """The texts of the rows of a set, as they were written; for one thread.

    Attributes:
        words: of the columns that are not in them; None where those are too many.
    """

    def __init__(self, reader: pa.ipc.RecordBatchFileReader) -> None:
        self._reader = reader
        self.words = cast("dict[str, list[str] | None]", told_by(reader)[_WORDS])

    @classmethod
    def opened(cls, path: Path, of: str) -> Texts | None:
        """Open a file; None if there is none of these files."""
        reader = read(path, of)
        return None if reader is None else cls(reader)

    def knows(self, q: str) -> bool:
        """Whether a text can be looked for here."""
        return _END not in q

    def beside(self, q: str) -> list[str]:
        """Return columns that are to be looked through as well."""
        needle = _lowered(q)
        return [
            name
            for name, words in self.words.items()
            if words is None or any(needle in word for word in words)
        ]

    def holding(self, q: str, group: int) -> Mask:
        """Return which rows of a row group of the set hold a text in a column that is in here."""
        return _rows_with(_lowered(q), self._reader.get_batch(group).column(0))


def _rows_with(needle: str, texts: pa.StringArray) -> Mask:
    _, offsets, data = texts.buffers()
    mask = np.zeros(len(texts), np.bool_)
    if data is None or not needle:
        return mask
    hits: list[int] = []
    for hit in _FIND(data, needle.encode()):
        hits.append(hit)
        if len(hits) == _SEVERAL:
            return np.asarray(pc.match_substring(texts, needle).to_numpy(zero_copy_only=False))
    if not hits:
        return mask
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1)[1:]
    mask[np.searchsorted(ends, np.array(hits, np.int64), side="right")] = True
    return mask


def _found_by_python(data: pa.Buffer, needle: bytes) -> Iterator[int]:
    return (hit.start() for hit in re.finditer(re.escape(needle), memoryview(data)))


def _finder() -> Callable[[pa.Buffer, bytes], Iterator[int]]:
    """Return what finds bytes: the C library where it can, twice as fast and without our lock."""
    try:
        memmem = ctypes.CDLL(None).memmem
    except (AttributeError, OSError, TypeError):
        return _found_by_python
    memmem.restype = ctypes.c_void_p
    memmem.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]

    def find(data: pa.Buffer, needle: bytes) -> Iterator[int]:
        start = at = data.address
        end = start + data.size
        while (hit := memmem(at, end - at, needle, len(needle))) is not None:
            yield hit - start
            at = hit + 1

    return find


_FIND = _finder()


def _words(parts: Sequence[pq.ParquetFile], name: str) -> list[str] | None:
    """Return the values of a column as texts; None if there are many."""
    words: set[str] = set()
    for part in parts:
        for group in range(part.metadata.num_row_groups):
            column = part.read_row_group(group, columns=[name], use_threads=False).column(0)
            words.update(_lower(pc.unique(column)).to_pylist())
            if len(words) > _MOST_WORDS:
                return None
    return sorted(words)


def _lower(column: pa.Array) -> pa.Array:
    """Return the texts of a column in lower case; of what is null, none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    texts = pc.fill_null(pc.cast(column, pa.string()), "")
    plain = pc.all(pc.string_is_ascii(texts)).as_py()
    return pc.ascii_lower(texts) if plain is not False else pc.utf8_lower(texts)


def _lowered(q: str) -> str:
    return str(pc.utf8_lower(pa.scalar(q)).as_py())


def _is_day(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_boolean(kind))
