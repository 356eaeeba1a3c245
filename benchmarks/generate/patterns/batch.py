"""10 to 50 invoices that share a batch_ref are paid by one payment of their sum.

Ranks of invoices go in cycles of 41 batches, one of each size from 10 to 50, so that the batch of
any invoice is found by division; what does not fill a cycle is cut into even batches. (Fewer than
ten invoices in all make one batch.) Payments of nothing come on top, 10 % of N.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benchmarks.generate.arrays import either, numbered
from benchmarks.generate.ledger import (
    Ledger,
    packed,
    pairs,
    payment_ids,
    schemas,
)
from benchmarks.generate.patterns import Piece
from benchmarks.generate.randomness import Bools, Ints, Randomness, Stream
from benchmarks.shapes import PatternName

_SMALLEST, _LARGEST = 10, 50
_KINDS = _LARGEST - _SMALLEST + 1
# 17 and 41 have no common factor: every size once, small and large ones mixed.
_SIZES = _SMALLEST + np.arange(_KINDS) * 17 % _KINDS
_STARTS = np.concatenate(([0], np.cumsum(_SIZES)))
_CYCLE = int(_STARTS[-1])

_INVOICES, _PAYMENTS = schemas(PatternName.BATCH)


class Batch:
    """See the module; every invoice is matched, once."""

    knows_truth = True

    def __init__(self, size: int, randomness: Randomness) -> None:
        self._ledger = Ledger(randomness, size)
        # A rest of a few invoices would make a batch too small: cut it together with a cycle.
        cycles = size // _CYCLE if size % _CYCLE == 0 else max(size // _CYCLE - 1, 0)
        self._rest_from = cycles * _CYCLE
        self._rest_batches_from = cycles * _KINDS
        rest = size - self._rest_from
        self._rest_starts = _even_starts(rest)
        batches = self._rest_batches_from + len(self._rest_starts) - 1
        self._orphans_from = batches
        self.left_rows = size
        self.right_rows = batches + size * 10 // 100
        self._invoices = randomness.shuffle(Stream.SHUFFLE_LEFT, self.left_rows)
        self._payments = randomness.shuffle(Stream.SHUFFLE_RIGHT, self.right_rows)

    def left(self, start: int, end: int) -> Piece:
        """Return invoices [start, end), with the one pair that each is in."""
        invoices = np.arange(start, end)
        batches = self._batch_of(self._invoices.back(invoices))
        columns = self._ledger.invoice_columns(invoices, numbered("BATCH-", batches, 9))
        rows = packed(columns, _INVOICES)
        payments = payment_ids(self._payments.forward(batches))
        return Piece(rows, pairs(rows["invoice_id"], payments))

    def right(self, start: int, end: int) -> Piece:
        """Return payments [start, end) and the keys of the orphans among them."""
        payments = np.arange(start, end)
        slots = self._payments.back(payments)
        orphans = slots >= self._orphans_from
        batches = np.where(orphans, 0, slots)
        first = self._invoices.forward(self._first_rank(batches))
        invoices = np.where(orphans, self.left_rows + slots, first)
        paid = np.where(orphans, self._ledger.cents(invoices), self._sums(batches, orphans))
        reference = either(orphans, numbered("ORP-", slots, 9), numbered("BATCH-", slots, 9))
        columns = self._ledger.payment_columns(payments, invoices, paid, reference)
        rows = packed(columns, _PAYMENTS)
        return Piece(rows, unmatched=rows["payment_id"].filter(pa.array(orphans)))

    def _batch_of(self, ranks: Ints) -> Ints:
        cycles, within = np.divmod(ranks, _CYCLE)
        regular = cycles * _KINDS + np.searchsorted(_STARTS, within, side="right") - 1
        into_rest = ranks - self._rest_from
        rest = np.searchsorted(self._rest_starts, into_rest, side="right") - 1
        return np.where(into_rest < 0, regular, self._rest_batches_from + rest)

    def _first_rank(self, batches: Ints) -> Ints:
        """Return the first rank of each batch; for the number of batches, the number of ranks."""
        cycles, kinds = np.divmod(batches, _KINDS)
        into_rest = np.maximum(batches - self._rest_batches_from, 0)
        into_rest = np.minimum(into_rest, len(self._rest_starts) - 1)
        rest = self._rest_from + self._rest_starts[into_rest]
        return np.where(batches < self._rest_batches_from, cycles * _CYCLE + _STARTS[kinds], rest)

    def _sums(self, batches: Ints, orphans: Bools) -> Ints:
        """Return the sum of the invoices of each batch, in cents; of orphans, anything."""
        first = self._first_rank(batches)
        sizes = np.where(orphans, 1, self._first_rank(batches + 1) - first)
        ends = np.cumsum(sizes)
        ranks = np.arange(ends[-1]) + np.repeat(first - (ends - sizes), sizes)
        return np.add.reduceat(self._ledger.cents(self._invoices.forward(ranks)), ends - sizes)


def _even_starts(rest: int) -> Ints:
    """Return where even batches of at most 50 begin in [0, rest), and then `rest`."""
    batches = -(-rest // _LARGEST)
    return np.arange(batches + 1, dtype=np.int64) * rest // max(batches, 1)
