"""Entries of ISO 20022 camt.053 statements, and of the reports 052 and notifications 054."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa

from kalla_core.sources.banks.entries import (
    BrokenStatementError,
    Entry,
    Sum,
    amount_of,
    day_of,
)
from kalla_core.sources.foreign_xml import FAULTS, local, parser

_CHUNK_BYTES = 256 << 10
_STATEMENTS = ("Stmt", "Rpt", "Ntfctn")
_OPENING, _CLOSING = ("OPBD", "PRCD"), ("CLBD",)
_FAMILY = "BkTxCd/Domn/Fmly"
_DEEPEST = 100


@dataclass(slots=True)
class _Node:
    name: str
    attributes: dict[str, str]
    children: list[_Node] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts).strip()

    def all(self, path: str) -> list[_Node]:
        found = [self]
        for name in path.split("/"):
            found = [child for node in found for child in node.children if child.name == name]
        return found

    def one(self, *paths: str) -> str | None:
        """Return the first text below any of some paths, in this order."""
        for path in paths:
            for node in self.all(path):
                if node.text:
                    return node.text
        return None


class _Reader:
    """Collects entries while XML is parsed; holds one entry at a time."""

    def __init__(self) -> None:
        self.found: list[Entry] = []
        self.statements = 0
        self._open: list[_Node] = []
        self._head: _Node | None = None
        self._sum: Sum | None = None
        self._closing: Decimal | None = None
        self._entries = 0
        self._parser = parser(self._start, self._end)
        self._parser.CharacterDataHandler = self._data

    def feed(self, data: bytes, *, last: bool = False) -> None:
        self._parser.Parse(data, last)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        node = _Node(local(tag), attributes)
        if len(self._open) > _DEEPEST:
            raise BrokenStatementError("has elements too deep in one another.")
        if self._open:
            self._open[-1].children.append(node)
        self._open.append(node)
        if node.name in _STATEMENTS:
            self._head, self._sum, self._entries = node, None, 0
            self.statements += 1

    def _data(self, text: str) -> None:
        if self._open:
            self._open[-1].parts.append(text)

    def _end(self, _: str) -> None:
        node = self._open.pop()
        if node.name == "Ntry" and self._head is not None:
            self._open[-1].children.remove(node)
            self._entry(self._head, node)
        elif node is self._head:
            self._settle(node).check(self._closing)
            self._head = None
            node.children.clear()

    def _settle(self, head: _Node) -> Sum:
        """Return the sum of a statement, whose balances stand before its entries."""
        if self._sum is None:
            balances = {_code(one): one for one in head.all("Bal")}
            opening = next((_signed(balances[code]) for code in _OPENING if code in balances), None)
            closing = next((_signed(balances[code]) for code in _CLOSING if code in balances), None)
            self._sum = Sum(f"the statement `{head.one('Id') or '?'}`", opening)
            self._closing = closing
        return self._sum

    def _entry(self, head: _Node, node: _Node) -> None:
        self._entries += 1
        total = self._settle(head)
        amount = _signed(node)
        status = node.one("Sts/Cd", "Sts/Prtry", "Sts")
        if status in (None, "BOOK"):
            total.add(amount)
        place = f"entry {self._entries} of the statement `{head.one('Id') or '?'}`"
        details = node.all("NtryDtls/TxDtls")
        amounts = _amounts(node, details, amount)
        for number, (detail, part) in enumerate(amounts, 1):
            self.found.append(_row(head, node, detail, part, (self._entries, number), place))


def _amounts(
    node: _Node, details: list[_Node], amount: Decimal
) -> list[tuple[_Node | None, Decimal]]:
    """Return transactions of an entry with their amounts, if those are the entry's together."""
    if len(details) < 2:
        return [(details[0] if details else None, amount)]
    currency = _currency(node)
    parts = []
    for detail in details:
        found = [*detail.all("Amt"), *detail.all("AmtDtls/TxAmt/Amt")]
        if not found or found[0].attributes.get("Ccy") != currency:
            return [(None, amount)]
        unsigned = amount_of(found[0].text, "a transaction")
        credit = (detail.one("CdtDbtInd") or node.one("CdtDbtInd")) == "CRDT"
        parts.append((detail, unsigned if credit else -unsigned))
    if sum(part for _, part in parts) != amount:
        return [(None, amount)]
    return [*parts]


def _row(
    head: _Node,
    node: _Node,
    detail: _Node | None,
    amount: Decimal,
    numbers: tuple[int, int],
    place: str,
) -> Entry:
    inner = detail or _Node("TxDtls", {})
    booked, valued = (node.one(f"{name}/Dt", f"{name}/DtTm") for name in ("BookgDt", "ValDt"))
    credit = amount >= 0
    party, account = ("Dbtr", "DbtrAcct") if credit else ("Cdtr", "CdtrAcct")
    texts = [one.text for one in inner.all("RmtInf/Ustrd")] or [
        one.text for one in inner.all("RmtInf/Strd/CdtrRefInf/Ref")
    ]
    code = map(node.one, ("BkTxCd/Domn/Cd", f"{_FAMILY}/Cd", f"{_FAMILY}/SubFmlyCd"))
    return Entry(
        statement=head.one("Id"),
        account=head.one("Acct/Id/IBAN", "Acct/Id/Othr/Id"),
        entry=numbers[0],
        transaction=numbers[1],
        booked=None if booked is None else day_of(booked, place),
        valued=None if valued is None else day_of(valued, place),
        amount=amount,
        currency=_currency(node),
        status=node.one("Sts/Cd", "Sts/Prtry", "Sts"),
        reversal=node.one("RvslInd") == "true",
        code="/".join(one for one in code if one) or node.one("BkTxCd/Prtry/Cd"),
        bank_reference=inner.one("Refs/AcctSvcrRef") or node.one("AcctSvcrRef", "NtryRef"),
        reference=inner.one("Refs/InstrId", "Refs/PmtInfId", "Refs/MsgId"),
        end_to_end=inner.one("Refs/EndToEndId"),
        counterparty=inner.one(
            f"RltdPties/{party}/Nm", f"RltdPties/{party}/Pty/Nm", f"RltdPties/Ultmt{party}/Nm"
        ),
        counterparty_account=inner.one(
            f"RltdPties/{account}/Id/IBAN", f"RltdPties/{account}/Id/Othr/Id"
        ),
        remittance=" ".join(texts) or None,
    )


def _code(balance: _Node) -> str | None:
    return balance.one("Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry")


def _currency(node: _Node) -> str | None:
    return next((one.attributes.get("Ccy") for one in node.all("Amt")), None)


def _signed(node: _Node) -> Decimal:
    text, sign = node.one("Amt"), node.one("CdtDbtInd")
    if text is None or sign not in ("CRDT", "DBIT"):
        raise BrokenStatementError(f"has a `{node.name}` without an amount or a direction.")
    amount = amount_of(text, f"a `{node.name}`")
    return amount if sign == "CRDT" else -amount


def camt_entries(raw: pa.NativeFile, encoding: str | None) -> Iterator[list[Entry]]:
    """Yield the entries of a file, some at a time; `encoding` is none of this format's."""
    reader = _Reader()
    try:
        while data := bytes(raw.read(_CHUNK_BYTES)):
            reader.feed(data)
            yield reader.found
            reader.found = []
        reader.feed(b"", last=True)
    except FAULTS as cause:
        raise BrokenStatementError(f"is no whole XML: {cause}.") from cause
    if not reader.statements:
        raise BrokenStatementError("is no camt.053: it has no statement.")
    yield reader.found
