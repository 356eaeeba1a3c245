"""Entries of SWIFT MT940 statements."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pyarrow as pa

from kalla_core.sources.banks.entries import BrokenStatementError, Entry, Sum, amount_of
from kalla_core.sources.banks.narrative import Narrative, narrative

_FIELD = re.compile(r":([0-9]{2}[A-Z]?):(.*)", re.DOTALL)
_BALANCE = re.compile(r"([CD])([0-9]{6})([A-Z]{3})([0-9][0-9,]*)")
_ENTRY = re.compile(
    r"([0-9]{6})([0-9]{4})?(E?R?[CD])([A-Z])?([0-9][0-9,]{0,14})([A-Z][A-Z0-9]{3})(.*)", re.DOTALL
)
_BATCH = 8192
_CENTURY = 80
_MAX_FIELD = 10_000


@dataclass(slots=True)
class _Statement:
    """A statement that is being read."""

    account: str | None = None
    number: str | None = None
    reference: str | None = None
    currency: str | None = None
    total: Sum | None = None
    entries: int = 0
    waiting: tuple[int, str] | None = None

    @property
    def name(self) -> str | None:
        return self.number or self.reference


def mt940_entries(raw: pa.NativeFile, encoding: str | None) -> Iterator[list[Entry]]:
    """Yield the entries of a file, some at a time."""
    found: list[Entry] = []
    statement = _Statement()
    seen = False
    for line, tag, lines in _fields(raw, encoding or "utf-8"):
        if statement.waiting is not None:
            told = narrative(lines) if tag == "86" else Narrative()
            found.append(_entry(statement, told))
            if len(found) >= _BATCH:
                yield found
                found = []
            if tag == "86":
                continue
        text = lines[0].strip()
        if tag == "20":
            statement = _Statement(reference=text or None)
        elif tag == "25":
            statement.account = text or None
        elif tag in ("28C", "28"):
            statement.number = text or None
        elif tag in ("60F", "60M"):
            seen = True
            amount, statement.currency = _balance(text, line)
            statement.total = Sum(f"the statement `{statement.name or '?'}`", amount)
        elif tag == "61":
            statement.waiting = (line, "\n".join(lines))
        elif tag in ("62F", "62M"):
            if statement.total is None:
                raise BrokenStatementError(f"has a closing balance in line {line}, and no opening.")
            closing, currency = _balance(text, line)
            if currency != statement.currency:
                raise BrokenStatementError(f"has a balance in another currency in line {line}.")
            statement.total.check(closing)
            statement.total = None
    if statement.waiting is not None or statement.total is not None:
        raise BrokenStatementError("ends before its last statement does: it has no `:62F:`.")
    if not seen:
        raise BrokenStatementError("is no MT940: it has no `:60F:`.")
    yield found


def _fields(raw: pa.NativeFile, encoding: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the fields of a file: the line on which each begins, its tag, and its lines."""
    text = io.TextIOWrapper(raw, encoding, newline=None)
    tag, lines, first = "", [""], 0
    try:
        for number, written in enumerate(text, 1):
            line = written.rstrip("\n")
            line = line.rpartition("{4:")[2] if "{4:" in line else line.removeprefix("\ufeff")
            opened = _FIELD.match(line)
            if opened:
                if tag:
                    yield first, tag, lines
                tag, lines, first = opened[1], [opened[2]], number
            elif line.startswith("-") and line[1:].strip("} ") == "":
                if tag:
                    yield first, tag, lines
                tag = ""
            elif tag and not line.startswith("{"):
                lines.append(line)
                if len(lines) > _MAX_FIELD:
                    raise BrokenStatementError(f"has a field without an end in line {first}.")
    except UnicodeError as cause:
        raise BrokenStatementError(
            f"is not {encoding}; `encoding` in the source's `format` says what it is."
        ) from cause
    if tag:
        yield first, tag, lines


def _balance(text: str, line: int) -> tuple[Decimal, str]:
    found = _BALANCE.fullmatch(text)
    if found is None:
        raise BrokenStatementError(f"has `{text[:40]}` for a balance in line {line}.")
    amount = _amount(found[4], line)
    return (amount if found[1] == "C" else -amount), found[3]


def _amount(text: str, line: int) -> Decimal:
    return amount_of(text.replace(",", ".").rstrip("."), f"line {line}")


def _entry(statement: _Statement, told: Narrative) -> Entry:
    line, text = statement.waiting or (0, "")
    statement.waiting = None
    found = _ENTRY.fullmatch(text.strip())
    if found is None or statement.total is None:
        why = "before any balance" if found else "that is none"
        raise BrokenStatementError(f"has an entry {why} in line {line}: `{text[:40]}`.")
    mark = found[3].removeprefix("E")
    amount = _amount(found[5], line)
    signed = amount if mark in ("C", "RD") else -amount
    statement.entries += 1
    statement.total.add(signed)
    references, _, _ = found[7].partition("\n")
    own, _, of_bank = references.partition("//")
    valued = _day(found[1], line)
    return Entry(
        statement=statement.name,
        account=statement.account,
        entry=statement.entries,
        transaction=1,
        booked=_booked(found[2], valued, line),
        valued=valued,
        amount=signed,
        currency=statement.currency,
        status="BOOK",
        reversal=mark.startswith("R"),
        code=found[6],
        bank_reference=of_bank.strip() or None,
        reference=own.strip() if own.strip() not in ("", "NONREF") else None,
        end_to_end=told.end_to_end,
        counterparty=told.counterparty,
        counterparty_account=told.counterparty_account,
        remittance=told.remittance,
    )


def _day(text: str, line: int) -> date:
    year = int(text[:2])
    try:
        return date(year + (1900 if year >= _CENTURY else 2000), int(text[2:4]), int(text[4:]))
    except ValueError:
        raise BrokenStatementError(f"has `{text}` for a day in line {line}.") from None


def _booked(text: str | None, valued: date, line: int) -> date:
    """Return the day of a month nearest to the value date, as no year is written."""
    if text is None:
        return valued
    days = []
    for year in (valued.year - 1, valued.year, valued.year + 1):
        try:
            days.append(date(year, int(text[:2]), int(text[2:])))
        except ValueError:
            continue
    if not days:
        raise BrokenStatementError(f"has `{text}` for a day in line {line}.")
    return min(days, key=lambda day: abs(day - valued))
