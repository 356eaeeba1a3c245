"""What carries out one attempt at a job: this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from kalla_coordinator.jobs.model import ExecutorShare
from kalla_core.engine.progress import Progress
from kalla_core.errors import DeadlineExceeded
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.ids import RunId
from kalla_core.recipe.model import Recipe
from kalla_core.sources.protocol import SourceAccess


@dataclass(frozen=True, slots=True)
class RunOrder:
    """One attempt at a job.

    Attributes:
        output: folder or `s3://` prefix for the evidence.
        started_at: start of this attempt; `now()` in the match SQL.
        deadline: when it has to have ended; None for no bound.
        overwrite: replace complete evidence of another run.
        reads: folders of other runs that its sources may lie in.
        trace: that its work is part of; empty for none.
    """

    run_id: RunId
    run_attempt: int
    recipe: Recipe
    output: str
    started_at: datetime
    deadline: datetime | None
    overwrite: bool
    reads: tuple[str, ...] = ()
    trace: str = ""

    def opening(self, access: SourceAccess) -> SourceAccess:
        """Return what its sources may reach, where others may reach `access`."""
        return replace(access, opened=tuple(Path(folder) for folder in self.reads))


@dataclass(frozen=True, slots=True)
class Watch:
    """What a host tells while it works; called on the event loop, and all but one return at once.

    Attributes:
        progress: how far it has come.
        planned: the strategy, once it is known.
        worked_on_by: executors that took a fragment, and what each has done so far.
        decide_commit: awaited when all is written and only the commit is left; it stores that the
            run commits, and raises `Cancelled` when a cancel came first.
    """

    progress: Callable[[Progress], None]
    planned: Callable[[str], None]
    worked_on_by: Callable[[tuple[ExecutorShare, ...]], None]
    decide_commit: Callable[[], Awaitable[None]]


class Host(Protocol):
    """Carries out runs.

    Cancelling the task that awaits `run` stops it within two seconds, except after
    `decide_commit` has returned: the commit is finished then.
    """

    name: str

    async def run(self, order: RunOrder, watch: Watch) -> RunMetadata:
        """Carry out a run and commit its evidence.

        Raises:
            KallaError: what went wrong; the output is as it was.
        """
        ...


def too_late(order: RunOrder) -> DeadlineExceeded:
    """Return the error of a run that was not done by its deadline."""
    timeout = order.recipe.options.timeout
    allowed = "" if timeout is None else f" of {timeout.total_seconds():g} seconds"
    return DeadlineExceeded(f"The run took longer than its timeout{allowed}.")
