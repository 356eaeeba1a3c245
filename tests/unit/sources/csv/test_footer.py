"""The end of rows is found with as much work as a file is long, however long its lines."""

from __future__ import annotations

import io
import sys
import tracemalloc
from types import FrameType

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.csv import footer
from kalla_core.sources.csv.dialect import Dialect

LF = ord("\n")
MIB = 1 << 20


class Pieces:
    """A stream that nobody can seek in, and that gives no more than some bytes at once."""

    def __init__(self, data: bytes, most: int) -> None:
        self._stream = io.BytesIO(data)
        self._most = most

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, self._most))


@given(
    st.lists(st.sampled_from(["a", "b c", "", " ", "\t", "\n", "\n\n", "\r\n", "\r"]), max_size=40),
    st.integers(1, 4),
    st.integers(1, 7),
    st.sampled_from([LF, ord("\r")]),
)
def test_the_end_is_the_same_in_a_stream_as_in_a_file(
    texts: list[str], lines: int, most: int, terminator: int
) -> None:
    data = "".join(texts).encode()

    in_file = footer.end_of_rows(
        pa.PythonFile(io.BytesIO(data), mode="r"), 0, len(data), terminator, lines
    )
    in_stream = footer.end_of_rows(Pieces(data, most), 0, None, terminator, lines)

    assert in_stream == in_file


@pytest.mark.parametrize("line", [b"1" * (16 * MIB), b"\n" * (16 * MIB)], ids=["long", "blank"])
def test_no_line_is_kept_to_find_the_end_of_a_stream(line: bytes) -> None:
    stream = Pieces(b"id\n7\n" + line, MIB)

    tracemalloc.start()
    try:
        end = footer.end_of_rows(stream, 3, None, LF, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert end == (5 if line.strip() else 3)
    assert peak < 4 * MIB


@pytest.mark.parametrize(
    "record", [b"1" * (8 * MIB), b'"' + b"1\n" * (4 * MIB) + b'"'], ids=["long", "of-many-lines"]
)
def test_a_record_is_looked_at_once_to_find_where_rows_stop(record: bytes) -> None:
    data = b"7\n" + record + b"\nTotal\n"
    stream, looked_at = io.BytesIO(data), 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal looked_at
        if event == "call" and frame.f_code is footer._first_match.__code__:
            looked_at += len(frame.f_locals["data"])

    sys.setprofile(note)
    try:
        at = footer.stopping_record(stream.read, LF, Dialect.of(SourceFormat(stop="Total")))
    finally:
        sys.setprofile(None)

    assert at == data.index(b"Total")
    assert len(data) <= looked_at < 1.5 * len(data)
