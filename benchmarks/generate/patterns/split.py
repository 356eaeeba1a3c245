"""An invoice paid in 2 to 5 parts that add up to it.

Ranks of invoices go in fours of 2, 3, 4 and 5 parts, so that the invoice of any payment is found
by division. Payments of nothing come on top, 10 % of N.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.generate.arrays import either, numbered
from benchmarks.generate.ledger import (
    Ledger,
    invoice_ids,
    packed,
    pairs,
    schemas,
)
from benchmarks.generate.patterns import Piece
from benchmarks.generate.randomness import Ints, Randomness, Stream
from benchmarks.shapes import PatternName

_PARTS = np.array([2, 3, 4, 5])
_FIRST_SLOT = np.array([0, 2, 5, 9])
_CYCLE_SLOTS = 14
_CYCLE_RANK = np.repeat(np.arange(4), _PARTS)

_INVOICES, _PAYMENTS = schemas(PatternName.SPLIT)


class Split:
    """See the module; every invoice is matched, once per part."""

    knows_truth = True

    def __init__(self, size: int, randomness: Randomness) -> None:
        self._ledger = Ledger(randomness, size)
        self._draw = randomness
        self._orphans_from = _CYCLE_SLOTS * (size // 4) + int(_FIRST_SLOT[size % 4])
        self.left_rows = size
        self.right_rows = self._orphans_from + size * 10 // 100
        self._invoices = randomness.shuffle(Stream.SHUFFLE_LEFT, self.left_rows)
        self._payments = randomness.shuffle(Stream.SHUFFLE_RIGHT, self.right_rows)

    def left(self, start: int, end: int) -> Piece:
        """Return invoices [start, end), none of them unmatched."""
        invoices = np.arange(start, end)
        batch_ref = numbered("BATCH-", invoices // 25, 7)
        columns = self._ledger.invoice_columns(invoices, batch_ref)
        return Piece(packed(columns, _INVOICES))

    def right(self, start: int, end: int) -> Piece:
        """Return payments [start, end), the pairs they are in and the keys of the orphans."""
        payments = np.arange(start, end)
        slots = self._payments.back(payments)
        orphans = slots >= self._orphans_from
        cycles, within = np.divmod(slots, _CYCLE_SLOTS)
        kinds = _CYCLE_RANK[within]
        ranks = np.where(orphans, 0, 4 * cycles + kinds)
        invoices = np.where(orphans, self.left_rows + slots, self._invoices.forward(ranks))
        paid = self._part_cents(invoices, within - _FIRST_SLOT[kinds], _PARTS[kinds])
        reference = either(orphans, numbered("ORP-", slots, 9), invoice_ids(invoices))
        columns = self._ledger.payment_columns(payments, invoices, paid, reference)
        rows = packed(columns, _PAYMENTS)
        matched = pa.array(~orphans)
        return Piece(
            rows,
            pairs(reference.filter(matched), rows["payment_id"].filter(matched)),
            rows["payment_id"].filter(pc.invert(matched)),
        )

    def _part_cents(self, invoices: Ints, part: Ints, parts: Ints) -> Ints:
        """Return the amount of one part of each invoice; all parts of one add up to it.

        Each part gives its random shift to the next one around, so the shifts cancel out.
        """
        cents = self._ledger.cents(invoices)
        even = cents // parts
        shift = self._shift(invoices, part, even) - self._shift(invoices, (part + 1) % parts, even)
        rest = np.where(part == parts - 1, cents - even * parts, 0)
        return even + shift + rest

    def _shift(self, invoices: Ints, part: Ints, even: Ints) -> Ints:
        return self._draw.below(Stream.PART, invoices * 8 + part, even // 2 + 1)
