"""Late runs whose narrow rows go to the spool: joined by bucket, then delivered whole.

Rows carry their numbers through the joins. What these tell of rows in no pair goes to the spool
too, by windows of the parts; once all joins have ended, the parts are read once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.matching_stage import run_matching
from kalla_core.engine.joins.told import ToldFile, ToldOfPart, Windows, deliver, telling
from kalla_core.engine.joins.totals import MatchingTotals
from kalla_core.engine.keys.keying import Keying
from kalla_core.engine.spool.scan import OpenSource
from kalla_core.engine.spool.store import Store
from kalla_core.engine.tasks import run_all
from kalla_core.fragments.model import ScanFragment
from kalla_core.fragments.remote import DeliveredPart
from kalla_core.matching.sql.query import Side


@dataclass(frozen=True)
class LateJoins:
    """Joins a store of spooled rows with numbers, and delivers the unmatched ones whole.

    Attributes:
        fragments: the parts that filled the store.
    """

    context: JoinContext
    store: Store
    keying: Keying
    budget: Budget
    sources: Mapping[Side, OpenSource]
    fragments: Sequence[ScanFragment]

    def run(self) -> MatchingTotals:
        """Write all pairs, then all unmatched rows."""
        windows = Windows([(one.side, one.part.index, self._rows(one)) for one in self.fragments])
        parts = [
            DeliveredPart(
                one.side, one.part, self._rows(one), windows.first(one.side, one.part.index)
            )
            for one in self.fragments
        ]
        path = self.store.plan.folder / "told.spool"
        with telling(path, windows) as writer:
            context = replace(self.context, tells=writer)
            totals = run_matching(context, self.store, self.keying, self.budget)
            told = ToldFile(writer.finish())
        self.store.remove()
        tasks = [partial(self._deliver, part, told) for part in parts]
        run_all(tasks, self.budget.threads, context.stop)
        return totals

    def _rows(self, fragment: ScanFragment) -> int:
        return self.store.part_rows(fragment.side)[fragment.part.index]

    def _deliver(self, part: DeliveredPart, told: ToldFile) -> None:
        self.context.stop.check()
        deliver(self.sources[part.side], part, ToldOfPart(part, [told]), self.context.sinks)
