"""What each pass made of the rows that none of them matched, looked up row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.reasons import wording
from kalla_core.engine.rows import Ints, one_chunk
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned, Rule
from kalla_core.recipe.passes import Accept, Choose, Pass, SqlPass


def tells_attempts(rules: Sequence[Pass]) -> bool:
    """Whether rows may fail to match by more than the one join that `reason_detail` tells of."""
    return len(rules) > 1 or any(
        not isinstance(rule, SqlPass)
        or rule.choose is not Choose.ALL
        or rule.balance is not None
        or rule.accept is Accept.SUGGEST
        for rule in rules
    )


@dataclass(frozen=True, slots=True)
class ByRow:
    """Numbers of some rows of a side.

    Attributes:
        rows: where they are, ascending, each once.
        values: of each.
    """

    rows: Ints
    values: Ints

    @classmethod
    def first(cls, rows: Ints, order: Ints) -> ByRow:
        """Return of each of the rows, which may repeat, where it stands first in an order."""
        sequence = np.lexsort((order, rows))
        distinct, first = np.unique(rows[sequence], return_index=True)
        return cls(distinct, sequence[first])

    def plus(self, other: ByRow) -> ByRow:
        """Return the sums of both; who is in neither has none."""
        rows, at = np.unique(np.concatenate([self.rows, other.rows]), return_inverse=True)
        values: Ints = np.zeros(len(rows), dtype=np.int64)
        np.add.at(values, at, np.concatenate([self.values, other.values]))
        return ByRow(rows, values)

    def of(self, rows: Ints, otherwise: int) -> Ints:
        """Return the numbers of rows; `otherwise` where there is none."""
        if not len(self.rows):
            return np.full(len(rows), otherwise, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        found: Ints = np.where(self.rows[at] == rows, self.values[at], otherwise)
        return found


def match_keys(
    planned: Planned, side: Side, count: int, keys: Callable[[Rule], pa.Table]
) -> pa.Array:
    """Return what some rows of a side have of what a pass joins by, as text.

    Several keys, of branches of the SQL, stand one after the other, with `or` between them. It is
    null where the SQL has no key.

    Args:
        count: of the rows.
        keys: gives theirs by a rule, as `__k0`, `__k1`, ...
    """
    rules = {rule.asked: rule for rule in planned.rules if rule.keys}
    if not rules or not count:
        return pa.nulls(count, pa.string())
    said = [wording.key_of(rule, side, keys(rule)) for rule in rules.values()]
    return said[0] if len(said) == 1 else one_chunk(pc.binary_join_element_wise(*said, " or "))
