"""Everything that real data does to a join, at once.

As many payments as invoices. The key is `batch_ref`, an integer, against `reference_number`, a
decimal with one digit after the point (`17.0` is 17, `17.5` is nobody's). By ranks:

    invoices   5 % one hot key | 4 % null key | 6 % keys of their own | shared keys
    payments   at most 20 of the hot key | 4 % null | 6 % of their own | 5 % halves (.5) | shared

About two invoices and two payments have the same shared key. Amounts of one key differ by 0 to
4 cents or by far, exactly the tolerance among them, some are negative, 1 % null. Primary keys are
null in 1 % of rows and another row's in 2 %. Texts hold quotes, commas, line ends, spaces at the
edges, the empty string beside null, and letters beyond ASCII.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from benchmarks.generate.arrays import chosen, decimal, emptied, money
from benchmarks.generate.ledger import (
    Ledger,
    invoice_ids,
    packed,
    payment_ids,
    schemas,
)
from benchmarks.generate.patterns import Piece
from benchmarks.generate.randomness import Bools, Ints, Randomness, Stream
from benchmarks.shapes import PatternName

HOT_KEY = 7
HOT_PAYMENTS = 20

_FIRST_SHARED = 1_000
_ONLY_LEFT, _ONLY_RIGHT = 1_000_000_000_000, 2_000_000_000_000
_OFFSETS_LEFT = np.array([0, 0, 0, 0, 1, -1, 2, 5_000])
_OFFSETS_RIGHT = np.array([0, 0, 0, 0, 2, -2, 1, 3, -3, -2_000])

_NASTIES = (
    None,
    None,
    "",
    "plain",
    "one, two",
    'said "paid"',
    '"',
    "first line\nsecond line",
    "first line\r\nsecond line",
    " spaces at the edges ",
    "Müller & Söhne, Zürich",
    "お支払い済み",
    "NULL",
    "a,\"b\"\n,,\n\"c\"",
)  # fmt: skip

_INVOICES, _PAYMENTS = schemas(PatternName.HARD)


class Hard:
    """See the module."""

    knows_truth = False

    def __init__(self, size: int, randomness: Randomness) -> None:
        self._ledger = Ledger(randomness, size)
        self._draw = randomness
        self._shared_keys = max(size // 2, 1)
        self._bounds_left = np.cumsum([size * 5 // 100, size * 4 // 100, size * 6 // 100])
        hot = min(HOT_PAYMENTS, size // 10 + 1)
        self._bounds_right = np.cumsum([hot, size * 4 // 100, size * 6 // 100, size * 5 // 100])
        self.left_rows = size
        self.right_rows = size
        self._invoices = randomness.shuffle(Stream.SHUFFLE_LEFT, size)
        self._payments = randomness.shuffle(Stream.SHUFFLE_RIGHT, size)

    def left(self, start: int, end: int) -> Piece:
        """Return invoices [start, end)."""
        invoices = np.arange(start, end)
        ranks = self._invoices.back(invoices)
        kind = np.searchsorted(self._bounds_left, ranks, side="right")
        keys = self._keys(invoices, Stream.KEY_LEFT)
        keys = np.select([kind == 0, kind == 2], [HOT_KEY, _ONLY_LEFT + ranks], keys)
        offset = _OFFSETS_LEFT[self._draw.below(Stream.OFFSET_LEFT, invoices, 8)]
        cents = np.where(kind == 0, 10_000 + ranks % 1_000, self._base(keys) + offset)
        columns = self._ledger.invoice_columns(invoices, emptied(pa.array(keys), kind == 1))
        nasty = self._nasty(Stream.NASTY_LEFT, invoices)
        columns |= {
            "invoice_id": self._ids(invoice_ids, Stream.ID_LEFT, invoices),
            "customer_name": nasty,
            "description": self._nasty(Stream.DESCRIPTION, invoices),
            "amount": emptied(money(cents), self._one_percent(Stream.NULL_LEFT, invoices)),
        }
        return Piece(packed(columns, _INVOICES))

    def right(self, start: int, end: int) -> Piece:
        """Return payments [start, end)."""
        payments = np.arange(start, end)
        ranks = self._payments.back(payments)
        kind = np.searchsorted(self._bounds_right, ranks, side="right")
        keys = self._keys(payments, Stream.KEY_RIGHT)
        keys = np.select([kind == 0, kind == 2], [HOT_KEY, _ONLY_RIGHT + ranks], keys)
        offset = _OFFSETS_RIGHT[self._draw.below(Stream.OFFSET_RIGHT, payments, 10)]
        cents = np.where(kind == 0, 10_000 + ranks * 47 % 1_000, self._base(keys) + offset)
        reference = decimal(
            10 * keys + np.where(kind == 3, 5, 0), _PAYMENTS.field("reference_number").type
        )
        like = payments + self.left_rows
        columns = self._ledger.payment_columns(payments, like, cents, emptied(reference, kind == 1))
        columns |= {
            "payment_id": self._ids(payment_ids, Stream.ID_RIGHT, payments),
            "notes": self._nasty(Stream.NASTY_RIGHT, payments),
            "paid_amount": emptied(money(cents), self._one_percent(Stream.NULL_RIGHT, payments)),
        }
        return Piece(packed(columns, _PAYMENTS))

    def _keys(self, rows: Ints, stream: Stream) -> Ints:
        return _FIRST_SHARED + self._draw.below(stream, rows, self._shared_keys)

    def _base(self, keys: Ints) -> Ints:
        """Return the amount that rows of a key are near, in cents; one in ten is negative."""
        cents = self._ledger.cents(keys)
        return np.where(keys % 10 == 3, -cents, cents)

    def _nasty(self, stream: Stream, rows: Ints) -> pa.Array:
        return chosen(_NASTIES, self._draw.below(stream, rows, len(_NASTIES)))

    def _one_percent(self, stream: Stream, rows: Ints) -> Bools:
        return np.equal(self._draw.below(stream, rows, 100), 0)

    def _ids(self, text: Callable[[Ints], pa.Array], stream: Stream, rows: Ints) -> pa.Array:
        lot = self._draw.below(stream, rows, 100)
        shared = np.where((lot == 1) | (lot == 2), rows // 2, rows)
        return emptied(text(shared), lot == 0)
