"""The structured texts of MT940's `:86:`, as banks of several countries write them. Pure.

German banks number pieces (`?20` to `?29` and `?60` to `?63` are what it is for, `?31` to `?33` the
other side) and mark what is in them (`EREF+`, `SVWZ+`); Dutch and Belgian ones write `/EREF/…/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NUMBERED = re.compile(r"\?([0-9]{2})")
_TAGS = "EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC|PURP"
_MARKED = re.compile(rf"({_TAGS})\+")
_SLASHED = re.compile(
    r"/(TRTP|CSID|MARF|NAME|IBAN|BIC|REMI|EREF|PREF|RREF|ORDP|BENM|ISDT|TRCD|RTRN|BUSP|TREF|CNTP|PURP"
    r"|ULTC|ULTD)/"
)
_PURPOSE = (*range(20, 30), *range(60, 64))
_NONE_GIVEN = ("NOTPROVIDED", "NOT PROVIDED", "NONREF")


@dataclass(frozen=True, slots=True)
class Narrative:
    """What a text says of an entry; None for what it does not say."""

    end_to_end: str | None = None
    counterparty: str | None = None
    counterparty_account: str | None = None
    remittance: str | None = None


def narrative(lines: list[str]) -> Narrative:
    """Return what the lines of a `:86:` say."""
    joined = "".join(lines)
    if _NUMBERED.search(joined):
        return _numbered(joined)
    found = _parted(_SLASHED, joined)
    if len(found) > 1 or "REMI" in found:
        party, account = found.get("NAME"), found.get("IBAN")
        if contents := found.get("CNTP"):
            account, _, party, *_ = (*contents.split("/"), "", "", "")
        remittance = (found.get("REMI") or "").removeprefix("USTD//").removeprefix("STRD/")
        return Narrative(
            _given(found.get("EREF")), party or None, account or None, remittance or None
        )
    marked = _parted(_MARKED, joined)
    if marked:
        text = marked.get("SVWZ", marked[""])
        return Narrative(_given(marked.get("EREF")), remittance=text or None)
    return Narrative(remittance=" ".join(line.strip() for line in lines).strip() or None)


def _numbered(text: str) -> Narrative:
    pieces = _NUMBERED.split(text)[1:]
    by_number: dict[int, str] = {}
    for number, piece in zip(pieces[::2], pieces[1::2], strict=True):
        by_number[int(number)] = by_number.get(int(number), "") + piece
    purpose = "".join(by_number.get(number, "") for number in _PURPOSE)
    marked = _parted(_MARKED, purpose)
    remittance = marked.get("SVWZ", marked[""]) if marked else purpose
    party = "".join(by_number.get(number, "") for number in (32, 33))
    return Narrative(
        _given(marked.get("EREF")) if marked else None,
        party.strip() or None,
        (by_number.get(31) or marked.get("IBAN") or "").strip() or None,
        remittance.strip() or None,
    )


def _parted(marks: re.Pattern[str], text: str) -> Mapping[str, str]:
    """Return texts by the marks before them, the first of each; what stands before all by none."""
    head, *pieces = marks.split(text)
    if not pieces:
        return {}
    found = {"": head.strip()}
    for mark, piece in zip(pieces[::2], pieces[1::2], strict=True):
        found.setdefault(mark, piece.strip().rstrip("/"))
    return found


def _given(reference: str | None) -> str | None:
    return None if not reference or reference.upper() in _NONE_GIVEN else reference
