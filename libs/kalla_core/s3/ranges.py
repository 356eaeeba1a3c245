"""An object as a file: byte ranges of one state of it, fetched before they are asked for.

Whoever opens it may promise which bytes it will read. These are cut into blocks; whenever one is
asked for, those behind it are fetched as well, by threads of their own, as long as fetched and
coming blocks stay within a budget. A block that has been read is let go. Other reads fetch what
they ask for, and more and more as they turn out to go on where the last one ended.
"""

from __future__ import annotations

import io
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

BLOCK_BYTES = 4 << 20
BUDGET_BYTES = 24 << 20
_SMALLEST_BLOCK_BYTES = 256 << 10
_AHEAD = 4

Range = tuple[int, int]
Fetch = Callable[[int, int], bytes]


@dataclass
class _Block:
    """A promised range on its way or here; `unread` bytes of it have not been asked for."""

    start: int
    end: int
    unread: int
    data: Future[bytes] = field(default_factory=Future)


class RangeReader(io.RawIOBase):
    """A file over ranges that `fetch` brings. For one thread at a time.

    Read methods raise what `fetch` raises. Closing does not wait for what is under way.
    """

    def __init__(
        self, size_bytes: int, fetch: Fetch, promised: Sequence[Range] = (), turns: int = 1
    ) -> None:
        """Open it; nothing is fetched before the first read.

        Args:
            size_bytes: of the object.
            fetch: returns the bytes `[start, end)`; called by several threads at once.
            promised: ranges that will be read, ascending and disjoint, each from its start to
                its end.
            turns: how many of them are read at the same time, taking turns.
        """
        super().__init__()
        self._size = size_bytes
        self._fetch = fetch
        self._position = 0
        self._blocks = list(_cut(promised, turns))
        self._starts = [start for start, _ in self._blocks]
        self._held: OrderedDict[int, _Block] = OrderedDict()
        self._last: tuple[int, bytes] = (0, b"")
        self._window = _SMALLEST_BLOCK_BYTES

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    def size(self) -> int:
        """Return the size of the object."""
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Let the next read begin elsewhere."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return exactly so many bytes, fewer only at the end."""
        rest = max(self._size - self._position, 0)
        wanted = rest if size is None or size < 0 else min(size, rest)
        pieces = []
        while wanted:
            piece = self._some(self._position, wanted)
            pieces.append(piece)
            self._position += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer
        """Fill a buffer; return how much of it."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of everything that was fetched."""
        self._held.clear()
        self._last = (0, b"")
        super().close()

    def _some(self, start: int, most: int) -> bytes:
        """Return at least a byte, from `start` on."""
        index = bisect_right(self._starts, start) - 1
        if index >= 0 and start < self._blocks[index][1]:
            return self._of_block(index, start, most)
        following = self._starts[index + 1] if index + 1 < len(self._starts) else self._size
        return self._unpromised(start, min(most, following - start))

    def _of_block(self, index: int, start: int, most: int) -> bytes:
        block = self._demand(index)
        for later in range(index + 1, min(index + 1 + _AHEAD, len(self._blocks))):
            if later not in self._held:
                if not self._has_room(later):
                    break
                self._begin(later)
        data = block.data.result()
        end = min(start + most, block.end)
        block.unread -= end - start
        if block.unread <= 0:
            self._held.pop(index, None)
        if (start, end) == (block.start, block.end):
            return data
        return data[start - block.start : end - block.start]

    def _demand(self, index: int) -> _Block:
        if index in self._held:
            self._held.move_to_end(index)
            return self._held[index]
        while self._held and not self._has_room(index):
            self._held.popitem(last=False)
        return self._begin(index)

    def _has_room(self, index: int) -> bool:
        start, end = self._blocks[index]
        return sum(b.end - b.start for b in self._held.values()) + end - start <= BUDGET_BYTES

    def _begin(self, index: int) -> _Block:
        start, end = self._blocks[index]
        block = self._held[index] = _Block(start, end, end - start)
        threading.Thread(
            target=_resolve, args=(block.data, self._fetch, start, end), daemon=True
        ).start()
        return block

    def _unpromised(self, start: int, most: int) -> bytes:
        begun, data = self._last
        if begun <= start < begun + len(data):
            return data[start - begun : start - begun + most]
        goes_on = bool(data) and start == begun + len(data)
        self._window = min(self._window * 2, BLOCK_BYTES) if goes_on else _SMALLEST_BLOCK_BYTES
        end = min(start + max(most, self._window), self._size)
        self._last = (start, self._fetch(start, end))
        return self._last[1][:most]


def _cut(promised: Iterable[Range], turns: int) -> Iterator[Range]:
    """Cut ranges into blocks: the more of them take turns, the smaller.

    Small neighbours share a block.
    """
    joined: list[Range] = []
    for start, end in promised:
        if joined and joined[-1][1] == start and end - joined[-1][0] <= _SMALLEST_BLOCK_BYTES:
            joined[-1] = (joined[-1][0], end)
        elif start < end:
            joined.append((start, end))
    most = BUDGET_BYTES // 2 // max(turns, 1)
    size = max(min(most, BLOCK_BYTES), _SMALLEST_BLOCK_BYTES)
    for start, end in joined:
        for begin in range(start, end, size):
            yield begin, min(begin + size, end)


def _resolve(result: Future[bytes], fetch: Fetch, start: int, end: int) -> None:
    try:
        result.set_result(fetch(start, end))
    except BaseException as error:  # whoever waits for it is told
        result.set_exception(error)
