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
class Rule:
    """When an invoice `l` matches a payment `r`.

    Attributes:
        kalla: the condition in match SQL.
        plain: the same without Kalla's functions, in SQL that DuckDB and DataFusion both read.
        text: the same in words.
    """

    kalla: str
    plain: str
    text: str


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

    rule: Rule
    left_schema: pa.Schema
    right_schema: pa.Schema
    left_rows: int
    right_rows: int
    knows_truth: bool

    def left(self, start: int, end: int) -> Piece:
        """Return invoices [start, end)."""
        ...

    def right(self, start: int, end: int) -> Piece:
        """Return payments [start, end)."""
        ...


KEY_AND_TOLERANCE = Rule(
    kalla="l.invoice_id = r.reference_number AND tolerance_match(l.amount, r.paid_amount, 0.02)",
    plain="l.invoice_id = r.reference_number AND abs(l.amount - r.paid_amount) <= 0.02",
    text="References equal, amounts within 2 cents",
)
KEY = Rule(
    kalla="l.invoice_id = r.reference_number",
    plain="l.invoice_id = r.reference_number",
    text="References equal",
)
