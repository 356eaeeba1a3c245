"""Statements of banks as kinds of files (see `streams.kind.Kind`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.banks.bai2 import bai2_entries
from kalla_core.sources.banks.camt import camt_entries
from kalla_core.sources.banks.entries import BrokenStatementError, Digits, Entry, table_of
from kalla_core.sources.banks.mt940 import mt940_entries
from kalla_core.sources.csv.packed import NotUnpackedError, unpacked
from kalla_core.sources.formats import FileSource
from kalla_core.sources.streams.kind import Look, Span

_PLAIN = frozenset({"row_number"})


@dataclass(frozen=True, slots=True)
class BankKind:
    """Reads the statements of one standard.

    Attributes:
        entries: yields the entries of an open file, given its encoding.
    """

    name: str
    entries: Callable[[pa.NativeFile, str | None], Iterator[list[Entry]]]
    fields: frozenset[str] = _PLAIN
    typed: bool = False

    def look(self, source: FileSource, index: int) -> Look:
        """Read a file once: how many entries it has, of how many digits, and that it adds up."""
        rows, digits, size = 0, Digits(), 0
        for some in self._read(source, index):
            rows += len(some)
            digits = digits.with_amounts(some)
            size += table_of(some, digits.schema()).nbytes
        return Look(digits.schema(), rows, True, size / rows if rows else 0.0)

    def cut(self, source: FileSource, index: int, pieces: int) -> Sequence[Span | None]:
        """Leave a file whole."""
        return (None,)

    def batches(
        self, source: FileSource, index: int, schema: pa.Schema, span: Span | None
    ) -> Iterator[pa.RecordBatch]:
        """Read some entries at a time."""
        for some in self._read(source, index):
            yield table_of(some, schema)

    def _read(self, source: FileSource, index: int) -> Iterator[list[Entry]]:
        path = source.files[index].path
        with _whole(source, index), source.open(index) as raw, unpacked(raw, path) as stream:
            yield from filter(None, self.entries(stream, source.format.encoding))


@contextmanager
def _whole(source: FileSource, index: int) -> Iterator[None]:
    path = source.files[index].path
    try:
        yield
    except (BrokenStatementError, NotUnpackedError) as cause:
        source.check_unchanged(index)
        raise SourceUnreadable(f"`{path}` {cause}", file=path) from cause


CAMT053 = BankKind("Statements of camt.053", camt_entries)
MT940 = BankKind("Statements of MT940", mt940_entries, _PLAIN | {"encoding"})
BAI2 = BankKind("Statements of BAI2", bai2_entries, _PLAIN | {"encoding"})
