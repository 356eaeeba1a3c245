"""Why a row stayed unmatched, and which row of the other side came closest.

Where a match SQL has several rules, a row is judged by each as if no other were there, and the
rule by which it came nearest to a match tells why it has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.keys.keyed import Columns, KeyedSides
from kalla_core.engine.reasons.misses import Misses
from kalla_core.engine.reasons.said import Said, said_in
from kalla_core.engine.reasons.verdicts import RuleJudge, Told, no_key
from kalla_core.engine.rows import Bools, Rows
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.evidence.build import Reasons
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned, Rule


@dataclass(frozen=True, slots=True)
class Shared:
    """Keys of the rows of both sides, by what they ask for, and columns of them; filled in use."""

    keyed: dict[tuple[object, ...], KeyedSides] = field(default_factory=dict)
    columns: Columns = field(default_factory=dict)


class Explainer:
    """Explains the unmatched rows of both sides of one set of buckets.

    `judge` looks at all of them and remembers little of each; `of` says it in words, for as many
    rows as the caller wants to hold at a time.

    Args:
        rules: by which rows are judged; those of the match SQL unless told otherwise. All rows
            with one of their keys are at hand.
        misses: of the rule that the match SQL is, if its join has told them.
        shared: keys of these rows, shared with other match SQL over them.
    """

    def __init__(
        self,
        planned: Planned,
        left: Rows,
        right: Rows,
        threads: int = 1,
        rules: Sequence[Rule] | None = None,
        misses: Misses | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._rows = {Side.LEFT: left, Side.RIGHT: right}
        self._shared = Shared() if shared is None else shared
        asked = planned.rules if rules is None else rules
        known = misses.keys if misses is not None and rules is None else {}
        self._planned = planned
        self._judges = [
            RuleJudge(
                planned, rule, self._rows, self._sides_by(planned, rule, threads, known), misses
            )
            for rule in asked
            if rule.keys
        ]

    def _sides_by(
        self, planned: Planned, rule: Rule, threads: int, known: Mapping[Side, pa.Table]
    ) -> KeyedSides:
        columns = self._shared.columns
        fresh = KeyedSides(planned, rule.keys, self._rows, threads, columns, known)
        return self._shared.keyed.setdefault(rule.asked, fresh)

    def prepare(self, threads: int, stop: Stop) -> None:
        """Evaluate the keys of both sides, so that these may then be judged in two threads."""
        sides = [partial(keyed.is_plain, s) for keyed in self._shared.keyed.values() for s in Side]
        run_all(sides, threads, stop)

    def keys(self, rule: Rule, side: Side) -> pa.Table:
        """Return the keys of all rows of a side by a rule that has any, as `__k0`, `__k1`, ..."""
        return self._shared.keyed[rule.asked].table(side)

    def judge(self, side: Side, unmatched: Bools, asked: Bools | None = None) -> None:
        """Find out why the rows of `side` that `unmatched` marks are so.

        Args:
            asked: which of these alone are to be told of, all by default; where the join has told
                misses, all are.
        """
        for judge in self._judges:
            judge.judge(side, unmatched, asked)

    def share(self, most_pairs: int, threads: int, stop: Stop) -> None:
        """Once both sides are judged: say in words what is to be said alike of rows of both.

        Args:
            most_pairs: of more pairs it is said as it is asked for, rather than held.
        """
        if len(self._judges) == 1:
            self._judges[0].share(most_pairs, threads, stop)

    def of(self, side: Side, start: int, count: int) -> Reasons:
        """Return the reasons of `count` of the rows judged, from the one numbered `start`."""
        return self.told(side, start, count).reasons

    def said(self, side: Side, start: int, count: int) -> Said:
        """Return the same, in pieces where it is one rule that tells."""
        if len(self._judges) == 1:
            return self._judges[0].said(side, start, count)
        return said_in(self.of(side, start, count))

    def told(self, side: Side, start: int, count: int) -> Told:
        """Return the same as `of`, with how near the rows came to a match."""
        if not self._judges:
            return no_key(self._planned, count)
        return nearest([judge.told(side, start, count) for judge in self._judges])


def nearest(told: Sequence[Told]) -> Told:
    """Return for each row what is told by the rule by which it came nearest; all of one length."""
    if len(told) == 1:
        return told[0]
    falls_short = np.stack([one.short for one in told])
    best = pa.array(falls_short.argmin(axis=0))
    columns = [
        pc.choose(best, *(getattr(one.reasons, name) for one in told))
        for name in ("rejection_reason", "reason_detail", "closest_candidate")
    ]
    return Told(Reasons(*columns), falls_short.min(axis=0))
