"""One payment for an invoice, or nearly so, or none.

Of N invoices 60 % are paid exactly; 15 % within 2 % (one in eight of these within 4 cents, so
that differences of exactly the tolerance occur, the others anywhere); 5 % in two halves whose
references are not the invoice's; 20 % not at all. Payments of nothing come on top, 10 % of N.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.generate.arrays import chosen, either, numbered
from benchmarks.generate.ledger import (
    Ledger,
    invoice_ids,
    packed,
    pairs,
    schemas,
)
from benchmarks.generate.patterns import Piece
from benchmarks.generate.randomness import Bools, Ints, Randomness, Stream
from benchmarks.shapes import PatternName

TOLERANCE_CENTS = 2

_INVOICES, _PAYMENTS = schemas(PatternName.ONE_TO_ONE)


class OneToOne:
    """See the module; ranks of invoices: [exact | near | halves | none]."""

    knows_truth = True

    def __init__(self, size: int, randomness: Randomness) -> None:
        self._ledger = Ledger(randomness, size)
        self._draw = randomness
        self._exact = size * 60 // 100
        self._near = size * 75 // 100
        self._halves = size * 80 // 100
        self._orphans_from = self._near + 2 * (self._halves - self._near)
        self.left_rows = size
        self.right_rows = self._orphans_from + size * 10 // 100
        self._invoices = randomness.shuffle(Stream.SHUFFLE_LEFT, self.left_rows)
        self._payments = randomness.shuffle(Stream.SHUFFLE_RIGHT, self.right_rows)

    def left(self, start: int, end: int) -> Piece:
        """Return invoices [start, end) and the keys of the unmatched among them."""
        invoices = np.arange(start, end)
        ranks = self._invoices.back(invoices)
        batch_ref = numbered("BATCH-", invoices // 25, 7)
        rows = packed(self._ledger.invoice_columns(invoices, batch_ref), _INVOICES)
        matched = self._matched(ranks, invoices)
        return Piece(rows, unmatched=rows["invoice_id"].filter(pa.array(~matched)))

    def right(self, start: int, end: int) -> Piece:
        """Return payments [start, end), the pairs they are in and the keys of the unmatched."""
        payments = np.arange(start, end)
        slots = self._payments.back(payments)
        ranks, halves, orphans = self._paid_ranks(slots)
        invoices = np.where(orphans, self.left_rows + slots, self._invoices.forward(ranks))
        second = (slots - self._near) % 2
        cents = self._ledger.cents(invoices)
        paid = np.where(halves, (cents + second) // 2, cents + self._difference(ranks, invoices))
        halved = pc.binary_join_element_wise(
            invoice_ids(invoices), chosen(("-1", "-2"), second), ""
        )
        reference = either(halves, halved, invoice_ids(invoices))
        reference = either(orphans, numbered("ORP-", slots, 9), reference)
        columns = self._ledger.payment_columns(payments, invoices, paid, reference)
        rows = packed(columns, _PAYMENTS)
        matched = pa.array(~orphans & self._matched(ranks, invoices))
        return Piece(
            rows,
            pairs(reference.filter(matched), rows["payment_id"].filter(matched)),
            rows["payment_id"].filter(pc.invert(matched)),
        )

    def _paid_ranks(self, slots: Ints) -> tuple[Ints, Bools, Bools]:
        """Return the invoice's rank for each payment, whether it is a half, whether an orphan."""
        halves = (slots >= self._near) & (slots < self._orphans_from)
        orphans = slots >= self._orphans_from
        ranks = np.where(halves, self._near + (slots - self._near) // 2, slots)
        return np.where(orphans, 0, ranks), halves, orphans

    def _difference(self, ranks: Ints, invoices: Ints) -> Ints:
        """Return paid minus owed, in cents: nothing but for near payments."""
        near = (ranks >= self._exact) & (ranks < self._near)
        most = self._ledger.cents(invoices) // 50
        close = self._draw.below(Stream.PART, invoices, 8) == 0
        most = np.where(close, 2 * TOLERANCE_CENTS, most)
        difference = self._draw.below(Stream.DIFFERENCE, invoices, 2 * most + 1) - most
        return np.where(near, difference, 0)

    def _matched(self, ranks: Ints, invoices: Ints) -> Bools:
        close = np.abs(self._difference(ranks, invoices)) <= TOLERANCE_CENTS
        return np.asarray((ranks < self._near) & close, dtype=np.bool_)
