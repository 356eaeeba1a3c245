"""The candidates of passes, one pass after the other; those of the first may be found early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Never, TypeAlias

import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.context import JoinContext, Sinks
from kalla_core.engine.keys.pair_bound import PairBound, most_pairs
from kalla_core.engine.passes.finding import Finding
from kalla_core.engine.passes.found import Found, Looked, Shape
from kalla_core.engine.passes.plan import PlannedPass
from kalla_core.engine.passes.whole import Whole
from kalla_core.engine.passes.wide import Wide, wide_rows
from kalla_core.engine.progress import OnProgress, Progress, ProgressCounter, Stage
from kalla_core.engine.spool.store import Store
from kalla_core.engine.tasks import Stop
from kalla_core.errors import EngineFailure, TooManyPairs
from kalla_core.fragments.model import Hold
from kalla_core.matching.plans.session import (
    FEW_THREADS,
    MEMORY_BATCH_ROWS,
    SPILLED_BATCH_ROWS,
    SessionLimits,
)
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.passes import Amounts, SqlPass, SubsetSumPass

_HELD_SHARE = 8


class _NoOutputs:
    """In the place of outputs while candidates are looked for, which writes nothing."""

    def _refuse(self, *_: object, **__: object) -> Never:
        raise EngineFailure("Rows were written while candidates were looked for.")

    matched = grouped = unmatched = ended = _refuse


_Candidates: TypeAlias = tuple[JoinContext, Found, "Wide | None"]


@dataclass(frozen=True)
class Means:
    """What passes work on and with.

    Attributes:
        store: both sides, whole; rows carry their numbers once they are spooled.
        extras: the batches of each, by its alias.
        scratch: existing folder for what is thrown away.
    """

    store: Store
    extras: Mapping[str, list[pa.RecordBatch]]
    budget: Budget
    scratch: Path
    on_progress: OnProgress


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
    if recipe.amounts is not None and any(rule.rest is not None for rule in recipe.passes):
        columns |= _of_rests(recipe.amounts)
    return Looked(tuple(columns))


def _of_rests(amounts: Amounts) -> dict[tuple[Side, str], None]:
    pairs = [(amounts.left, amounts.right), *([amounts.currency] if amounts.currency else [])]
    return {(side, pair[n]): None for pair in pairs for n, side in enumerate(Side)}


class Search:
    """Finds the candidates of the passes of a recipe over rows that are read, in their order.

    Attributes:
        whole: the rows.
        looked: the columns of pairs that the rules look at.
        stop: ends what is under way.
    """

    def __init__(self, recipe: Recipe, means: Means, stop: Stop | None = None) -> None:
        self._recipe, self._means = recipe, means
        self.whole, self.looked = Whole.of(means.store), looked_of(recipe)
        self.stop = Stop() if stop is None else stop
        self._begun: Callable[[], _Candidates] | None = None

    def begin(self, one: PlannedPass) -> None:
        """Find the candidates of the first pass; what goes wrong is raised when they are wanted."""
        try:
            found = self._candidates(0, one)
        except BaseException as error:  # a panic of the query engine is no Exception
            self._begun = partial(_raise, error)
        else:
            self._begun = lambda: found

    def candidates(
        self, number: int, one: PlannedPass, sinks: Sinks
    ) -> tuple[JoinContext, Found, Wide | None]:
        """Return the candidates of a pass; one by sums leaves out what is too wide.

        Args:
            sinks: that the context is to have.

        Raises:
            KallaError: as `Finding` does.
        """
        begun, self._begun = self._begun, None
        find = partial(self._candidates, number, one) if begun is None else begun
        context, found, wide = find()
        return replace(context, sinks=sinks), found, wide

    def _candidates(self, number: int, one: PlannedPass) -> _Candidates:
        budget, looked = self._means.budget, self.looked
        context, found = self._context(one), self._found(number, one)
        try:
            Finding(context, self.whole, budget, looked, found, f"pass-{number}").run()
        except TooManyPairs:
            found.close()
            wide = wide_rows(one, self.whole, context.bound.most)
            if wide is None:
                raise
        else:
            return context, found, None
        context, found = self._context(one), self._found(number, one)
        left_out = {wide.one: wide.pairs[wide.one].rows}
        name = f"pass-{number}-narrowed"
        Finding(context, self.whole, budget, looked, found, name, left_out).run()
        return context, found, wide

    def _context(self, one: PlannedPass) -> JoinContext:
        means, whole = self._means, self.whole
        budget, store = means.budget, means.store
        rows = sum(store.row_count(side) for side in Side)
        left = sum(int(whole.left_over(side).sum()) for side in Side)
        in_memory = store.hold is Hold.MEMORY
        first = Progress(Stage.MATCHING, rows_total=left, source=one.rule.name)
        return JoinContext(
            planned=one.planned,
            extras=means.extras,
            limits=SessionLimits(
                threads=budget.threads,
                memory_bytes=budget.pool_bytes * budget.threads,
                spill_path=str(means.scratch),
                batch_rows=MEMORY_BATCH_ROWS if in_memory else SPILLED_BATCH_ROWS,
                build_once=in_memory and budget.threads <= FEW_THREADS,
            ),
            sinks=_NoOutputs(),
            progress=ProgressCounter(first, means.on_progress),
            bound=PairBound(most_pairs(self._recipe.options, rows), rows),
            stop=self.stop,
        )

    def _found(self, number: int, one: PlannedPass) -> Found:
        query = one.planned.query
        left, right = (len(query.side(side).primary_key) for side in Side)
        shape = Shape(len(one.planned.output), left, right, len(self.looked.columns))
        most = self._means.budget.whole_bytes // _HELD_SHARE
        return Found(shape, self._means.scratch / f"candidates-{number}.arrow", most)


def _raise(error: BaseException) -> Never:
    raise error
