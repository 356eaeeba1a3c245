"""The passes of a recipe over rows that are read: candidates, decisions, evidence, figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa

from kalla_core.engine.budget import BASE_BYTES, MIB, Budget
from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.sinks import Outputs
from kalla_core.engine.joins.totals import MatchingTotals
from kalla_core.engine.passes.behind import Behind
from kalla_core.engine.passes.comparing import Comparing
from kalla_core.engine.passes.deciding import Decision, decide
from kalla_core.engine.passes.found import Found
from kalla_core.engine.passes.plan import PlannedPass, PlannedPasses
from kalla_core.engine.passes.proof import prove_cardinality
from kalla_core.engine.passes.remarks import Gathered as GatheredRemarks
from kalla_core.engine.passes.remarks import Remarks, accepted_rows, remarks_on
from kalla_core.engine.passes.rests import Rests, leave_rests, together
from kalla_core.engine.passes.search import Means, Search
from kalla_core.engine.passes.settling import Settling
from kalla_core.engine.passes.totals import Totals
from kalla_core.engine.passes.wide import Wide
from kalla_core.engine.passes.writing import PassSinks
from kalla_core.engine.rows import Ints
from kalla_core.errors import OutOfMemory
from kalla_core.evidence.reconciled import Reconciliation
from kalla_core.fragments.several import Several
from kalla_core.jobs.passes import PassFigures
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.passes import Accept, PassKind, SqlPass

_DECIDED_BYTES = 160
"""That a candidate takes while it is decided over, at the very least; some 220 were measured."""


class Reconciling:
    """Carries the passes out, one after the other; good for one time.

    Attributes:
        planned: the SQL of the pass that is carried out, or was last.
    """

    def __init__(self, plan: PlannedPasses, means: Means, search: Search | None = None) -> None:
        """Begin with nothing done, or with what a search has found already.

        Args:
            search: over the rows of `means`.
        """
        recipe = plan.recipe
        self.planned = plan.passes[0].planned
        self._plan, self._means = plan, means
        self._search = Search(recipe, means) if search is None else search
        self._whole, self._looked = self._search.whole, self._search.looked
        query = self.planned.query
        rests = any(rule.rest is not None for rule in recipe.passes)
        schemas = {side: query.side(side).schema for side in Side}
        self._totals = Totals(recipe.amounts, schemas, rests)
        self._comparing = Comparing(recipe.compared, self._looked)
        self._figures: list[PassFigures] = []
        self._rests: list[Mapping[Side, Rests]] = []

    def sinks(self, outputs: Outputs, started_at: datetime) -> PassSinks:
        """Open the outputs; whoever does closes or abandons them."""
        alone = self._whole.in_memory and self._means.budget.threads > 1
        return PassSinks(
            outputs, self._plan, started_at, self._totals, self._comparing, encoders=int(alone)
        )

    def match(self, sinks: PassSinks) -> MatchingTotals:
        """Write the pairs of all passes, and the rows that none of them consumed.

        Raises:
            KallaError: what went wrong; nothing that was written counts then.
        """
        whole = self._whole
        contexts: list[JoinContext] = []
        uses = {side: np.zeros(len(whole.by[side]), dtype=np.int64) for side in Side}
        with Behind(beside=whole.in_memory) as behind:
            told = []
            for number, one in enumerate(self._plan.passes):
                self.planned = one.planned
                context, found, wide = self._search.candidates(number, one, sinks)
                contexts.append(context)
                decision = self._decided(one, found)
                if wide is not None:
                    decision = replace(decision, notes=(*decision.notes, wide.note))
                self._consume(number, one, found, decision, uses)
                tell = partial(_tell, one, found, decision, wide, sinks)
                told.append(behind.do(tell, found.held_bytes))
            self.planned = self._plan.passes[0].planned
            self._write_rests(sinks)
            remarks = [one.result() for one in told]
            behind.do(partial(self._end_pairs, sinks))
            gathered = {
                side: GatheredRemarks(len(whole.by[side]), [one[side] for one in remarks])
                for side in Side
            }
            del told, remarks, found, decision, tell  # so that their memory can be given back
            settling = Settling(self._plan.passes, contexts, whole, self._means.budget, gathered)
            joined = settling.run()
        return MatchingTotals(
            joined=joined,
            matched={side: int((~whole.left_over(side)).sum()) for side in Side},
            several={side: Several(int((uses[side] > 1).sum())) for side in Side},
        )

    def _end_pairs(self, sinks: PassSinks) -> None:
        """Do what remains to be done of rows that passes consumed."""
        sinks.close_pairs()
        self._totals.count(self._whole)

    def found(self) -> Reconciliation:
        """Return what the passes did, once all of it is written; it knows of no excluded rows.

        Raises:
            AccountingFailed: what is matched and unmatched is not what there is.
        """
        consumed = self._totals.consumed()
        figures = tuple(
            replace(one, amounts=tuple(consumed.get(number, ())))
            for number, one in enumerate(self._figures)
        )
        document = self._totals.document()
        return Reconciliation(figures, document, self._comparing.documents())

    def _decided(self, one: PlannedPass, found: Found) -> Decision:
        """Decide over the candidates of a pass, and keep what its matches leave open.

        Raises:
            OutOfMemory: there are more than can be decided over.
            KallaError: as `decide` and `leave_rests` do.
        """
        _demand_room(one, found, self._means.budget)
        decision, amounts = decide(one, found, self._looked), self._plan.recipe.amounts
        if one.rule.rest is None or amounts is None:
            return decision
        name, tolerance = one.rule.name, one.rule.rest
        decision, rests = leave_rests(name, tolerance, amounts, found, self._looked, decision)
        self._rests.append(rests)
        return decision

    def _write_rests(self, sinks: PassSinks) -> None:
        """Write the rows that are matched in part."""
        for side in Side:
            rests = together(self._rests, side)
            self._totals.expect_open(side, rests.open)
            if not len(rests.places):
                continue
            for batch, places in self._whole.batches(side):
                at = np.searchsorted(rests.places, places)
                there = rests.places[np.minimum(at, len(rests.places) - 1)] == places
                if there.any():
                    sinks.partly(side, batch.filter(pa.array(there)), rests.some(at[there]))

    def _consume(
        self,
        number: int,
        one: PlannedPass,
        found: Found,
        decision: Decision,
        uses: Mapping[Side, Ints],
    ) -> None:
        """Take rows of accepted matches out of what later passes look at, and count."""
        whole = self._whole
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
                notes=decision.notes,
            )
        )


def _tell(
    one: PlannedPass, found: Found, decision: Decision, wide: Wide | None, sinks: PassSinks
) -> dict[Side, Remarks]:
    """Prove and write what a pass decided, let go of its candidates, return what it says of rows.

    Raises:
        KallaError: as `prove_cardinality` and the outputs do.
    """
    prove_cardinality(one.rule, found, decision)
    sinks.decided(one, found, decision)
    remarks = remarks_on(one, found, decision)
    found.close()
    if wide is None:
        return remarks
    return {side: wide.over(side, some) for side, some in remarks.items()}


def _demand_room(one: PlannedPass, found: Found, budget: Budget) -> None:
    """Refuse to begin to decide over so many candidates that the memory limit cannot do.

    Candidates lie on disk where they are many, but what they compete for is looked at as a whole.

    Raises:
        OutOfMemory: there are too many.
    """
    needed, most = found.count * _DECIDED_BYTES, budget.limit_bytes - BASE_BYTES
    if needed > most:
        raise OutOfMemory(
            f"The pass `{one.rule.name}` has {found.count:,} candidates, and to decide over them "
            f"takes {needed // MIB:,} MiB at least, more than the {most // MIB:,} MiB that the "
            "memory limit leaves for rows. Let its match SQL bring out fewer, or raise the limit.",
            rule=one.rule.name,
            candidates=found.count,
        )
