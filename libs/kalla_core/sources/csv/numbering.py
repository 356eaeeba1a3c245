"""How many rows stand before a block: only counted where the rows of a source are numbered.

Blocks that are nothing but lines are counted as such; others by the parser that will read them, so
that both count alike. A block that does not parse counts for nothing: reading it will say why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import pyarrow as pa

from kalla_core.sources.csv.block import BlockParser
from kalla_core.sources.csv.body import CsvFile, CsvSource
from kalla_core.sources.csv.dialect import Dialect
from kalla_core.sources.csv.pick import line_ends
from kalla_core.sources.csv.records import BrokenRecordError, record_blocks
from kalla_core.sources.store import Promise

_BLOCK_BYTES = 8 << 20


def rows_between(source: CsvSource, file: CsvFile, edges: Sequence[int]) -> list[int]:
    """Return how many rows there are between each two of the offsets at which records begin."""
    with source.stream(file, Promise(((edges[0], edges[-1]),))) as stream:

        def blocks() -> Iterator[pa.Buffer]:
            for start, end in pairwise(edges):
                stream.seek(start)
                yield stream.read_buffer(end - start)

        return list(_counts(file, source.dialect, blocks()))


def rows_streamed(source: CsvSource, file: CsvFile) -> int:
    """Return how many rows a file has that can only be streamed."""
    signs = source.dialect.signs(file.terminator)
    with source.rows(file) as read:
        try:
            blocks = map(pa.py_buffer, record_blocks(read, signs, _BLOCK_BYTES))
            return sum(_counts(file, source.dialect, blocks))
        except BrokenRecordError:
            return 0


def _counts(file: CsvFile, dialect: Dialect, blocks: Iterable[pa.Buffer]) -> Iterator[int]:
    schema = pa.schema([(name, pa.string()) for name in file.columns])
    parser = BlockParser(schema, dialect, only=file.columns[:1])
    for block in blocks:
        edges = line_ends(block, dialect.signs(file.terminator))
        if edges is not None:
            yield len(edges) - 1
            continue
        try:
            yield parser.parse(block).num_rows
        except pa.ArrowInvalid:
            yield 0
