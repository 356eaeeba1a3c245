"""One whole run that reconciles, in one process; see `kalla_core.engine.run.job` for its stages."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from kalla_core.engine.keys.key_checks import check_keys
from kalla_core.engine.passes.behind import Behind
from kalla_core.engine.passes.plan import first_pass, plan_passes
from kalla_core.engine.passes.reconciling import Reconciling
from kalla_core.engine.passes.search import Means, Search
from kalla_core.engine.passes.writing import outputs_of
from kalla_core.engine.progress import OnProgress
from kalla_core.engine.run.job import Gathered, Job
from kalla_core.engine.run.job import run_job as run_join
from kalla_core.engine.run.job_outcome import JobOutcome
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.engine.spool.disk_peak import DiskPeak
from kalla_core.engine.tasks import Stop
from kalla_core.evidence.reconciled import with_excluded
from kalla_core.matching.sql.query import Side

_SOON_BYTES = 64 << 20
"""Of both sides; they are read while the passes are planned."""


def run_job(spec: JobSpec, on_progress: OnProgress) -> JobOutcome:
    """Carry out a run up to, and without, its commit: a join, or passes.

    Raises:
        KallaError: whatever went wrong; nothing under the staging folder counts then.
    """
    if not spec.recipe.reconciles:
        return run_join(spec, on_progress)
    with ExitStack() as pins:
        return ReconcilingJob(spec, on_progress, pins).run()


class ReconcilingJob(Job):
    """A run of the passes of a recipe."""

    numbers_rows = True
    warns_of_several = False  # each pass says how many a row may have

    def _run(self) -> JobOutcome:
        spec, recipe = self._spec, self._spec.recipe
        pinned = [source.pinned for source in (*self._sources.values(), *self._extras.values())]
        stop = Stop()
        with Behind(beside=self._is_read_soon()) as behind:
            with self._clock.stage("planning"):
                ahead = behind.do(partial(self._read_and_begin, stop)) if behind.beside else None
                try:
                    plan = plan_passes(recipe, pinned, spec.started_at)
                except BaseException:
                    stop.set()
                    raise
            with self._clock.stage("staging"):
                gathered, means, search = self._read(stop) if ahead is None else ahead.result()
        with self._clock.stage("matching"):
            counts = self._counts(gathered)
            if plan.by_primary_key:
                check_keys(self._shapes(), counts)
            reconciling = Reconciling(plan, means, search)
            outputs = {name: spec.staging / name for name in outputs_of(recipe, plan)}
            sinks = reconciling.sinks(outputs, spec.started_at)
            try:
                with DiskPeak(spec.spool) as disk:
                    matching = reconciling.match(sinks)
                files = self._close(sinks, max(0, disk.bytes - gathered.spooled_bytes))
            except BaseException:
                self._planned = reconciling.planned  # which is what a value is looked for by
                sinks.abandon()
                raise
            excluded = self._excluded_rows(gathered.scanned)
            found = with_excluded(
                reconciling.found(), {side.word: count for side, count in excluded.items()}
            )
        self._verify()
        outcome = self._outcome(gathered.scanned, counts, matching, files, None)
        return replace(outcome, reconciliation=found)

    def _read(self, stop: Stop) -> tuple[Gathered, Means, Search]:
        spec = self._spec
        gathered = self._scan(self._planned, late=False)
        extras = self._read_extras()
        means = Means(gathered.store, extras, spec.budget, spec.spool, self._on_progress)
        return gathered, means, Search(spec.recipe, means, stop)

    def _read_and_begin(self, stop: Stop) -> tuple[Gathered, Means, Search]:
        """Read both sides and find the candidates of the first pass, whose SQL is planned."""
        read = _, _, search = self._read(stop)
        first = first_pass(self._spec.recipe, self._planned)
        if first is not None and search.whole.in_memory:
            search.begin(first)
        return read

    def _is_read_soon(self) -> bool:
        """Whether both sides are read sooner than who waits would mind if a pass is at fault."""
        sizes = [self._sources[side].pinned.statistics.arrow_bytes for side in Side]
        known = [size for size in sizes if size is not None]
        return (
            len(known) == len(sizes) and sum(known) <= _SOON_BYTES and self._spec.budget.threads > 1
        )
