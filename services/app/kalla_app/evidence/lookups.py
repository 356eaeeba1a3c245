"""Has the files made that make looking through large sets quick; asyncio.

Beside the copies of evidence lie, for sets of many rows, a file with their texts, and one for the
order by each column that somebody asked for. They are made in the background: of rows without a
partner when a run has ended, of others when somebody first looks through them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from kalla_app.child import worked
from kalla_app.evidence import lookup_file
from kalla_app.evidence.ahead import Ahead, end
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.lookup_file import request_of
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.rows import RowSet
from kalla_app.store.runs import Run
from kalla_core.observe.logs import get_logger

MOST_BYTES = 8 << 30
"""That files beside evidence may take of the disk."""

_AT_END = ("unmatched_left", "unmatched_right")

Making = asyncio.Task[bool]
"""What makes a file; False where it could not be made."""


class Lookups:
    """Asyncio.

    Args:
        folder: for the files; need not exist.
        many: rows from which on a set is given them.
        most_bytes: that they may take of the disk.
    """

    def __init__(
        self, evidence: EvidencePlace, folder: Path, many: int, most_bytes: int = MOST_BYTES
    ) -> None:
        self._ahead = Ahead(evidence, self._make_all)
        self._folder = folder
        self._many = many
        self._most_bytes = most_bytes
        self._turn = asyncio.Semaphore(1)
        self._made: dict[Path, Making] = {}

    def beside(self, run: Run) -> Path:
        """Return where the files of a run lie, or would."""
        return self._folder / run.run_id

    async def begin(self, folder: Path, beside: Path, asked: Asked) -> dict[str | None, Making]:
        """Let be made what a selection lacks; return it by the column of an order, None for texts.

        Args:
            folder: with the run's evidence.

        Raises:
            KallaError: the selection is none.
        """
        lacking = await asyncio.to_thread(self._lacking, folder, beside, asked)
        return {
            column: self._making(folder, asked.set, beside, column, path)
            for column, path in lacking.items()
        }

    def note(self, run: Run) -> None:
        """Make what the rows without a partner of a run that has ended will need."""
        counts = run.state.counts
        if max(counts.unmatched_left or 0, counts.unmatched_right or 0) >= self._many:
            self._ahead.note(run)

    async def close(self) -> None:
        """End what is being made."""
        await self._ahead.close()
        await end(self._made.values())

    async def _make_all(self, run: Run, folder: Path) -> None:
        for name in _AT_END:
            begun = await self.begin(folder, self.beside(run), Asked(name, "any"))
            for making in begun.values():
                await asyncio.shield(making)

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
    ) -> Making:
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
