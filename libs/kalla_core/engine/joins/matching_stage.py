"""The joins of a run, and which of its rows each of them takes.

in memory       one join takes everything
copartition     each group of buckets decides for itself; groups run side by side
broadcast       one side is taken whole by every join, the other by groups of buckets; which
                rows stay unmatched is settled afterwards
single          one join takes everything, from disk if need be; settled afterwards
"""

from __future__ import annotations

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.bucket_joins import BucketJoins
from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.totals import MatchingTotals
from kalla_core.engine.keys.keying import Keying
from kalla_core.engine.spool.store import Store
from kalla_core.fragments.model import Hold
from kalla_core.matching.strategy.planned import Strategy


def run_matching(
    context: JoinContext, store: Store, keying: Keying, budget: Budget
) -> MatchingTotals:
    """Write all pairs and all unmatched rows of a store that all scans have filled.

    Raises:
        KallaError: as `join` does.
    """
    joins = BucketJoins(context, store, keying, budget)
    if store.hold is Hold.MEMORY:
        return joins.whole()
    if context.planned.strategy is Strategy.COPARTITION:
        return joins.by_bucket()
    if int(store.bucket_bytes().sum()) <= budget.whole_bytes:
        return joins.whole()
    from kalla_core.engine.joins.settled_joins import SettledJoins

    every_bucket = tuple(range(store.buckets))
    return SettledJoins(context, store, every_bucket, budget).run()
