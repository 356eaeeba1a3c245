"""Entries of BAI2 files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pyarrow as pa

from kalla_core.sources.banks.entries import BrokenStatementError, Entry, Sum, amount_of, day_of

_BATCH = 8192
_MAX_CONTINUED = 10_000
_OPENING, _CLOSING = "010", "015"
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_CREDITS = (range(100, 400), range(720, 760), range(920, 960))
_DEBITS = (range(400, 700), range(760, 800), range(960, 1000))


@dataclass(slots=True)
class _Account:
    """An account of a group that is being read.

    Attributes:
        control: what its amounts are together, without their meaning.
    """

    name: str
    currency: str
    day: date
    total: Sum
    closing: Decimal | None
    control: Decimal
    entries: int = 0


def bai2_entries(raw: pa.NativeFile, encoding: str | None) -> Iterator[list[Entry]]:
    """Yield the entries of a file, some at a time."""
    found: list[Entry] = []
    day, currency = None, "USD"
    account: _Account | None = None
    kinds = set()
    for line, fields in _records(raw, encoding or "utf-8"):
        kind = fields[0]
        kinds.add(kind)
        if kind == "02":
            day, currency = _day(_at(fields, 4), line), _at(fields, 6) or "USD"
        elif kind == "03":
            if day is None or account is not None:
                raise BrokenStatementError(f"has an account out of order in line {line}.")
            account = _account(fields, day, currency, line)
        elif kind == "16":
            if account is None:
                raise BrokenStatementError(f"has an entry of no account in line {line}.")
            entry = _entry(account, fields, line)
            if entry is not None:
                found.append(entry)
            if len(found) >= _BATCH:
                yield found
                found = []
        elif kind == "49":
            if account is None:
                raise BrokenStatementError(f"ends an account in line {line} that none began.")
            _close(account, fields, line)
            account = None
    if "01" not in kinds or "99" not in kinds or account is not None:
        raise BrokenStatementError("is no whole BAI2 file: it has no record 01, or no 99.")
    yield found


def _records(raw: pa.NativeFile, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of records, what continues them joined, with the line of each."""
    fields: list[str] = []
    first, parts = 0, 0
    try:
        for number, written in enumerate(io.TextIOWrapper(raw, encoding, newline=None), 1):
            line = written.strip("\n \ufeff")
            if not line:
                continue
            kind, _, rest = line.partition(",")
            if kind == "88":
                parts += 1
                if not fields or parts > _MAX_CONTINUED:
                    raise BrokenStatementError(f"continues nothing in line {number}.")
                fields += _split(rest)
                continue
            if fields:
                yield first, fields
            if kind.removesuffix("/") not in ("01", "02", "03", "16", "49", "98", "99"):
                raise BrokenStatementError(f"has `{kind[:20]}` for a record in line {number}.")
            first, fields, parts = number, _split(line), 0
    except UnicodeError as cause:
        raise BrokenStatementError(
            f"is not {encoding}; `encoding` in the source's `format` says what it is."
        ) from cause
    if fields:
        yield first, fields


def _split(text: str) -> list[str]:
    return text.removesuffix("/").split(",")


def _at(fields: list[str], index: int) -> str:
    return fields[index].strip() if index < len(fields) else ""


def _day(text: str, line: int) -> date:
    return day_of(f"20{text[:2]}-{text[2:4]}-{text[4:]}", f"line {line}")


def _amount(text: str, currency: str, line: int) -> Decimal:
    """Return an amount whose decimals are implied by its currency; none counts as zero."""
    digits = text.lstrip("+-")
    if not digits:
        return Decimal(0)
    if not digits.isdigit():
        raise BrokenStatementError(f"has `{text[:40]}` for an amount in line {line}.")
    amount = amount_of(digits, f"line {line}").scaleb(-_DECIMALS.get(currency, 2))
    return -amount if text.startswith("-") else amount


def _behind_funds(fields: list[str], at: int) -> tuple[int, str | None]:
    """Return where the fields end that say when funds are available, and a day that they say."""
    kind = _at(fields, at).upper()
    if kind == "V":
        return at + 3, _at(fields, at + 1) or None
    if kind == "S":
        return at + 4, None
    if kind == "D":
        times = _at(fields, at + 1)
        return at + 2 + 2 * (int(times) if times.isdigit() and len(times) < 4 else 0), None
    return at + 1, None


def _account(fields: list[str], day: date, currency: str, line: int) -> _Account:
    currency = _at(fields, 2) or currency
    control = Decimal(0)
    balances: dict[str, Decimal] = {}
    at = 3
    while at + 1 < len(fields):
        code, written = _at(fields, at), _at(fields, at + 1)
        amount = _amount(written, currency, line)
        control += amount
        if written:
            balances[code] = amount
        at, _ = _behind_funds(fields, at + 3)
    name = _at(fields, 1)
    total = Sum(f"the account `{name}` of {day}", balances.get(_OPENING))
    return _Account(name, currency, day, total, balances.get(_CLOSING), control)


def _entry(account: _Account, fields: list[str], line: int) -> Entry | None:
    """Return an entry; None for a record that tells of no money."""
    code = _at(fields, 1)
    unsigned = _amount(_at(fields, 2), account.currency, line)
    account.control += unsigned
    if code == "890":
        return None
    amount = _signed(code, unsigned, line)
    at, valued = _behind_funds(fields, 3)
    account.entries += 1
    account.total.add(amount)
    return Entry(
        statement=f"{account.day:%y%m%d}",
        account=account.name,
        entry=account.entries,
        transaction=1,
        booked=account.day,
        valued=account.day if valued is None else _day(valued, line),
        amount=amount,
        currency=account.currency,
        status="BOOK",
        reversal=False,
        code=code,
        bank_reference=_at(fields, at) or None,
        reference=_at(fields, at + 1) or None,
        end_to_end=None,
        counterparty=None,
        counterparty_account=None,
        remittance=",".join(fields[at + 2 :]).strip(" ,") or None,
    )


def _signed(code: str, amount: Decimal, line: int) -> Decimal:
    number = int(code) if code.isascii() and code.isdigit() and len(code) == 3 else 0
    if any(number in some for some in _CREDITS):
        return amount
    if any(number in some for some in _DEBITS):
        return -amount
    raise BrokenStatementError(
        f"has the type `{code[:10]}` in line {line}, which is neither a credit nor a debit."
    )


def _close(account: _Account, fields: list[str], line: int) -> None:
    said = _amount(_at(fields, 1), account.currency, line)
    if said != account.control:
        raise BrokenStatementError(
            f"has the account `{account.name}` of {account.day}, whose amounts are"
            f" {account.control} together, but its control total in line {line} is {said}."
        )
    account.total.check(account.closing)
