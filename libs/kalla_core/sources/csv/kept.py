"""The rows of a small file as its sample has them, so that they are read once.

Types are told from texts, and a file of up to 6 MiB is its own sample: to read it again would find
the same texts. They are kept from the pin to the first reading in the same process; whoever reads
it elsewhere, a second time, or in pieces, reads the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kalla_core.sources.csv.body import CsvFile, CsvSource
from kalla_core.sources.csv.cut import Block
from kalla_core.sources.csv.infer import Told
from kalla_core.sources.csv.sample import Sample
from kalla_core.sources.formats import FileSource
from kalla_core.sources.store import StoredFile


@dataclass(frozen=True, slots=True)
class KeptRows:
    """All rows of a source of one file.

    Attributes:
        stored: the file as it was.
        start: offset of the first row, and `end` of the end of the last.
        texts: as in `Sample`.
        has_quotes: whether there may be records that are broken, which are to be looked for.
    """

    stored: StoredFile
    start: int
    end: int
    texts: pa.Table
    has_quotes: bool

    def holds(self, source: FileSource, file: CsvFile, offsets: Sequence[int]) -> bool:
        """Whether these are the rows of a file between `offsets`."""
        return self._is_of(source, file) and list(offsets) == [self.start, self.end]

    def needs_no_look(self, source: FileSource, file: CsvFile) -> bool:
        """Whether a file is one block that has these rows, and nothing in it can be broken."""
        return self._is_of(source, file) and not self.has_quotes and self.start < self.end

    def block(self, part: int) -> Block:
        """Return the file as one block, whose rows are not numbered or the first."""
        return Block(0, part, self.start, self.end, self.end - self.start, self.texts.num_rows)

    def _is_of(self, source: FileSource, file: CsvFile) -> bool:
        same = source.files == (self.stored,)
        return same and (file.start, file.rows_end) == (self.start, self.end)


def kept_of(
    source: CsvSource, sample: Sample, schema: pa.Schema, told: Mapping[str, Told]
) -> KeptRows | None:
    """Return what can be kept of a sample; None where reading may find anything else.

    Args:
        schema: of all columns that are written; `told` is what the sample tells of them.
    """
    if not (sample.whole and sample.as_written and len(source.files) == 1):
        return None
    (file,) = source.files
    if file.streamed or source.dialect.trailing:
        return None
    if not all(_is_read_alike(told[one.name].type, one.type) for one in schema):
        return None
    quote = source.dialect.quote
    data = sample.pieces[0].data
    return KeptRows(
        source.source.files[0],
        file.start,
        file.rows_end,
        sample.rows,
        quote is not None and quote.encode() in data,
    )


def _is_read_alike(told: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether texts of which one type is told are of another by a cast as by the parser.

    The parser takes blanks around numbers, for one, which a cast does not; of those nothing but
    text is told.
    """
    if wanted == told or pa.types.is_string(wanted):
        return True
    is_number = pa.types.is_integer(told) or pa.types.is_decimal(told)
    return bool(is_number and pa.types.is_decimal128(wanted))
