"""CSV as a file format (see `FormatReader`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import InvalidFormat, SourceChanged, UnknownColumn
from kalla_core.recipe.column_types import parse_type
from kalla_core.recipe.nearest import suggestion
from kalla_core.sources.csv.block import BlockParser
from kalla_core.sources.csv.body import CsvFile, CsvSource, open_csv_source
from kalla_core.sources.csv.cut import BLOCK_BYTES, Block, Target, parts_of, targets
from kalla_core.sources.csv.infer import Told, one_array, told_type
from kalla_core.sources.csv.kept import KeptRows, kept_of
from kalla_core.sources.csv.locate import explain_broken, explain_misfit
from kalla_core.sources.csv.made import MadeColumns, debit_remedy
from kalla_core.sources.csv.numbering import rows_between, rows_streamed
from kalla_core.sources.csv.pick import Flags, cut_out, line_ends
from kalla_core.sources.csv.records import (
    MAX_BLOCK_BYTES,
    TOO_LONG,
    BrokenRecordError,
    record_blocks,
    record_starts,
)
from kalla_core.sources.csv.sample import Sample, take_sample
from kalla_core.sources.csv.spelling import Spelling
from kalla_core.sources.csv.texts import text_reasons
from kalla_core.sources.csv.united import selected, united
from kalla_core.sources.filters import RowFilter
from kalla_core.sources.formats import FileSource, Pruned, Shape
from kalla_core.sources.marked import Flags as Marked
from kalla_core.sources.protocol import Part, PinnedSource, Statistics
from kalla_core.sources.store import NO_PROMISE, Promise

_PREVIEW_BLOCK_BYTES = 256 << 10
_GLANCE_BYTES = 64 << 10
_TEXT = Told(pa.string())


class CsvFormat:
    """Reads CSV files; what it has read of a small one to tell its types, it reads once.

    Args:
        threads: that look at what types are told from.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._kept: KeptRows | None = None

    def shape(self, source: FileSource) -> Shape:
        """Read headers and a sample; fix the types."""
        csv_source, columns, notes = open_csv_source(source)
        made = MadeColumns.of(source.format)
        made.check(columns, source.types)
        _check_types(source.types, columns)
        sample = take_sample(csv_source, columns, self._threads)
        spelling = csv_source.dialect.spelling
        told = {
            name: _TEXT
            if _is_text_anyhow(source, name)
            else told_type(sample.rows.column(name), spelling)
            for name in columns
        }
        written = pa.schema([(name, _type(source, sample, name, told[name])) for name in columns])
        looked_at = [
            name
            for name in columns
            if name not in source.types and _may_be_another(written.field(name).type)
        ]
        reasons = text_reasons(csv_source, sample, looked_at)
        schema = made.schema(written, reasons)
        _check_debits(source, sample, told)
        self._kept = kept_of(csv_source, sample, written, told)
        return Shape(
            schema=schema,
            statistics=_statistics(csv_source, sample),
            detail={
                "bodies": [file.as_json() for file in csv_source.files],
                "canonical": [
                    field.name
                    for field in written
                    if pa.types.is_integer(field.type) and field.name not in source.types
                ],
                "currencies": {
                    name: one.currency for name, one in told.items() if one.currency is not None
                },
                "notes": list(notes),
                "texts": reasons,
                "unseen": [name for name in looked_at if pa.types.is_null(told[name].type)],
            },
        )

    def plan(self, source: FileSource, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Scan the files for quotes and cut them at records."""
        csv_source = CsvSource.of(source, pinned.detail)
        blocks: list[Block] = []
        kept = self._kept
        for file, wanted in zip(csv_source.files, targets(csv_source.files, parts), strict=True):
            if len(wanted) == 1 and kept is not None and kept.needs_no_look(source, file):
                blocks.append(kept.block(wanted[0].part))
            else:
                blocks.extend(_blocks(csv_source, file, wanted))
            source.check_unchanged(file.index)
        return parts_of(blocks)

    def read(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        row_filter: RowFilter,
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read the blocks of a part, one batch each."""
        csv_source = CsvSource.of(source, pinned.detail)
        reader = _Reader(csv_source, pinned, columns)
        for piece in part.detail["pieces"]:
            file, offsets = csv_source.files[piece["file"]], piece.get("offsets")
            before = piece["before"]
            if offsets is None:
                yield from reader.streamed(file, before)
            elif (kept := self._taken(source, file, offsets)) is not None:
                yield from reader.kept(file, kept, before)
            else:
                yield from reader.planned(file, offsets, before)

    def _taken(self, source: FileSource, file: CsvFile, offsets: Sequence[int]) -> KeptRows | None:
        """Return the rows between `offsets` if they are at hand, once."""
        kept = self._kept
        if kept is None or not kept.holds(source, file, offsets):
            return None
        self._kept = None
        return kept

    def pick(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Parse only the lines that are wanted, where lines are records."""
        csv_source = CsvSource.of(source, pinned.detail)
        reader, flags = _Reader(csv_source, pinned, columns), Marked(wanted)
        for piece in part.detail["pieces"]:
            file, offsets = csv_source.files[piece["file"]], piece.get("offsets")
            if offsets is not None:
                yield from reader.picked(file, offsets, flags, piece["before"])
                continue
            for batch in reader.streamed(file, piece["before"]):
                yield batch.filter(pa.array(flags.take(batch.num_rows)))
        flags.finish()

    def read_whole(
        self, source: FileSource, pinned: PinnedSource, row_filter: RowFilter
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read the files as streams."""
        csv_source = CsvSource.of(source, pinned.detail)
        reader, before = _Reader(csv_source, pinned), 0
        for file in csv_source.files:
            for batch in reader.streamed(file, before, _PREVIEW_BLOCK_BYTES):
                before += batch.num_rows
                yield batch


class _Reader:
    """Reads pieces of files into batches; names the line of what it cannot read."""

    def __init__(
        self, source: CsvSource, pinned: PinnedSource, columns: Collection[str] | None = None
    ) -> None:
        self._source = source
        self._pinned = pinned
        self._schema = selected(pinned.schema, columns)
        self._made = MadeColumns.of(source.source.format)
        self._parsers: dict[tuple[str, ...], BlockParser] = {}

    def _parser(self, file: CsvFile) -> BlockParser:
        found = self._parsers.get(file.columns)
        if found is None:
            wanted = {*self._schema.names, *self._made.inputs(self._schema.names)}
            names = [name for name in file.columns if name in wanted]
            found = self._parsers[file.columns] = BlockParser(
                pa.schema([self._pinned.schema.field(name) for name in file.columns]),
                self._source.dialect,
                self._pinned.detail["canonical"],
                names or file.columns[:1],  # rows are counted by some column
                self._pinned.detail["currencies"],
            )
        return found

    def _parse(
        self, file: CsvFile, block: pa.Buffer, before: int, wanted: Flags | None = None
    ) -> pa.RecordBatch:
        """Return the rows of a block with `before` rows before it, of which it has the `wanted`."""
        return self._whole(self._parser(file).parse(block), before, wanted)

    def _whole(
        self, batch: pa.RecordBatch, before: int, wanted: Flags | None = None
    ) -> pa.RecordBatch:
        """Return rows with the columns that are made of what is written."""
        numbers = np.arange(batch.num_rows) if wanted is None else np.flatnonzero(wanted)
        return united(self._made.added(batch, self._schema, numbers + before + 1), self._schema)

    def planned(
        self, file: CsvFile, offsets: Sequence[int], before: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield a batch for each block between `offsets`, before which there are so many rows."""
        for start, block in self._planned_blocks(file, offsets):
            for batch in self._parsed(file, start, block, before):
                before += batch.num_rows
                yield batch

    def kept(self, file: CsvFile, rows: KeptRows, before: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file that are at hand as texts, see `planned`."""
        try:
            batch = self._parser(file).typed(rows.texts)
        except pa.ArrowInvalid:  # the block knows in which line
            yield from self.planned(file, (rows.start, rows.end), before)
            return
        if batch.num_rows:
            yield self._whole(batch, before)
        self._source.source.check_unchanged(file.index)

    def picked(
        self, file: CsvFile, offsets: Sequence[int], marks: Marked, before: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows that `marks` has of the blocks between `offsets`, see `planned`."""
        for start, block in self._planned_blocks(file, offsets):
            edges = line_ends(block, self._source.dialect.signs(file.terminator))
            if edges is None:
                for batch in self._parsed(file, start, block, before):
                    before += batch.num_rows
                    yield batch.filter(pa.array(marks.take(batch.num_rows)))
                continue
            wanted = marks.take(len(edges) - 1)
            if wanted.any():
                yield from self._cut_out(file, start, block, edges, wanted, before)
            before += len(wanted)

    def _cut_out(
        self,
        file: CsvFile,
        start: int,
        block: pa.Buffer,
        edges: npt.NDArray[np.int32],
        wanted: Flags,
        before: int,
    ) -> Iterator[pa.RecordBatch]:
        try:
            yield self._parse(file, cut_out(block, edges, wanted), before, wanted)
        except pa.ArrowInvalid:  # the whole block knows in which line
            for batch in self._parsed(file, start, block, before):
                yield batch.filter(pa.array(wanted))

    def _planned_blocks(
        self, file: CsvFile, offsets: Sequence[int]
    ) -> Iterator[tuple[int, pa.Buffer]]:
        promise = Promise(((offsets[0], offsets[-1]),))
        with self._source.stream(file, promise) as stream:
            for start, end in pairwise(offsets):
                stream.seek(start)
                block = stream.read_buffer(end - start)
                if block.size != end - start:
                    raise SourceChanged(
                        f"`{file.path}` became shorter while it was read.", path=file.path
                    )
                yield start, block
        self._source.source.check_unchanged(file.index)

    def streamed(
        self, file: CsvFile, before: int, block_bytes: int = BLOCK_BYTES
    ) -> Iterator[pa.RecordBatch]:
        """Yield the whole file, a batch for each block of about so many bytes, see `planned`."""
        offset = file.start
        promise = Promise(((0, file.size_bytes),)) if block_bytes == BLOCK_BYTES else NO_PROMISE
        for block in self._blocks(file, block_bytes, promise):
            for batch in self._parsed(file, offset, pa.py_buffer(block), before):
                before += batch.num_rows
                yield batch
            offset += len(block)
        self._source.source.check_unchanged(file.index)

    def _blocks(self, file: CsvFile, block_bytes: int, promise: Promise) -> Iterator[bytes]:
        signs = self._source.dialect.signs(file.terminator)
        try:
            with self._source.rows(file, promise) as read:
                yield from record_blocks(read, signs, block_bytes)
        except BrokenRecordError as broken:
            self._source.source.check_unchanged(file.index)
            raise explain_broken(self._source, file, broken) from None

    def _parsed(
        self, file: CsvFile, offset: int, block: pa.Buffer, before: int
    ) -> Iterator[pa.RecordBatch]:
        try:
            batch = self._parse(file, block, before)
        except pa.ArrowInvalid:
            self._source.source.check_unchanged(file.index)
            raise explain_misfit(
                self._source, file, self._parser(file), offset, block.to_pybytes()
            ) from None
        if batch.num_rows:
            yield batch


def _blocks(source: CsvSource, file: CsvFile, wanted: Sequence[Target]) -> Iterator[Block]:
    if not wanted:
        return
    numbered = source.source.format.row_number is not None
    if file.streamed:
        if _has_rows(source, file):
            rows = rows_streamed(source, file) if numbered else 0
            yield Block(file.index, wanted[0].part, None, None, file.body_bytes, rows)
        return
    try:
        with source.stream(file, Promise(((file.start, file.rows_end),))) as stream:
            starts = record_starts(
                stream,
                file.start,
                file.rows_end,
                [target.offset for target in wanted[1:]],
                source.dialect.signs(file.terminator),
            )
    except BrokenRecordError as broken:
        source.source.check_unchanged(file.index)
        raise explain_broken(source, file, broken) from None
    edges = [file.start, *starts, file.rows_end]
    _refuse_long_records(source, file, edges)
    counts = rows_between(source, file, edges) if numbered else [0] * len(wanted)
    for target, (start, end), count in zip(wanted, pairwise(edges), counts, strict=True):
        if start < end:
            yield Block(file.index, target.part, start, end, end - start, count)


def _refuse_long_records(source: CsvSource, file: CsvFile, edges: Sequence[int]) -> None:
    if max(end - start for start, end in pairwise(edges)) > MAX_BLOCK_BYTES:
        raise explain_broken(source, file, BrokenRecordError(None, TOO_LONG))


def _has_rows(source: CsvSource, file: CsvFile) -> bool:
    with source.rows(file) as read:
        while some := read(_GLANCE_BYTES):
            if some.strip(b"\r\n"):
                return True
    return False


def _type(source: FileSource, sample: Sample, column: str, told: Told) -> pa.DataType:
    """Return a column's type; one of which nothing is known may hold anything, which is text."""
    if column in source.types:
        return parse_type(source.types[column])
    return pa.string() if pa.types.is_null(told.type) and not sample.whole else told.type


def _is_text_anyhow(source: FileSource, column: str) -> bool:
    """Whether nobody asks what the texts of a column look like."""
    amount = source.format.amount
    if amount is not None and column in (amount.debit, amount.credit):
        return False
    return column in source.types and pa.types.is_string(parse_type(source.types[column]))


def _check_debits(source: FileSource, sample: Sample, told: Mapping[str, Told]) -> None:
    """Refuse debits that are negative throughout, where the format does not say what they mean."""
    amount = source.format.amount
    if amount is None:
        return
    texts = pc.cast(one_array(sample.rows.column(amount.debit).drop_null()), pa.string())
    numbers = Spelling.of(source.format).numbers
    if numbers is not None:
        texts = numbers.rewritten(texts, told[amount.debit].currency)
    if remedy := debit_remedy(amount, texts):
        raise InvalidFormat(remedy, field="amount")


def _may_be_another(column_type: pa.DataType) -> bool:
    """Whether values of a column may be meant otherwise: texts, and days written as integers."""
    return bool(pa.types.is_string(column_type) or pa.types.is_integer(column_type))


def _check_types(types: Mapping[str, str], columns: Sequence[str]) -> None:
    for name, word in types.items():
        if name not in columns:
            raise UnknownColumn(
                f"`types` is about the column `{name}`, which is not there."
                f" {suggestion(name, columns)}",
                column=name,
            )
        parse_type(word)


def _statistics(source: CsvSource, sample: Sample) -> Statistics:
    rows = sample.rows.num_rows
    if sample.whole:
        return Statistics(rows=rows, arrow_bytes=sample.rows.nbytes, exact=True)
    if not rows:
        return Statistics()
    share = sum(file.body_bytes for file in source.files) / sample.size_bytes
    return Statistics(rows=int(rows * share), arrow_bytes=int(sample.rows.nbytes * share))
