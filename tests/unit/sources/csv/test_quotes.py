"""The vectorised automaton says of every byte what a plain one says."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kalla_core.sources.csv.dialect import Signs
from kalla_core.sources.csv.quotes import QuoteScanner
from kalla_core.sources.csv.records import (
    BrokenRecordError,
    record_blocks,
    record_ends,
    record_starts,
)

NEWLINE, QUOTE = ord("\n"), ord('"')
SIGNS = Signs(ord(","), NEWLINE)

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


def text_behind_a_quote(data: bytes) -> int | None:
    """Return the index of the first byte that may not stand behind a quote that shut."""
    inside = inside_after_each_byte(data)
    for i, byte in enumerate(data[:-1]):
        shut = byte == QUOTE and not inside[i] and i > 0 and inside[i - 1]
        if shut and data[i + 1] not in b',\n\r"':
            return i + 1
    return None


def record_starts_plainly(data: bytes) -> list[int]:
    inside = inside_after_each_byte(data)
    return [0] + [i + 1 for i, byte in enumerate(data) if byte == NEWLINE and not inside[i]]


@given(texts | quoty_texts, st.integers(1, 50))
def test_quotes_of_blocks_of_any_size_are_those_of_a_plain_automaton(
    data: bytes, block_bytes: int
) -> None:
    scanner = QuoteScanner(SIGNS)

    found: list[bool] = []
    for start in range(0, len(data), block_bytes):
        block = np.frombuffer(data[start : start + block_bytes], np.uint8)
        found.extend(scanner.advance(block).inside.tolist())

    expected = inside_after_each_byte(data)
    assert found == [expected[i] for i, byte in enumerate(data) if byte == QUOTE]
    assert scanner.inside == bool(expected and expected[-1])


@given(texts | quoty_texts)
def test_a_block_ends_records_where_a_plain_automaton_does(data: bytes) -> None:
    ends = record_ends(data or b"a", SIGNS)

    assert {*ends, 0} == {*record_starts_plainly(data or b"a"), len(data or b"a")}


@given(texts, st.lists(st.integers(1, 400), max_size=8, unique=True).map(sorted))
def test_a_target_is_moved_to_the_first_record_that_starts_there_or_later(
    data: bytes, targets: list[int]
) -> None:
    if inside_after_each_byte(data)[-1:] == [True]:
        data += b'"'
    assume(text_behind_a_quote(data) is None)
    file = pa.PythonFile(io.BytesIO(data), "r")

    starts = record_starts(file, 0, len(data), targets, SIGNS)

    plain = record_starts_plainly(data)
    assert starts == [min((s for s in plain if s >= t), default=len(data)) for t in targets]


@given(texts, st.integers(1, 60))
def test_a_stream_is_cut_into_whole_records(data: bytes, block_bytes: int) -> None:
    if inside_after_each_byte(data)[-1:] == [True]:
        data += b'"'
    assume(text_behind_a_quote(data) is None)
    blocks = list(record_blocks(io.BytesIO(data).read, SIGNS, block_bytes))

    edges = np.cumsum([0, *map(len, blocks)]).tolist()

    assert b"".join(blocks) == data
    assert all(start < end for start, end in pairwise(edges))
    assert set(edges[:-1]) <= set(record_starts_plainly(data))


def test_a_quote_that_is_never_closed_is_told_with_the_offset_of_its_record() -> None:
    data = b'a,b\nc,"d\ne,f\n'

    with pytest.raises(BrokenRecordError) as caught:
        list(record_blocks(io.BytesIO(data).read, SIGNS, 5))

    assert caught.value.offset == 4


@given(texts | quoty_texts, st.integers(1, 60))
def test_text_behind_a_closing_quote_is_found_whatever_the_blocks(
    data: bytes, block_bytes: int
) -> None:
    expected = text_behind_a_quote(data)

    found: BrokenRecordError | None = None
    try:
        list(record_blocks(io.BytesIO(data).read, SIGNS, block_bytes))
    except BrokenRecordError as error:
        found = error

    at = None if found is None else found.at
    assert at == expected
    if found is not None and expected is not None:
        plain = record_starts_plainly(data[:expected])
        assert found.offset == max(start for start in plain if start < expected)
