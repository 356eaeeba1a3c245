"""An object as a file: the right bytes, fetched ahead, never more than the budget."""

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.s3.ranges import BLOCK_BYTES, BUDGET_BYTES, RangeReader

CONTENT = bytes(n * n % 251 for n in range(100_000))


class Fetches:
    """An object, and what was fetched of it."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.ranges: list[tuple[int, int]] = []
        self._noting = threading.Lock()

    def __call__(self, start: int, end: int) -> bytes:
        with self._noting:
            self.ranges.append((start, end))
        return self.content[start:end]


@st.composite
def promises(draw: st.DrawFn) -> list[tuple[int, int]]:
    edges = sorted(draw(st.sets(st.integers(0, len(CONTENT)), max_size=12)))
    return list(pairwise(edges))[:: draw(st.sampled_from([1, 2]))]


@given(
    promised=promises(),
    turns=st.integers(1, 100),
    reads=st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(-1, 60_000))),
)
def test_any_reads_whatever_was_promised_return_the_bytes_there(
    promised: list[tuple[int, int]], turns: int, reads: list[tuple[int, int]]
) -> None:
    with RangeReader(len(CONTENT), Fetches(), promised, turns) as reader:
        for start, size in reads:
            reader.seek(start)
            data = reader.read(size)

            assert data == CONTENT[start:][: size if size >= 0 else None]
            assert reader.tell() == start + len(data)


def test_a_promised_range_is_fetched_once_though_it_is_read_in_pieces() -> None:
    fetches = Fetches()

    with RangeReader(len(CONTENT), fetches, [(10, 90_000)]) as reader:
        reader.seek(10)
        pieces = [reader.read(9_998) for _ in range(9)]

    assert b"".join(pieces) == CONTENT[10 : 10 + 9 * 9_998]
    assert fetches.ranges == [(10, 90_000)]


def test_what_is_held_stays_within_the_budget() -> None:
    size = 40 * BLOCK_BYTES
    letting = threading.Event()
    begun: list[int] = []
    enough = threading.Semaphore(0)

    def fetch(start: int, end: int) -> bytes:
        begun.append(end - start)
        enough.release()
        letting.wait(20)
        return bytes(end - start)

    with RangeReader(size, fetch, [(0, size)]) as reader:
        reading = threading.Thread(target=reader.read, args=(1,))
        reading.start()
        ahead = [enough.acquire(timeout=20) for _ in range(5)]
        letting.set()
        reading.join(20)

        assert all(ahead)
        assert sum(begun) <= BUDGET_BYTES


@pytest.mark.parametrize("promised", [[], [(0, len(CONTENT))]])
def test_what_a_fetch_raises_reaches_the_reader(promised: list[tuple[int, int]]) -> None:
    def fetch(_start: int, _end: int) -> bytes:
        raise LookupError("gone")

    with (
        RangeReader(len(CONTENT), fetch, promised) as reader,
        pytest.raises(LookupError, match="gone"),
    ):
        reader.read(5)
