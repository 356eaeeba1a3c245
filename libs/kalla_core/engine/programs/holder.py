"""The process that holds a cluster run's sources: `python -m kalla_core.engine.programs.holder`.

It reads one JSON line, the order, pins the sources, plans the match SQL, cuts parts and answers
`planned`. Then it does nothing but hold (a snapshot lives as long as its transaction), and do as
further lines say:

    verify    look whether the sources are what they were: `verified`, or `error`
    release   let go and end

When standard input ends, whoever started it is gone, and it exits at once, also while it plans.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from queue import SimpleQueue
from typing import IO, Any

from kalla_core.engine.joins.numbered import numbered_first
from kalla_core.engine.passes.plan import plan_passes
from kalla_core.engine.programs import messages
from kalla_core.engine.programs.child import further_lines, own_output, send
from kalla_core.engine.programs.held_plan import HeldPlan, HoldOrder, order_of, plan_json
from kalla_core.engine.run.demands import planned_over, without_unseen
from kalla_core.engine.spool.scan import OpenSource
from kalla_core.errors import EngineFailure, KallaError
from kalla_core.fragments.cut import part_count
from kalla_core.fragments.remote import Extra, ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Identification
from kalla_core.sources.pins import dated, pinned_together
from kalla_core.sources.registry import load_connectors


def prepare() -> None:
    """Load what every holder needs; for a process that holders are forked from."""
    load_connectors()


def main() -> None:
    """Hold what standard input names until it says otherwise, or ends."""
    out = own_output()
    asked = sys.stdin.readline()
    if not asked:
        return  # started ahead of need, and not needed
    further = further_lines()
    try:
        with ExitStack() as pins:
            held = _Held(order_of(json.loads(asked)), pins)
            send(out, {"event": "planned", "plan": plan_json(held.plan())})
            _obey(held, further, out)
    except BaseException as error:  # a panic of the query engine is no Exception
        send(out, error_answer(error))
    os._exit(0)


def error_answer(error: BaseException) -> dict[str, Any]:
    """Return an error as an answer of a child."""
    trace = "".join(traceback.format_exception(error))
    if not isinstance(error, KallaError):
        error = EngineFailure(f"An internal error: {type(error).__name__}: {error}")
    return {"event": "error", **messages.error_json(error), "traceback": trace}


def _obey(held: _Held, further: SimpleQueue[str], out: IO[str]) -> None:
    while True:
        match json.loads(further.get())["do"]:
            case "verify":
                held.verify()
                send(out, {"event": "verified"})
            case "release":
                return


class _Held:
    """The sources of a run, pinned as long as `pins` is open."""

    def __init__(self, order: HoldOrder, pins: ExitStack) -> None:
        self._order = order
        recipe = order.recipe
        specs = (recipe.left, recipe.right, *recipe.extras)
        pinned = pins.enter_context(pinned_together(dated(specs, order.started_at), order.access))
        connectors, found = zip(*pinned, strict=True)
        fitting = without_unseen(recipe.match_sql, found, order.started_at)
        left, right, *extras = map(OpenSource, connectors, fitting)
        self._sides: Mapping[Side, OpenSource] = {Side.LEFT: left, Side.RIGHT: right}
        self._extras = tuple(extras)

    def plan(self) -> HeldPlan:
        """Check the recipe, plan the match SQL and cut the sources."""
        every = (*self._sides.values(), *self._extras)
        recipe, started_at = self._order.recipe, self._order.started_at
        pinned = [source.pinned for source in every]
        planned = planned_over(recipe, pinned, started_at)
        passes = plan_passes(recipe, pinned, started_at) if recipe.reconciles else None
        return HeldPlan(
            left=self._sides[Side.LEFT].pinned,
            right=self._sides[Side.RIGHT].pinned,
            extras=tuple(extra.pinned for extra in self._extras),
            scans=self._cut(),
            extra_scans=tuple(
                ScanWork(Extra(index), part)
                for index, extra in enumerate(self._extras)
                for part in extra.connector.plan(extra.pinned, 1)
            ),
            strategy=planned.strategy,
            replicable=planned.replicable,
            scattered=planned.scattered,
            by_primary_key=(
                planned.identification is not Identification.ROW_IDS
                if passes is None
                else passes.by_primary_key
            ),
            warnings=planned.warnings,
            late=passes is None and numbered_first(planned, self._sides) is not None,
        )

    def verify(self) -> None:
        """Raise `SourceChanged` if a source is not what was pinned."""
        for source in (*self._sides.values(), *self._extras):
            source.connector.verify(source.pinned)

    def _cut(self) -> tuple[ScanWork, ...]:
        """Cut both sides; their parts take turns, so that both are read at the same time."""
        both = [
            ScanWork(side, part)
            for side, source in self._sides.items()
            for part in source.connector.plan(source.pinned, self._parts(source))
        ]
        return tuple(sorted(both, key=lambda scan: scan.part.index))

    def _parts(self, source: OpenSource) -> int:
        wanted = self._order.recipe.options.partitions
        return wanted or part_count(source.pinned.statistics.arrow_bytes, self._order.slots)


if __name__ == "__main__":
    main()
