"""What invoices and payments look like in every pattern: their columns and everyday values.

A pattern says which payment belongs to which invoice; this module fills in the rest. All values
are functions of a row's number (or of the invoice that a payment pays), never of a chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from benchmarks.generate.arrays import arrow_schema, chosen, dates, money, numbered
from benchmarks.generate.randomness import Ints, Randomness, Stream
from benchmarks.shapes import SHAPES, PatternName

FIRST_DAY = 19_723
"""2024-01-01, in days since 1970; invoices are dated within the leap year that begins there."""
DAYS = 366

CURRENCIES = ("EUR", "USD", "GBP")
_STATUSES = ("open", "sent", "overdue", "disputed")
_METHODS = ("bank_transfer", "card", "direct_debit", "cheque")
_GOODS = ("Consulting", "Hosting", "Licences", "Freight", "Spare parts", "Catering", "Training")
_TERMS = (" services", " per contract", " as agreed", " of the month", " (final)", "")
_DESCRIPTIONS = tuple(goods + terms for goods in _GOODS for terms in _TERMS)
_NOTES = (None, None, None, "paid in full", "thank you", "see remittance advice")
_FIRST_NAMES = ("North", "South", "Blue", "Alpine", "Harbour", "Union", "Prime", "Old Mill")
_LAST_NAMES = ("Trading", "Foods", "Logistics", "Energy", "Textiles", "Motors", "Papers", "Labs")
_FORMS = ("Ltd", "GmbH", "SA", "Inc")
_NAMES = tuple(f"{a} {b} {c}" for a in _FIRST_NAMES for b in _LAST_NAMES for c in _FORMS)


def schemas(name: PatternName) -> tuple[pa.Schema, pa.Schema]:
    """Return the Arrow schemas of a pattern's invoices and payments."""
    shape = SHAPES[name]
    return arrow_schema(shape.left), arrow_schema(shape.right)


def invoice_ids(invoices: Ints) -> pa.Array:
    """Return the ids of invoices by their numbers, from 0."""
    return numbered("INV-", invoices, 9)


def payment_ids(payments: Ints) -> pa.Array:
    """Return the ids of payments by their numbers, from 0."""
    return numbered("PAY-", payments, 9)


def pairs(left_keys: pa.Array, right_keys: pa.Array) -> pa.RecordBatch:
    """Return pairs as truth keeps them."""
    return pa.RecordBatch.from_arrays([left_keys, right_keys], ["left_key", "right_key"])


@dataclass(frozen=True, slots=True)
class Ledger:
    """The everyday values of `size` invoices and of whatever pays them."""

    randomness: Randomness
    size: int

    def customers(self, invoices: Ints) -> Ints:
        """Return the customer of each invoice, from 0; about fifty invoices have the same."""
        return self.randomness.below(Stream.CUSTOMER, invoices, max(20, self.size // 50))

    def cents(self, invoices: Ints) -> Ints:
        """Return the amount of each invoice, from 10.00 to 10,000.00."""
        return 1_000 + self.randomness.below(Stream.AMOUNT, invoices, 999_001)

    def days(self, invoices: Ints) -> Ints:
        """Return the date of each invoice, in days since 1970."""
        return FIRST_DAY + self.randomness.below(Stream.INVOICE_DAY, invoices, DAYS)

    def currencies(self, invoices: Ints) -> Ints:
        """Return positions in `CURRENCIES`; half of the invoices are in the first."""
        return np.maximum(self.randomness.below(Stream.CURRENCY, invoices, 4) - 1, 0)

    def invoice_columns(self, invoices: Ints, batch_ref: pa.Array) -> dict[str, pa.Array]:
        """Return the columns of invoices by name, for a pattern to change and pack."""
        draw = self.randomness
        days = self.days(invoices)
        customers = self.customers(invoices)
        return {
            "invoice_id": invoice_ids(invoices),
            "customer_id": numbered("CUST-", customers, 6),
            "customer_name": names(customers),
            "invoice_date": dates(days),
            "due_date": dates(days + 14 + 23 * draw.below(Stream.TERMS, invoices, 3)),
            "amount": money(self.cents(invoices)),
            "currency": chosen(CURRENCIES, self.currencies(invoices)),
            "status": chosen(_STATUSES, draw.below(Stream.STATUS, invoices, len(_STATUSES))),
            "description": chosen(
                _DESCRIPTIONS, draw.below(Stream.DESCRIPTION, invoices, len(_DESCRIPTIONS))
            ),
            "batch_ref": batch_ref,
        }

    def payment_columns(
        self, payments: Ints, paid_for: Ints, cents: Ints, reference: pa.Array
    ) -> dict[str, pa.Array]:
        """Return the columns of payments by name.

        `paid_for` is the invoice whose customer, date and currency a payment has; an orphan is
        given the number of an invoice beyond the last.
        """
        draw = self.randomness
        delays = draw.below(Stream.PAYMENT_DELAY, payments, 45)
        customers = self.customers(paid_for)
        return {
            "payment_id": payment_ids(payments),
            "payer_id": numbered("CUST-", customers, 6),
            "payer_name": names(customers),
            "payment_date": dates(self.days(paid_for) + delays),
            "paid_amount": money(cents),
            "currency": chosen(CURRENCIES, self.currencies(paid_for)),
            "payment_method": chosen(_METHODS, draw.below(Stream.METHOD, payments, len(_METHODS))),
            "reference_number": reference,
            "bank_reference": numbered(
                "BNK", draw.below(Stream.BANK_REFERENCE, payments, 10**12), 12
            ),
            "notes": chosen(_NOTES, draw.below(Stream.NOTES, payments, len(_NOTES))),
        }


def names(customers: Ints) -> pa.Array:
    """Return the name of each customer."""
    return chosen(_NAMES, customers % len(_NAMES))


def packed(columns: Mapping[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """Return the columns as a batch of `schema`, in its order."""
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
