"""Pages of rows, for whoever is served meanwhile.

Evidence never changes, so what was read of it is kept for whoever asks for the same: pages, and
which rows of a large set are asked for. Of a set of many rows, a page can come before all of them
were looked through or put in order; it says how far that is, and whoever asks again sees more.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

import pyarrow as pa

from kalla_app.evidence.asked import Asked
from kalla_app.evidence.figures import Figures, figures_of
from kalla_app.evidence.kept import Kept
from kalla_app.evidence.lookups import Lookups
from kalla_app.evidence.open_rows import open_sets, rests_of
from kalla_app.evidence.order import Mask
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.rows import MOST_FIRST, RowPage, RowSet, SoFar
from kalla_app.evidence.seek import Seek
from kalla_app.evidence.selections import Selections
from kalla_app.store.runs import Run
from kalla_core.errors import RequestRefused, ResultsBusy

_MANY_ROWS = 1_000_000
_PAGES_BYTES = 48 << 20
_TOLD_BYTES = 4 << 20
_EACH_BYTES = 1000
"""What something small takes, about."""

_SEEKS_AT_ONCE = 2
_MOST_SEEKS = 32
"""That go on or wait for their turn."""

T = TypeVar("T")


class RowPages:
    """Asyncio.

    Args:
        folder: for what is kept beside evidence; need not exist.
        many: rows from which on a set is large.
    """

    def __init__(self, evidence: EvidencePlace, folder: Path, many: int = _MANY_ROWS) -> None:
        self._evidence = evidence
        self._lookups = Lookups(evidence, folder, many)
        self._many = many
        self._selections = Selections()
        self._told = Kept[object](_TOLD_BYTES)
        self._pages = Kept[RowPage](_PAGES_BYTES)
        self._seeks: OrderedDict[Hashable, tuple[Seek, asyncio.Task[Mask]]] = OrderedDict()
        self._turn = asyncio.Semaphore(_SEEKS_AT_ONCE)

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

    async def figures(self, run: Run) -> Figures:
        """Return what the metadata of a run tells of its passes and amounts.

        Raises:
            KallaError: the run has no evidence, or its metadata is not as it should be.
        """
        return await self._telling(run, _figures, "")

    async def schema(self, run: Run, name: str) -> pa.Schema:
        """Return the columns of a set.

        Raises:
            NotFound: the run has no such set.
            KallaError: the run has no evidence.
        """
        return await self._telling(run, _schema, name)

    async def reasons(self, run: Run, name: str) -> Mapping[str, int]:
        """Return how many rows of a set have each reason, the most first.

        Raises:
            NotFound: the run has no such set.
            KallaError: the run has no evidence.
        """
        return await self._telling(run, _reasons, name)

    async def page(
        self, run: Run, asked: Asked, offset: int, limit: int, within_s: float | None = None
    ) -> RowPage:
        """Return the rows of a selection from `offset` on.

        Args:
            within_s: how long looking through a large set and putting it in order are waited for;
                then the page is of what was found so far. None to wait for all.

        Raises:
            NotFound: the run has no such set.
            UnknownColumn: there is no column to order by.
            RequestRefused: so far down in an order that could not be made.
            ResultsBusy: too many others look through large sets.
            KallaError: the run has no evidence.
        """
        folder = await self._evidence.folder(run)
        key = folder, asked, offset, limit
        found = self._pages.find(key)
        if found is None:
            found = await self._read(run, folder, asked, offset, limit, within_s)
            if found.so_far is None:
                self._pages.keep(key, found, _size(found, asked))
        return found

    def note(self, run: Run) -> None:
        """Make what the rows without a partner of a run that has ended will need."""
        self._lookups.note(run)

    async def close(self) -> None:
        """End what goes on."""
        seeks = list(self._seeks.values())
        for seek, task in seeks:
            seek.stop()
            task.cancel()
        await asyncio.gather(*(task for _, task in seeks), return_exceptions=True)
        await self._lookups.close()

    async def _telling(self, run: Run, read: Callable[[Path, str], T], word: str) -> T:
        folder = await self._evidence.folder(run)
        key = read, folder, word
        found = cast("T | None", self._told.find(key))
        if found is None:
            found = await asyncio.to_thread(read, folder, word)
            self._told.keep(key, found, _EACH_BYTES)
        return found

    async def _read(
        self,
        run: Run,
        folder: Path,
        asked: Asked,
        offset: int,
        limit: int,
        within_s: float | None,
    ) -> RowPage:
        beside = self._lookups.beside(run)
        is_plain = asked.is_all and asked.by is None
        if is_plain or not await self._is_large(run, asked.set):
            return await asyncio.to_thread(self._page, folder, beside, asked, offset, limit, None)
        lacking = await self._lookups.begin(folder, beside, asked)
        order = lacking.get(asked.by) if asked.by is not None else None
        if order is not None and offset + limit > MOST_FIRST:
            await asyncio.wait({order}, timeout=within_s)
            if not order.done():
                return await asyncio.to_thread(_empty, folder, asked)
            if not order.result():
                raise RequestRefused(
                    f"The order by {asked.by} could not be made, and without it nobody knows "
                    "what stands so far down. Narrow the rows down first."
                )
        mask, so_far = None, None
        if not asked.is_all:
            if within_s is not None and asked.by is not None:
                within_s /= 2  # the other half is for their order
            mask, so_far = await self._sought(run, folder, asked, within_s)
        page = await asyncio.to_thread(self._page, folder, beside, asked, offset, limit, mask)
        return page if so_far is None else replace(page, so_far=so_far)

    def _page(
        self,
        folder: Path,
        beside: Path,
        asked: Asked,
        offset: int,
        limit: int,
        mask: Mask | None,
    ) -> RowPage:
        with RowSet(folder, asked.set, beside, self._selections) as rows:
            return rows.page(asked, offset, limit, mask)

    async def _is_large(self, run: Run, name: str) -> bool:
        return await self._telling(run, _count, name) >= self._many

    async def _sought(
        self, run: Run, folder: Path, asked: Asked, within_s: float | None
    ) -> tuple[Mask, SoFar | None]:
        """Return which rows are asked for, or up to where that is known when time is up."""
        key = folder, replace(asked, sort=None)
        count = await self._telling(run, _count, asked.set)
        known = await asyncio.to_thread(self._selections.find, str(folder), asked, count)
        if known is not None:
            return known, None
        if key not in self._seeks:
            beside = self._lookups.beside(run)
            made = await asyncio.to_thread(Seek, folder, asked, beside)
            if key not in self._seeks:  # nobody else has begun meanwhile
                task = asyncio.create_task(self._seek(key, folder, asked, made), name="seek")
                task.add_done_callback(_looked_at)
                self._seeks[key] = made, task
                self._give_up_one()
        self._seeks.move_to_end(key)
        seek, seeking = self._seeks[key]
        await asyncio.wait({seeking}, timeout=within_s)
        if seeking.cancelled():
            raise ResultsBusy("Too many others look through rows. Try again in a while.")
        return (seeking.result(), None) if seeking.done() else seek.so_far()

    def _give_up_one(self) -> None:
        """End the search that was asked about the longest ago, if there are more than can be."""
        if len(self._seeks) > _MOST_SEEKS:
            _, (seek, task) = self._seeks.popitem(last=False)
            seek.stop()
            task.cancel()

    async def _seek(self, key: Hashable, folder: Path, asked: Asked, seek: Seek) -> Mask:
        """Look through a set, whoever waits for it, so that who asks again finds more."""
        try:
            async with self._turn:
                mask = await asyncio.to_thread(seek.run)
            self._selections.keep(str(folder), asked, mask)
            return mask
        finally:
            if self._seeks.get(key, (None,))[0] is seek:  # and not another that came after it
                del self._seeks[key]


def _rests(folder: Path, _word: str) -> Mapping[str, int]:
    return rests_of(folder)


def _figures(folder: Path, _word: str) -> Figures:
    return figures_of(folder)


def _schema(folder: Path, name: str) -> pa.Schema:
    with RowSet(folder, name) as rows:
        return rows.schema


def _reasons(folder: Path, name: str) -> Mapping[str, int]:
    with RowSet(folder, name) as rows:
        return rows.reasons()


def _size(page: RowPage, asked: Asked) -> int:
    """Return the bytes that a page takes, with what it was asked for by."""
    rows = int(page.rows.get_total_buffer_size()) + 100 * len(page.places)
    return rows + _EACH_BYTES + asked.bytes


def _empty(folder: Path, asked: Asked) -> RowPage:
    """Return a page of what has yet to be put in order."""
    with RowSet(folder, asked.set) as rows:
        so_far = SoFar(rows.count, rows.count)
        return RowPage(rows.schema.empty_table(), (), rows.count, so_far)


def _count(folder: Path, name: str) -> int:
    with RowSet(folder, name) as rows:
        return rows.count


def _looked_at(task: asyncio.Task[Mask]) -> None:
    """Let what went wrong be told to whoever waits, and not be missed where nobody does."""
    if not task.cancelled():
        task.exception()
