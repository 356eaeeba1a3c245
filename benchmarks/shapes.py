"""What the generator, the recipe and the peers agree on: names, columns and types, rules.

Only the standard library is imported, so that a peer starts as fast as a script of its own would.
Types are spelled as in recipes (`decimal(12,2)`, `date`, `int64`, `text`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Columns = Mapping[str, str]
"""Column names to types, in the order of the file."""

LEFT_KEY = "invoice_id"
RIGHT_KEY = "payment_id"
MATCH_COLUMNS = "l.invoice_id, r.payment_id, l.amount, r.paid_amount"


class PatternName(StrEnum):
    """The kinds of data there are."""

    ONE_TO_ONE = "one_to_one"
    SPLIT = "split"
    BATCH = "batch"
    CROSS = "cross"
    HARD = "hard"


class Format(StrEnum):
    """How rows lie on disk; the value is the ending of the file."""

    CSV = "csv"
    PARQUET = "parquet"


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
class Shape:
    """A pattern without its data: the columns of invoices and payments, and the rule."""

    left: Columns
    right: Columns
    rule: Rule


_INVOICES = {
    "invoice_id": "text",
    "customer_id": "text",
    "customer_name": "text",
    "invoice_date": "date",
    "due_date": "date",
    "amount": "decimal(12,2)",
    "currency": "text",
    "status": "text",
    "description": "text",
    "batch_ref": "text",
}
_PAYMENTS = {
    "payment_id": "text",
    "payer_id": "text",
    "payer_name": "text",
    "payment_date": "date",
    "paid_amount": "decimal(12,2)",
    "currency": "text",
    "payment_method": "text",
    "reference_number": "text",
    "bank_reference": "text",
    "notes": "text",
}


def _equal_and_close(equal: str, text: str) -> Rule:
    return Rule(
        kalla=f"{equal} AND tolerance_match(l.amount, r.paid_amount, 0.02)",
        plain=f"{equal} AND abs(l.amount - r.paid_amount) <= 0.02",
        text=f"{text}, amounts within 2 cents",
    )


_REFERENCE = "l.invoice_id = r.reference_number"
_BATCH = "l.batch_ref = r.reference_number"
_CUSTOMER_AND_MONTH = (
    "l.customer_id = r.payer_id AND l.currency = r.currency"
    " AND date_trunc('month', l.invoice_date) = date_trunc('month', r.payment_date)"
)

SHAPES: Mapping[PatternName, Shape] = {
    PatternName.ONE_TO_ONE: Shape(
        _INVOICES, _PAYMENTS, _equal_and_close(_REFERENCE, "References equal")
    ),
    PatternName.SPLIT: Shape(
        _INVOICES, _PAYMENTS, Rule(_REFERENCE, _REFERENCE, "References equal")
    ),
    PatternName.BATCH: Shape(
        _INVOICES, _PAYMENTS, Rule(_BATCH, _BATCH, "The payment refers to the batch")
    ),
    PatternName.CROSS: Shape(
        _INVOICES,
        _PAYMENTS,
        Rule(_CUSTOMER_AND_MONTH, _CUSTOMER_AND_MONTH, "Customer, currency and month equal"),
    ),
    PatternName.HARD: Shape(
        _INVOICES | {"batch_ref": "int64"},
        _PAYMENTS | {"reference_number": "decimal(14,1)"},
        _equal_and_close(_BATCH, "Batch and reference are the same number"),
    ),
}


def decimal_digits(type_: str) -> tuple[int, int] | None:
    """Return precision and scale of a decimal type; None of any other."""
    if not type_.startswith("decimal("):
        return None
    precision, scale = type_.removeprefix("decimal(").removesuffix(")").split(",")
    return int(precision), int(scale)
