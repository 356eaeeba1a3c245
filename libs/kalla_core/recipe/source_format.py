"""How the text of a source is written: what a recipe says in a source's `format`.

What it does not say is as the URI or the documentation has it. Pure values; the readers decide what
they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NO_QUOTE = "none"
"""What `quote` says where no sign opens a quoted field."""


class AmountForm(StrEnum):
    """Forms of numbers that only ledgers use."""

    PARENTHESES = "parentheses"
    TRAILING_MINUS = "trailing_minus"
    CURRENCY = "currency"
    PLUS = "plus"
    BLANKS = "blanks"


class DebitSign(StrEnum):
    """How amounts in a column of debits are written."""

    PLUS = "plus"
    MINUS = "minus"


@dataclass(frozen=True, slots=True)
class SignedAmount:
    """A column made of two: what was credited less what was debited.

    Attributes:
        name: of the column made; the two others stay.
        credit: the column of what comes in.
        debit: the column of what goes out.
        debit_sign: what debits are written with; None where values tell that they are positive.
    """

    name: str
    credit: str
    debit: str
    debit_sign: DebitSign | None = None


@dataclass(frozen=True, slots=True)
class FixedColumn:
    """A column of lines without delimiters: the characters `[start, end)` of each."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """How a source is written; None and empty for what is not said.

    Attributes:
        quote: one character, or `none`.
        encoding: as Python calls it.
        decimal: the sign before the fraction.
        thousands: the sign between groups of digits; a blank stands for all kinds of blanks.
        dates: formats in the manner of strptime, the first that fits counts; `timestamps` alike.
        header: the number of the line with the names, what it starts with, or whether there is one.
        skip_first: lines at the beginning of each file that are passed over.
        skip_last: lines at the end of each file, blank ones aside, that are passed over.
        stop: a regular expression of RE2; in each file the first line behind the header that begins
            so, and all behind it, are passed over.
        trailing_delimiter: whether each row ends with one delimiter more than it needs.
        row_number: the column to be made that counts the rows of the source from 1.
        amount: the column to be made of credits and debits.
        columns: where the columns of a fixed width lie; empty where a delimiter separates them.
        sheet: of a workbook, by its name or its number from 1.
        table: of a file of a database.
        records: of a JSON file that is one object, the names that lead to the array of its records,
            parted by dots.
    """

    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    dates: tuple[str, ...] = ()
    timestamps: tuple[str, ...] = ()
    true_words: tuple[str, ...] = ()
    false_words: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    comment: str | None = None
    header: bool | int | str | None = None
    skip_first: int = 0
    skip_last: int = 0
    trailing_delimiter: bool = False
    amounts: tuple[AmountForm, ...] = ()
    stop: str | None = None
    row_number: str | None = None
    amount: SignedAmount | None = None
    columns: tuple[FixedColumn, ...] = ()
    sheet: str | int | None = None
    table: str | None = None
    records: str | None = None


AS_USUAL = SourceFormat()
