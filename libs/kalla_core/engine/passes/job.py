"""One whole run that reconciles, in one process; see `kalla_core.engine.job` for its stages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pyarrow as pa

from kalla_core.engine.disk_peak import DiskPeak
from kalla_core.engine.job import Gathered, Job, JobSpec
from kalla_core.engine.job import run_job as run_join
from kalla_core.engine.job_outcome import JobOutcome
from kalla_core.engine.join import JoinContext
from kalla_core.engine.key_checks import check_keys
from kalla_core.engine.pair_bound import PairBound, most_pairs
from kalla_core.engine.passes.comparing import Comparing
from kalla_core.engine.passes.deciding import Decision, decide
from kalla_core.engine.passes.finding import Finding
from kalla_core.engine.passes.found import Found, Looked, Shape
from kalla_core.engine.passes.plan import PlannedPass, plan_passes
from kalla_core.engine.passes.proof import prove_cardinality
from kalla_core.engine.passes.remarks import Gathered as GatheredRemarks
from kalla_core.engine.passes.remarks import Remark, accepted_rows, remarks_on
from kalla_core.engine.passes.settling import Settling
from kalla_core.engine.passes.totals import Totals
from kalla_core.engine.passes.whole import Whole
from kalla_core.engine.passes.writing import PassSinks
from kalla_core.engine.progress import OnProgress, Progress, ProgressCounter, Stage
from kalla_core.engine.rows import Ints
from kalla_core.engine.totals import MatchingTotals
from kalla_core.evidence.reconciled import PassFigures, Reconciliation
from kalla_core.fragments.model import Hold
from kalla_core.fragments.several import Several
from kalla_core.matching.planned import Identification
from kalla_core.matching.query import Side
from kalla_core.matching.session import MEMORY_BATCH_ROWS, SPILLED_BATCH_ROWS, SessionLimits
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.passes import Accept, PassKind, SqlPass, SubsetSumPass

_HELD_SHARE = 8


def run_job(spec: JobSpec, on_progress: OnProgress) -> JobOutcome:
    """Carry out a run up to, and without, its commit: a join, or passes.

    Raises:
        KallaError: whatever went wrong; nothing under the staging folder counts then.
    """
    if not spec.recipe.reconciles:
        return run_join(spec, on_progress)
    with ExitStack() as pins:
        return ReconcilingJob(spec, on_progress, pins).run()


def looked_of(recipe: Recipe) -> Looked:
    """Return the columns of pairs that the rules of a recipe look at."""
    columns: dict[tuple[Side, str], None] = {}
    for one in recipe.compared:
        columns |= {(Side.LEFT, one.left): None, (Side.RIGHT, one.right): None}
    for rule in recipe.passes:
        if isinstance(rule, SqlPass) and rule.balance is not None:
            columns |= {
                (Side.LEFT, rule.balance.left): None,
                (Side.RIGHT, rule.balance.right): None,
            }
        if isinstance(rule, SubsetSumPass):
            columns |= {(side, rule.amount[n]): None for n, side in enumerate(Side)}
    return Looked(tuple(columns))


class ReconcilingJob(Job):
    """A run of the passes of a recipe."""

    numbers_rows = True
    warns_of_several = False  # each pass says how many a row may have

    def _run(self) -> JobOutcome:
        recipe = self._spec.recipe
        with self._clock.stage("planning"):
            pinned = [source.pinned for source in (*self._sources.values(), *self._extras.values())]
            self._plan = plan_passes(recipe, pinned, self._spec.started_at)
        with self._clock.stage("staging"):
            extras = self._read_extras()
            gathered = self._scan(self._planned, late=False)
        with self._clock.stage("matching"):
            counts = {side: gathered.census[side].finish() for side in Side}
            if any(
                one.planned.identification is not Identification.ROW_IDS
                for one in self._plan.passes
            ):
                check_keys(self._shapes(), counts)
            whole, looked = Whole.of(gathered.store), looked_of(recipe)
            totals = Totals(
                recipe.amounts, {side: shape.schema for side, shape in self._shapes().items()}
            )
            comparing = Comparing(recipe.compared, looked)
            sinks = PassSinks(
                self._spec.staging, self._plan, self._spec.started_at, totals, comparing
            )
            try:
                with DiskPeak(self._spec.spool) as disk:
                    matching = self._match_all(gathered, extras, whole, looked, sinks)
                files = self._close(sinks, max(0, disk.bytes - gathered.spooled_bytes))
            except BaseException:
                sinks.abandon()
                raise
            excluded = self._excluded_rows(gathered.scanned)
            consumed = totals.consumed(whole)
            figures = tuple(
                replace(one, amounts=tuple(consumed.get(number, ())))
                for number, one in enumerate(self._figures)
            )
            found = Reconciliation(figures, totals.document(whole, excluded), comparing.documents())
        self._verify()
        outcome = self._outcome(gathered.scanned, counts, matching, files, None)
        return replace(outcome, reconciliation=found)

    def _match_all(
        self,
        gathered: Gathered,
        extras: Mapping[str, list[pa.RecordBatch]],
        whole: Whole,
        looked: Looked,
        sinks: PassSinks,
    ) -> MatchingTotals:
        self._figures: list[PassFigures] = []
        remarks: dict[Side, list[Remark]] = {side: [] for side in Side}
        contexts: list[JoinContext] = []
        uses = {side: np.zeros(len(whole.by[side]), dtype=np.int64) for side in Side}
        first = self._planned
        for number, one in enumerate(self._plan.passes):
            self._planned = one.planned  # an error on a value is looked for by this pass's SQL
            context = self._context(one, gathered, extras, whole, sinks)
            contexts.append(context)
            found = self._found(number, one, looked)
            Finding(context, whole, self._spec.budget, looked, found, f"pass-{number}").run()
            decision = decide(one, found, looked)
            prove_cardinality(one.rule, found, decision)
            sinks.decided(one, found, decision)
            for side, some in remarks_on(one, found, decision).items():
                remarks[side] += some
            self._consume(number, one, found, decision, whole, uses)
            found.close()
        self._planned = first
        gathered_remarks = {
            side: GatheredRemarks(len(whole.by[side]), some) for side, some in remarks.items()
        }
        settling = Settling(self._plan.passes, contexts, whole, self._spec.budget, gathered_remarks)
        joined = settling.run()
        return MatchingTotals(
            joined=joined,
            matched={side: int((~whole.left_over(side)).sum()) for side in Side},
            several={side: Several(int((uses[side] > 1).sum())) for side in Side},
        )

    def _context(
        self,
        one: PlannedPass,
        gathered: Gathered,
        extras: Mapping[str, list[pa.RecordBatch]],
        whole: Whole,
        sinks: PassSinks,
    ) -> JoinContext:
        budget, store = self._spec.budget, gathered.store
        rows = sum(store.row_count(side) for side in Side)
        left = sum(int(whole.left_over(side).sum()) for side in Side)
        first = Progress(Stage.MATCHING, rows_total=left, source=one.rule.name)
        return JoinContext(
            planned=one.planned,
            extras=extras,
            limits=SessionLimits(
                threads=budget.threads,
                memory_bytes=budget.pool_bytes * budget.threads,
                spill_path=str(self._spec.spool),
                batch_rows=MEMORY_BATCH_ROWS if store.hold is Hold.MEMORY else SPILLED_BATCH_ROWS,
            ),
            sinks=sinks,
            progress=ProgressCounter(first, self._on_progress),
            bound=PairBound(most_pairs(self._spec.recipe.options, rows), rows),
        )

    def _found(self, number: int, one: PlannedPass, looked: Looked) -> Found:
        query = one.planned.query
        left, right = (len(query.side(side).primary_key) for side in Side)
        shape = Shape(len(one.planned.output), left, right, len(looked.columns))
        most = self._spec.budget.whole_bytes // _HELD_SHARE
        return Found(shape, self._spec.spool / f"candidates-{number}.arrow", most)

    def _consume(
        self,
        number: int,
        one: PlannedPass,
        found: Found,
        decision: Decision,
        whole: Whole,
        uses: Mapping[Side, Ints],
    ) -> None:
        """Take rows of accepted matches out of what later passes look at, and count."""
        suggests = one.rule.accept is Accept.SUGGEST
        accepted = len(decision.accepted)
        rows = dict.fromkeys(Side, 0)
        if not suggests:
            for side, some in accepted_rows(found, decision).items():
                whole.by[side][some] = number
                rows[side] = len(some)
                np.add.at(uses[side], found.places(side)[decision.accepted], 1)
        rule = one.rule
        self._figures.append(
            PassFigures(
                name=rule.name,
                kind=(
                    PassKind.MATCH_SQL if isinstance(rule, SqlPass) else PassKind.SUBSET_SUM
                ).value,
                cardinality=rule.cardinality.value if isinstance(rule, SqlPass) else None,
                accept=rule.accept.value,
                candidates=int(decision.distinct.sum()),
                accepted=0 if suggests else accepted,
                held=len(decision.tied),
                suggested=accepted if suggests else 0,
                rows={side.word: rows[side] for side in Side},
                left_over={side.word: int(whole.left_over(side).sum()) for side in Side},
            )
        )
