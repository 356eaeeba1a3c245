"""Tells whoever watches a run how far it has come, a few times a second at most."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from kalla_coordinator.cluster.active import ActiveRun
from kalla_coordinator.cluster.gathered import warned_ahead
from kalla_coordinator.cluster.progress import shares, summed_up
from kalla_coordinator.cluster.run_state import Phase
from kalla_coordinator.jobs.host import Watch
from kalla_coordinator.jobs.model import ExecutorShare
from kalla_core.engine.programs.held_plan import HeldPlan
from kalla_core.engine.progress import Progress, Stage

_INTERVAL_S = 0.2


class Telling:
    """Progress and durations of one run attempt; on the event loop."""

    def __init__(self, plan: HeldPlan, watch: Watch, began: float) -> None:
        self._plan = plan
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._at: dict[Phase, float] = {}
        self._began = began
        self._planned = self._loop.time()
        self._run: ActiveRun | None = None
        self._due: asyncio.TimerHandle | None = None
        self._workers: tuple[ExecutorShare, ...] = ()
        self._matched = 0
        self._ahead: tuple[str, ...] | None = None

    def about(self, run: ActiveRun) -> None:
        """Say which run it is about."""
        self._run = run
        self.changed()

    def changed(self) -> None:
        """Note that something happened to the run."""
        if self._run is None:
            return
        self._at.setdefault(self._run.state.phase, self._loop.time())
        if self._due is None:
            self._due = self._loop.call_later(_INTERVAL_S, self._tell)

    def all_of_it(self, run: ActiveRun) -> None:
        """Tell how a run stands that is written."""
        self._run = run
        self._matched = 0  # while passes are on, what is told are candidates
        self._tell()
        self.close()
        self._watch.progress(Progress(Stage.WRITING_RESULTS, matched_rows=self._matched))

    def committed(self) -> None:
        """Tell that the evidence is there."""
        done = Progress(
            Stage.WRITING_RESULTS, fragments_done=1, fragments_total=1, matched_rows=self._matched
        )
        self._watch.progress(done)

    def close(self) -> None:
        """Tell nothing more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    @property
    def durations(self) -> dict[str, float]:
        """Seconds per stage of a run that is written."""
        written = self._at.get(Phase.WRITTEN, self._loop.time())
        joining = self._at.get(Phase.JOINING, written)
        return {
            "planning": round(self._planned - self._began, 3),
            "staging": round(joining - self._planned, 3),
            "matching": round(written - joining, 3),
        }

    def _tell(self) -> None:
        self._due = None
        run = self._run
        if run is None:
            return
        for progress in summed_up(run.state, run.reports, self._plan):
            if progress.stage is Stage.MATCHING:
                if self._ahead is None:
                    self._ahead = warned_ahead(run.state, self._plan)
                progress = replace(progress, warnings=self._ahead)
            self._watch.progress(progress)
            self._matched = max(self._matched, progress.matched_rows)
        workers = shares(run.state, run.reports, run.executors)
        if workers != self._workers:
            self._workers = workers
            self._watch.worked_on_by(workers)
