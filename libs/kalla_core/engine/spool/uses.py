"""In how many pairs each row of a join is: in none, in one, in several."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.evidence.keys import key_text
from kalla_core.fragments.several import Several


class Uses:
    """Counts to two; rows are named by their positions, from 0 to `count`.

    Attributes:
        matched: rows that are in a pair.
        again: rows that are in more than one.
    """

    def __init__(self, count: int) -> None:
        self.matched: Bools = np.zeros(count, dtype=np.bool_)
        self.again: Bools = np.zeros(count, dtype=np.bool_)
        self._last = np.empty(count, dtype=np.int32)

    def add(self, at: Ints) -> None:
        """Take the rows of some pairs, each as often as it is in one."""
        self.again[at[self.matched[at]]] = True
        self.matched[at] = True
        if len(at) > 1 and not (at[1:] > at[:-1]).all():
            places = np.arange(len(at), dtype=np.int32)
            self._last[at] = places  # of each row one place stays, whichever was written last
            self.again[at[self._last[at] != places]] = True


def several(rows: Rows, again: Bools) -> Several:
    """Return how many rows `again` marks, with the first key among them."""
    at = np.flatnonzero(again)
    if len(at) == 0:
        return Several()
    texts = key_text(rows.keys(at)).fill_null("null")
    return Several(len(at), str(pc.min(texts).as_py()))
