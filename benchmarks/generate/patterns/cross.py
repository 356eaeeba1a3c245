"""Everything of a customer in one month and currency against everything paid in it.

Four in five invoices and payments are of twenty customers that both sides share; the others are
of customers that only one side knows. As many payments as invoices. Pairs grow with the square
of the size, hence the bound on it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benchmarks.generate.arrays import numbered
from benchmarks.generate.ledger import (
    Ledger,
    invoice_ids,
    names,
    packed,
    schemas,
)
from benchmarks.generate.patterns import Piece
from benchmarks.generate.randomness import Ints, Randomness, Shuffle, Stream
from benchmarks.shapes import PatternName

LARGEST = 30_000
SHARED_CUSTOMERS = 20
_ONLY_LEFT, _ONLY_RIGHT = 100_000, 500_000

_INVOICES, _PAYMENTS = schemas(PatternName.CROSS)


class Cross:
    """See the module.

    Raises:
        ValueError: more than `LARGEST` invoices.
    """

    knows_truth = False

    def __init__(self, size: int, randomness: Randomness) -> None:
        if size > LARGEST:
            raise ValueError(f"cross is quadratic: at most {LARGEST} invoices, not {size}")
        self._ledger = Ledger(randomness, size)
        self._draw = randomness
        self._shared = size * 80 // 100
        self.left_rows = size
        self.right_rows = size
        self._invoices = randomness.shuffle(Stream.SHUFFLE_LEFT, size)
        self._payments = randomness.shuffle(Stream.SHUFFLE_RIGHT, size)

    def left(self, start: int, end: int) -> Piece:
        """Return invoices [start, end)."""
        invoices = np.arange(start, end)
        customers = self._customers(invoices, self._invoices, Stream.KEY_LEFT, _ONLY_LEFT)
        columns = self._ledger.invoice_columns(invoices, numbered("BATCH-", invoices // 25, 7))
        named = {"customer_id": _customer_ids(customers), "customer_name": names(customers)}
        return Piece(packed(columns | named, _INVOICES))

    def right(self, start: int, end: int) -> Piece:
        """Return payments [start, end)."""
        payments = np.arange(start, end)
        customers = self._customers(payments, self._payments, Stream.KEY_RIGHT, _ONLY_RIGHT)
        # Dates and currencies of invoices beyond the last: alike, but not those of the left side.
        like = payments + self.left_rows
        cents = self._ledger.cents(like)
        columns = self._ledger.payment_columns(payments, like, cents, invoice_ids(like))
        named = {"payer_id": _customer_ids(customers), "payer_name": names(customers)}
        return Piece(packed(columns | named, _PAYMENTS))

    def _customers(self, rows: Ints, shuffle: Shuffle, stream: Stream, own: int) -> Ints:
        shared = self._draw.below(stream, rows, SHARED_CUSTOMERS)
        return np.where(shuffle.back(rows) < self._shared, shared, own + shared)


def _customer_ids(customers: Ints) -> pa.Array:
    return numbered("CUST-", customers, 6)
