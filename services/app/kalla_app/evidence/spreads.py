"""How the rows of runs are spread, counted once for each; asyncio.

Of few rows it is counted at once, on a thread. Of many a process of its own counts it, when the
run has ended or somebody first looks, and leaves it beside the copy of the evidence.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyarrow as pa

from kalla_app.child import worked
from kalla_app.evidence import spread_file
from kalla_app.evidence.ahead import Ahead, end
from kalla_app.evidence.kept import Kept
from kalla_app.evidence.lookups import MOST_BYTES
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.spread_file import read_spread, request_of
from kalla_app.store.runs import Run
from kalla_core.answers.spread import Spread, spread_of
from kalla_core.errors import EvidenceGone, KallaError, ResultsBusy
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence, open_evidence
from kalla_core.observe.logs import get_logger

_MANY_ROWS = 1_000_000
_KEPT_BYTES = 4 << 20
_EACH_BYTES = 20_000
_MOST_GOING = 32
_FAULTS = (KallaError, OSError, pa.ArrowException, ValueError, LookupError, TypeError)

_SORRY = "How the rows are spread cannot be told."

Found = Spread | KallaError


class Spreads:
    """Asyncio.

    Args:
        folder: for the files; need not exist.
        many: rows from which on a run is large.
    """

    def __init__(self, evidence: EvidencePlace, folder: Path, many: int = _MANY_ROWS) -> None:
        self._evidence = evidence
        self._ahead = Ahead(evidence, self._count_ended)
        self._folder = folder
        self._many = many
        self._kept = Kept[Found](_KEPT_BYTES)
        self._going: dict[Path, asyncio.Task[Found]] = {}
        self._turn = asyncio.Semaphore(1)

    async def find(self, run: Run, within_s: float) -> Spread | None:
        """Return how the rows of a run are spread; None while they are counted longer than that.

        Raises:
            ResultsBusy: too many others are counted.
            EvidenceGone: it cannot be counted; the message has one line.
            KallaError: the run has no evidence.
        """
        folder = await self._evidence.folder(run)
        found = self._kept.find(folder)
        if found is None:
            task = self._counting(run, folder)
            await asyncio.wait({task}, timeout=within_s)
            if not task.done():
                return None
            found = task.result()
        if isinstance(found, KallaError):
            raise found
        return found

    def note(self, run: Run) -> None:
        """Count the rows of a run that has ended, if they are many, before anybody asks."""
        counts = run.state.counts
        if (counts.total_left or 0) + (counts.total_right or 0) >= self._many:
            self._ahead.note(run)

    async def close(self) -> None:
        """End what is being counted."""
        await self._ahead.close()
        await end(self._going.values())

    async def _count_ended(self, run: Run, folder: Path) -> None:
        await asyncio.shield(self._counting(run, folder))

    def _counting(self, run: Run, folder: Path) -> asyncio.Task[Found]:
        if folder not in self._going:
            if len(self._going) >= _MOST_GOING:
                raise ResultsBusy("Too many others look at runs. Try again in a while.")
            beside = self._folder / run.run_id
            self._going[folder] = asyncio.create_task(self._count(folder, beside), name="spread")
        return self._going[folder]

    async def _count(self, folder: Path, beside: Path) -> Found:
        try:
            found = await self._found(folder, beside)
            self._kept.keep(folder, found, _EACH_BYTES)
        except _FAULTS as error:
            get_logger().warning("spread_failed", error=type(error).__name__)
            told = error.message.splitlines()[0] if isinstance(error, KallaError) else ""
            return EvidenceGone(f"{_SORRY} {told}".rstrip())
        else:
            return found
        finally:
            del self._going[folder]

    async def _found(self, folder: Path, beside: Path) -> Found:
        """Count what is not counted yet; a process that cannot is not begun again by this one."""
        found = await asyncio.to_thread(_told_or_few, folder, beside, self._many)
        if found is not None:
            return found
        async with self._turn:
            code = await worked(spread_file.__name__, request_of(folder, beside, MOST_BYTES))
        found = await asyncio.to_thread(read_spread, folder, beside) if code == 0 else None
        return found or EvidenceGone(f"{_SORRY} The log says why.")


def _told_or_few(folder: Path, beside: Path, many: int) -> Spread | None:
    """Return what was counted before, or is counted soon; None of a large run."""
    found = read_spread(folder, beside)
    if found is not None:
        return found
    with open_evidence(folder) as evidence:
        return spread_of(evidence) if _rows(evidence) < many else None


def _rows(evidence: Evidence) -> int:
    return sum(evidence.rows(name) for name in (MATCHED, *UNMATCHED.values()))
