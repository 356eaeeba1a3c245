"""What an entry and a statement of a bank are, and whether a statement adds up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal

import pyarrow as pa

from kalla_core.recipe.column_types import MAX_DECIMAL128_DIGITS, decimal_type


class BrokenStatementError(Exception):
    """What is no statement, or does not add up; the message is a sentence without its subject."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a statement, or one transaction of an entry that has several.

    Attributes:
        statement: its identification or number.
        account: as the bank calls it.
        entry: its place in the statement, from 1; `transaction` its place in the entry.
        booked: when it was booked; `valued` from when on interest counts.
        amount: signed: positive is what the account was credited.
        status: as ISO 20022 calls it, `BOOK` for booked.
        reversal: whether it takes back another one.
        code: what kind of transaction the bank says it is.
        bank_reference: the bank's own; `reference` is the owner's or whoever instructed it.
        end_to_end: the identification that travels from end to end.
        counterparty: the name of the other side, and `counterparty_account` its account.
        remittance: what it is for.
    """

    statement: str | None
    account: str | None
    entry: int
    transaction: int
    booked: date | None
    valued: date | None
    amount: Decimal
    currency: str | None
    status: str | None
    reversal: bool
    code: str | None
    bank_reference: str | None
    reference: str | None
    end_to_end: str | None
    counterparty: str | None
    counterparty_account: str | None
    remittance: str | None


_TYPES = {
    "entry": pa.int64(),
    "transaction": pa.int64(),
    "booked": pa.date32(),
    "valued": pa.date32(),
    "reversal": pa.bool_(),
}
_NAMES = [field.name for field in fields(Entry)]


@dataclass(frozen=True, slots=True)
class Digits:
    """How many digits amounts need before and behind the point."""

    before: int = 0
    behind: int = 2

    def with_amounts(self, entries: Sequence[Entry]) -> Digits:
        """Return how many they need together with those of entries."""
        before, behind = self.before, self.behind
        for entry in entries:
            exponent = entry.amount.as_tuple().exponent
            behind = max(behind, -exponent if isinstance(exponent, int) else 0)
            before = max(before, entry.amount.adjusted() + 1)
        return Digits(before, behind)

    def schema(self) -> pa.Schema:
        """Return the columns of entries with such amounts."""
        digits = 18 if self.before + self.behind <= 15 else MAX_DECIMAL128_DIGITS
        amount = decimal_type(max(digits, self.before + self.behind), self.behind)
        kinds = {**_TYPES, "amount": amount}
        return pa.schema([(name, kinds.get(name, pa.string())) for name in _NAMES])


def table_of(entries: Sequence[Entry], schema: pa.Schema) -> pa.RecordBatch:
    """Return entries as rows."""
    arrays = [
        pa.array([getattr(entry, one.name) for entry in entries], one.type)
        for one in schema
        if one.name in _NAMES
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[n for n in schema.names if n in _NAMES])


class Sum:
    """Adds the entries of one statement up.

    Args:
        what: the statement, as people call it.
        opening: the balance before its entries; None where it has none.
    """

    def __init__(self, what: str, opening: Decimal | None) -> None:
        self._what = what
        self._opening = opening
        self._total = Decimal(0)

    def add(self, amount: Decimal) -> None:
        """Add a booked entry."""
        self._total += amount

    def check(self, closing: Decimal | None) -> None:
        """Check the balance behind the entries; a statement without both has nothing to check.

        Raises:
            BrokenStatementError: it is another one.
        """
        if self._opening is None or closing is None or self._opening + self._total == closing:
            return
        raise BrokenStatementError(
            f"has {self._what}, which does not add up: its opening balance of {self._opening} and"
            f" its entries of {self._total} are {self._opening + self._total}, but its closing"
            f" balance is {closing}."
        )


def amount_of(text: str, place: str) -> Decimal:
    """Return a number without a sign that has a point or none.

    Raises:
        BrokenStatementError: it is none.
    """
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_DECIMAL128_DIGITS:
        raise BrokenStatementError(f"has `{text[:40]}` for an amount in {place}.")
    return Decimal(text)


def day_of(text: str, place: str) -> date:
    """Return a day in ISO 8601, of a date or of a date with a time.

    Raises:
        BrokenStatementError: it is none.
    """
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise BrokenStatementError(f"has `{text[:40]}` for a day in {place}.") from None
