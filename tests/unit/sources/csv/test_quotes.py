"""The vectorised automaton says of every byte what a plain one says."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.sources.csv.quotes import QuoteScanner
from kalla_core.sources.csv.records import (
    BrokenRecordError,
    record_blocks,
    record_ends,
    record_starts,
)

COMMA, NEWLINE, QUOTE = ord(","), ord("\n"), ord('"')

texts = st.text(alphabet='ab",\n\r', max_size=400).map(str.encode)
quoty_texts = st.text(alphabet='"""",a\n', min_size=100, max_size=2000).map(str.encode)


def inside_after_each_byte(data: bytes) -> list[bool]:
    """The rules of the module's table, one byte at a time."""
    states: list[bool] = []
    inside, shut = False, False
    before = NEWLINE
    for byte in data:
        if byte != QUOTE:
            shut = False
        elif inside:
            inside, shut = False, True
        elif before in b",\n\r" or (before == QUOTE and shut):
            inside, shut = True, False
        else:
            shut = False
        states.append(inside)
        before = byte
    return states


def record_starts_plainly(data: bytes) -> list[int]:
    inside = inside_after_each_byte(data)
    return [0] + [i + 1 for i, byte in enumerate(data) if byte == NEWLINE and not inside[i]]


@given(texts | quoty_texts, st.integers(1, 50))
def test_quotes_of_blocks_of_any_size_are_those_of_a_plain_automaton(
    data: bytes, block_bytes: int
) -> None:
    scanner = QuoteScanner(COMMA)

    found: list[bool] = []
    for start in range(0, len(data), block_bytes):
        block = np.frombuffer(data[start : start + block_bytes], np.uint8)
        found.extend(scanner.advance(block).inside.tolist())

    expected = inside_after_each_byte(data)
    assert found == [expected[i] for i, byte in enumerate(data) if byte == QUOTE]
    assert scanner.inside == bool(expected and expected[-1])


@given(texts | quoty_texts)
def test_a_block_ends_records_where_a_plain_automaton_does(data: bytes) -> None:
    ends = record_ends(data or b"a", COMMA, NEWLINE)

    assert {*ends, 0} == {*record_starts_plainly(data or b"a"), len(data or b"a")}


@given(texts, st.lists(st.integers(1, 400), max_size=8, unique=True).map(sorted))
def test_a_target_is_moved_to_the_first_record_that_starts_there_or_later(
    data: bytes, targets: list[int]
) -> None:
    if inside_after_each_byte(data)[-1:] == [True]:
        data += b'"'
    file = pa.PythonFile(io.BytesIO(data), "r")

    starts = record_starts(file, 0, len(data), targets, COMMA, NEWLINE)

    plain = record_starts_plainly(data)
    assert starts == [min((s for s in plain if s >= t), default=len(data)) for t in targets]


@given(texts, st.integers(1, 60))
def test_a_stream_is_cut_into_whole_records(data: bytes, block_bytes: int) -> None:
    if inside_after_each_byte(data)[-1:] == [True]:
        data += b'"'
    blocks = list(record_blocks(io.BytesIO(data).read, COMMA, NEWLINE, block_bytes))

    edges = np.cumsum([0, *map(len, blocks)]).tolist()

    assert b"".join(blocks) == data
    assert all(start < end for start, end in pairwise(edges))
    assert set(edges[:-1]) <= set(record_starts_plainly(data))


def test_a_quote_that_is_never_closed_is_told_with_the_offset_of_its_record() -> None:
    data = b'a,b\nc,"d\ne,f\n'

    with pytest.raises(BrokenRecordError) as caught:
        list(record_blocks(io.BytesIO(data).read, COMMA, NEWLINE, 5))

    assert caught.value.offset == 4
