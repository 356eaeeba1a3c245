"""Pages of rows, for whoever is served meanwhile; large sets are given what makes them quick.

Beside the copies of evidence lie, for sets of many rows, a file with their texts, and one for the
order by each column that somebody asked for. They are made in the background: of rows without a
partner when a run has ended, of others when somebody first looks through them. Until then a page
takes longer; only a page far down in an order waits for that order.

Evidence never changes, so what was read of it is kept for whoever asks for the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

from kalla_app.child import worked
from kalla_app.evidence import lookup_file
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.kept import Kept
from kalla_app.evidence.lookup_file import request_of
from kalla_app.evidence.open_rows import open_sets, rests_of
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.rows import MOST_FIRST, RowPage, RowSet
from kalla_app.evidence.selections import Selections
from kalla_app.store.runs import Run
from kalla_core.errors import KallaError, RequestRefused
from kalla_core.observe.logs import get_logger

_MANY_ROWS = 1_000_000
_MOST_BYTES = 8 << 30
_AT_END = ("unmatched_left", "unmatched_right")
_KEPT_BYTES = 48 << 20
_TOLD_BYTES = 4 << 20
_EACH_BYTES = 1000
"""What something small takes, about."""

T = TypeVar("T")


class RowPages:
    """Asyncio.

    Args:
        folder: for what is kept beside evidence; need not exist.
        many: rows from which on a set is given it.
        most_bytes: that it may take of the disk.
    """

    def __init__(
        self,
        evidence: EvidencePlace,
        folder: Path,
        many: int = _MANY_ROWS,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._evidence = evidence
        self._folder = folder
        self._many = many
        self._most_bytes = most_bytes
        self._turn = asyncio.Semaphore(1)
        self._selections = Selections()
        self._made: dict[Path, asyncio.Task[bool]] = {}
        self._noted: set[asyncio.Task[None]] = set()
        self._pages = Kept[RowPage](_KEPT_BYTES)
        self._told = Kept[object](_TOLD_BYTES)

    async def open_sets(self, run: Run, side: str) -> tuple[str, ...]:
        """Return the sets that have open rows of a side, in their order.

        Raises:
            KallaError: the run has no evidence.
        """
        return await self._telling(run, open_sets, side)

    async def rests(self, run: Run) -> Mapping[str, int]:
        """Return how many rows each set of rests has.

        Raises:
            KallaError: the run has no evidence.
        """
        return await self._telling(run, _rests, "")

    async def reasons(self, run: Run, name: str) -> Mapping[str, int]:
        """Return how many rows of a set have each reason, the most first.

        Raises:
            NotFound: the run has no such set.
            KallaError: the run has no evidence.
        """
        return await self._telling(run, _reasons, name)

    async def page(self, run: Run, asked: Asked, offset: int, limit: int) -> RowPage:
        """Return the rows of a selection from `offset` on.

        Raises:
            NotFound: the run has no such set.
            UnknownColumn: there is no column to order by.
            RequestRefused: so far down in an order that could not be made.
            KallaError: the run has no evidence.
        """
        folder = await self._evidence.folder(run)
        key = folder, asked, offset, limit
        found = self._pages.find(key)
        if found is None:
            found = await self._read(run, folder, asked, offset, limit)
            self._pages.keep(key, found, _size(found, asked))
        return found

    async def _read(self, run: Run, folder: Path, asked: Asked, offset: int, limit: int) -> RowPage:
        beside = self._folder / run.run_id
        deep = asked.by is not None and offset + limit > MOST_FIRST
        if asked.q or asked.by is not None:
            lacking = await asyncio.to_thread(self._lacking, folder, beside, asked)
            for column, path in lacking.items():
                making = self._making(folder, asked.set, beside, column, path)
                if deep and column is not None and not await asyncio.shield(making):
                    raise RequestRefused(
                        f"The order by {column} could not be made, and without it nobody knows "
                        "what stands so far down. Narrow the rows down first."
                    )
        return await asyncio.to_thread(self._page, folder, beside, asked, offset, limit)

    def _page(self, folder: Path, beside: Path, asked: Asked, offset: int, limit: int) -> RowPage:
        with RowSet(folder, asked.set, beside, self._selections) as rows:
            return rows.page(asked, offset, limit)

    def note(self, run: Run) -> None:
        """Make what the rows without a partner of a run that has ended will need."""
        counts = run.state.counts
        if max(counts.unmatched_left or 0, counts.unmatched_right or 0) >= self._many:
            task = asyncio.create_task(self._make_all(run), name="lookups")
            self._noted.add(task)
            task.add_done_callback(self._noted.discard)

    async def close(self) -> None:
        """End what is being made."""
        tasks = [*self._made.values(), *self._noted]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _telling(self, run: Run, read: Callable[[Path, str], T], word: str) -> T:
        folder = await self._evidence.folder(run)
        key = read, folder, word
        found = cast("T | None", self._told.find(key))
        if found is None:
            found = await asyncio.to_thread(read, folder, word)
            self._told.keep(key, found, _EACH_BYTES)
        return found

    async def _make_all(self, run: Run) -> None:
        with suppress(KallaError):  # whoever looks at it is told
            if await self._evidence.is_here(run):
                folder, beside = await self._evidence.folder(run), self._folder / run.run_id
                for name in _AT_END:
                    lacking = await asyncio.to_thread(
                        self._lacking, folder, beside, Asked(name, "any")
                    )
                    for column, path in lacking.items():
                        await asyncio.shield(self._making(folder, name, beside, column, path))

    def _lacking(self, folder: Path, beside: Path, asked: Asked) -> dict[str | None, Path]:
        """Return what is not there yet: columns in order, None for the texts."""
        wanted: Sequence[str | None] = [
            *([None] if asked.q else []),
            *([asked.by] if asked.by is not None else []),
        ]
        with RowSet(folder, asked.set, beside) as rows:
            rows.check(asked)
            if rows.count < self._many:
                return {}
            paths = {column: rows.lookup(column) for column in wanted}
            return {
                column: path
                for column, path in paths.items()
                if path is not None and not path.exists()
            }

    def _making(
        self, folder: Path, name: str, beside: Path, column: str | None, path: Path
    ) -> asyncio.Task[bool]:
        making = self._made.get(path)
        if making is None:
            making = asyncio.create_task(
                self._make(folder, name, beside, column, path), name="lookup"
            )
            self._made[path] = making
        return making

    async def _make(
        self, folder: Path, name: str, beside: Path, column: str | None, path: Path
    ) -> bool:
        """Make a file; one that cannot be made is not tried again by this process."""
        async with self._turn:
            request = request_of(folder, name, beside, column, self._most_bytes)
            code = await worked(lookup_file.__name__, request)
        if code != 0:
            get_logger().warning("lookup_failed", set=name, column=column, exit_code=code)
            return False
        del self._made[path]
        return True


def _rests(folder: Path, _word: str) -> Mapping[str, int]:
    return rests_of(folder)


def _reasons(folder: Path, name: str) -> Mapping[str, int]:
    with RowSet(folder, name) as rows:
        return rows.reasons()


def _size(page: RowPage, asked: Asked) -> int:
    """Return the bytes that a page takes, with what it was asked for by."""
    texts = len(asked.keys or ()) + len(asked.without)
    return int(page.rows.get_total_buffer_size()) + _EACH_BYTES + 100 * (len(page.places) + texts)
