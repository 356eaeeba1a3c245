"""Which payment belongs to which invoice: one module per pattern, all of one shape.

A pattern answers for any range of rows of either side, by arithmetic on row numbers: ranges may
be asked for in any order and from several threads. `Rank` is a row's place before the shuffle:
classes (exact, near, none ...) are ranges of ranks, so their shares are exact, and the shuffle
scatters them over the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one side, with the truth that is known where they are made.

    Attributes:
        rows: the rows, in the side's schema.
        pairs: matches (`left_key`, `right_key`: text); each match is told on one side only.
        unmatched: keys of those rows of this piece that match nothing.
    """

    rows: pa.RecordBatch
    pairs: pa.RecordBatch | None = None
    unmatched: pa.Array | None = None


class Pattern(Protocol):
    """Invoices (left) and payments (right) of one kind, size and seed.

    Attributes:
        knows_truth: whether pieces carry the truth; if not, an independent engine has to.
    """

    left_rows: int
    right_rows: int
    knows_truth: bool

    def left(self, start: int, end: int) -> Piece:
        """Return invoices [start, end)."""
        ...

    def right(self, start: int, end: int) -> Piece:
        """Return payments [start, end)."""
        ...
