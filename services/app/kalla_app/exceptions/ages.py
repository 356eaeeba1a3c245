"""How long rows have been open: one Parquet per run for rows that nobody touched.

`since` is what a row is aged by: a date of its own where the recipe's policy names a column, else
when the first of the runs that left it open without a break was made. A file follows from the
evidence of the run and the file of the run before, so it can be made again while those are there.
It is made when a run has ended, in the background, or else when somebody first asks. It goes when
nobody has needed it for a while, and no file of a later run will ever be made from it.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from kalla_app.child import worked
from kalla_app.evidence.place import EvidencePlace
from kalla_app.exceptions import ages_file
from kalla_app.exceptions.ages_file import request_of, write_ages
from kalla_app.exceptions.policy import Policy
from kalla_app.runs.life import RunStatus
from kalla_app.store import policies, runs
from kalla_app.store.database import Database
from kalla_app.store.runs import Run
from kalla_core.errors import EvidenceGone, KallaError
from kalla_core.observe.logs import get_logger
from kalla_core.serving.clock import SteadyClock, settled

_LONGEST_WAY_BACK = 60
_FORM = 2
"""Of what is written: a file of another form is made again."""

_SWEEP_INTERVAL_S = 3600.0
_MANY_ROWS = 500_000
"""From here on a process of its own pays off: it starts in a second, and gives its memory back."""


class Ages:
    """Asyncio; keeps the files in a folder.

    Args:
        folder: need not exist.
        many: rows from which on a file is written by a process of its own.
    """

    def __init__(
        self,
        database: Database,
        evidence: EvidencePlace,
        folder: Path,
        many: int = _MANY_ROWS,
        clock: SteadyClock | None = None,
    ) -> None:
        self._database = database
        self._evidence = evidence
        self._folder = folder
        self._many = many
        self._clock = clock or SteadyClock()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ended: asyncio.Queue[Run] = asyncio.Queue()

    def note(self, run: Run) -> None:
        """Let the file of a run that has ended be made by `keep_made`."""
        if run.state.status is RunStatus.SUCCEEDED:
            self._ended.put_nowait(run)

    async def keep_made(self) -> None:
        """Make the files of runs as they end, until cancelled.

        Evidence that would first have to be fetched waits until somebody asks for it.
        """
        while True:
            run = await self._ended.get()
            try:
                if await self._evidence.is_here(run):
                    async with self._database.reading() as connection:
                        policy = await policies.find(connection, run.recipe_id)
                    await self.file(run, policy)
            except KallaError as error:  # whoever looks at it is told
                get_logger().info("ages_postponed", run_id=run.run_id, cause=error.code)

    async def file(self, run: Run, policy: Policy) -> Path:
        """Return the file of a run, made now if there is none.

        Raises:
            KallaError: the run has no evidence.
        """
        async with self._turns[run.recipe_id]:
            missing, before = [run], None
            while not self._path(missing[-1], policy).exists():
                async with self._database.reading() as connection:
                    older = await runs.succeeded(
                        connection, run.recipe_id, before=missing[-1].created_at
                    )
                if not older or len(missing) == _LONGEST_WAY_BACK:
                    break
                missing.append(older[0])
            for one in reversed(missing):
                path = self._path(one, policy)
                if not path.exists():
                    try:
                        folder = await self._evidence.folder(one)
                    except EvidenceGone:
                        if one is run:
                            raise
                        continue  # what it left open is not known any more
                    if before is not None:
                        self._use(before)
                    await self._write(path, folder, one, before, policy)
                before = path
            path = self._path(run, policy)
            self._use(path)
            return path

    async def keep_swept(self, retention: timedelta) -> None:
        """Remove files that nobody has needed for so long, every hour, until cancelled."""
        clock = await settled()
        while True:
            count = await self.sweep(clock.now() - retention)
            if count:
                get_logger().info("ages_removed", count=count)
            await asyncio.sleep(_SWEEP_INTERVAL_S)

    async def sweep(self, before: datetime) -> int:
        """Remove files that nobody has needed since a moment, and return how many.

        Of a recipe the file of its newest run that has one stays: the next is made from it, also
        when the evidence is gone. So goes what was left by a process that was killed, and what was
        written of another form or policy.
        """
        count = 0
        for path in await asyncio.to_thread(_older, self._folder, before):
            if not await self._is_last(path):
                with suppress(OSError):
                    await asyncio.to_thread(path.unlink)
                    count += 1
        return count

    def _use(self, path: Path) -> None:
        """Note that a file is needed."""
        at = self._clock.now().timestamp()
        with suppress(OSError):  # on a disk that takes no more it ages, and can still be read
            os.utime(path, (at, at))

    async def _is_last(self, path: Path) -> bool:
        """Whether a file is that of the newest run of a recipe that has one."""
        run_id, _, _ = path.name.rpartition("-")
        async with self._database.reading() as connection:
            run = await runs.find(connection, run_id)
            if run is None:
                return False
            policy = await policies.find(connection, run.recipe_id)
            later = await runs.succeeded(
                connection, run.recipe_id, after=run.created_at, limit=_LONGEST_WAY_BACK
            )
        if path != self._path(run, policy):
            return False
        return not any(self._path(one, policy).exists() for one in later)

    async def _write(
        self, path: Path, folder: Path, run: Run, before: Path | None, policy: Policy
    ) -> None:
        at: datetime = run.created_at
        counts = run.state.counts
        rows = (counts.unmatched_left or 0) + (counts.unmatched_right or 0)
        if rows < self._many:
            await asyncio.to_thread(write_ages, path, folder, run.run_id, at, before, policy)
            return
        request = request_of(path, folder, run.run_id, at, before, policy)
        code = await worked(ages_file.__name__, request)
        if code != 0:
            raise EvidenceGone(
                f"The ages of the rows of {run.run_id} cannot be written: the process that was to "
                f"do it ended with {code}; the log says why."
            )

    def _path(self, run: Run, policy: Policy) -> Path:
        aged_by = sha256(repr((_FORM, policy.left, policy.right)).encode()).hexdigest()[:8]
        return self._folder / f"{run.run_id}-{aged_by}.parquet"


def _older(folder: Path, before: datetime) -> list[Path]:
    """Return the files that nobody has needed since a moment."""
    found = []
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            with suppress(OSError):
                if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                    found.append(path)
    return found
