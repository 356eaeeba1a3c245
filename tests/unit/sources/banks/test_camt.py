from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.errors import SourceUnreadable
from tests.support.sources import file_spec, read_table, types_of

NAMES = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.0"


def balance(code: str, amount: str, sign: str = "CRDT") -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='EUR'>{amount}</Amt>"
        f"<CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>2026-03-31</Dt></Dt></Bal>"
    )


def entry(amount: str, sign: str = "CRDT", inner: str = "", status: str = "BOOK") -> str:
    return (
        f"<Ntry><Amt Ccy='EUR'>{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts>{status}</Sts>"
        "<BookgDt><Dt>2026-03-30</Dt></BookgDt><ValDt><DtTm>2026-03-31T10:00:00+02:00</DtTm></ValDt>"
        f"<AcctSvcrRef>B-1</AcctSvcrRef>{inner}</Ntry>"
    )


def statement(*parts: str, key: str = "S-1", version: int = 2, kind: str = "Stmt") -> str:
    inner = "".join(parts)
    return (
        f"<?xml version='1.0'?><Document xmlns='{NAMES}{version}'><BkToCstmrStmt><{kind}>"
        f"<Id>{key}</Id>"
        f"<Acct><Id><IBAN>DE02120300000000202051</IBAN></Id></Acct>{inner}</{kind}>"
        "</BkToCstmrStmt></Document>"
    )


def rows(tmp_path: Path, text: str) -> list[dict[str, Any]]:
    path = tmp_path / "in.xml"
    path.write_text(text)
    found: list[dict[str, Any]] = read_table(file_spec(path)).to_pylist()
    return found


def test_an_entry_is_a_row_with_its_references(tmp_path: Path) -> None:
    details = (
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn>"
        "</BkTxCd><NtryDtls><TxDtls><Refs><AcctSvcrRef>B-2</AcctSvcrRef><InstrId>I-7</InstrId>"
        "<EndToEndId>E2E-9</EndToEndId></Refs><RltdPties><Dbtr><Nm>Söhne &amp; Co</Nm></Dbtr>"
        "<DbtrAcct><Id><IBAN>FR76</IBAN></Id></DbtrAcct><Cdtr><Nm>We</Nm></Cdtr></RltdPties>"
        "<RmtInf><Ustrd>Invoice 4711</Ustrd><Ustrd>of March</Ustrd></RmtInf></TxDtls></NtryDtls>"
    )
    parts = (balance("OPBD", "100.00"), balance("CLBD", "112.5"), entry("12.50", inner=details))

    (row,) = rows(tmp_path, statement(*parts))

    assert row == {
        "statement": "S-1",
        "account": "DE02120300000000202051",
        "entry": 1,
        "transaction": 1,
        "booked": date(2026, 3, 30),
        "valued": date(2026, 3, 31),
        "amount": Decimal("12.50"),
        "currency": "EUR",
        "status": "BOOK",
        "reversal": False,
        "code": "PMNT/RCDT/ESCT",
        "bank_reference": "B-2",
        "reference": "I-7",
        "end_to_end": "E2E-9",
        "counterparty": "Söhne & Co",
        "counterparty_account": "FR76",
        "remittance": "Invoice 4711 of March",
    }


def test_debits_are_negative_and_their_other_side_is_the_creditor(tmp_path: Path) -> None:
    details = (
        "<RvslInd>true</RvslInd><NtryDtls><TxDtls><RltdPties><Dbtr><Nm>We</Nm></Dbtr>"
        "<Cdtr><Pty><Nm>They</Nm></Pty></Cdtr></RltdPties></TxDtls></NtryDtls>"
    )
    modern = entry("7.00", "DBIT", details).replace("<Sts>BOOK</Sts>", "<Sts><Cd>BOOK</Cd></Sts>")
    parts = (balance("OPBD", "2.00", "DBIT"), balance("CLBD", "9.00", "DBIT"), modern)

    (row,) = rows(tmp_path, statement(*parts, version=8))

    assert (row["amount"], row["counterparty"]) == (Decimal("-7.00"), "They")
    assert (row["reversal"], row["status"]) == (True, "BOOK")


def transaction(amount: str, key: str, currency: str = "EUR") -> str:
    return (
        f"<TxDtls><Refs><EndToEndId>{key}</EndToEndId></Refs><AmtDtls><TxAmt>"
        f"<Amt Ccy='{currency}'>{amount}</Amt></TxAmt></AmtDtls></TxDtls>"
    )


def test_transactions_of_an_entry_are_rows_where_they_are_the_entry_together(
    tmp_path: Path,
) -> None:
    whole = transaction("10.00", "a") + transaction("2.50", "b")
    other = transaction("10.00", "a") + transaction("2.50", "b", "USD")
    parts = [
        entry("12.50", "DBIT", f"<NtryDtls>{whole}</NtryDtls>"),
        entry("12.51", "DBIT", f"<NtryDtls>{whole}</NtryDtls>"),
        entry("12.50", "CRDT", f"<NtryDtls>{other}</NtryDtls>"),
    ]

    found = rows(tmp_path, statement(*parts))

    assert [
        (row["entry"], row["transaction"], row["amount"], row["end_to_end"]) for row in found
    ] == [
        (1, 1, Decimal("-10.00"), "a"),
        (1, 2, Decimal("-2.50"), "b"),
        (2, 1, Decimal("-12.51"), None),
        (3, 1, Decimal("12.50"), None),
    ]


def test_a_statement_that_does_not_add_up_is_named(tmp_path: Path) -> None:
    parts = (balance("PRCD", "100.00"), entry("5.00"), balance("CLBD", "106.00"))
    parts = (parts[0], parts[2], parts[1])

    with pytest.raises(
        SourceUnreadable,
        match=r"the statement `S-1`, which does not add up: its opening balance of 100\.00 and its"
        r" entries of 5\.00 are 105\.00, but its closing balance is 106\.00",
    ):
        rows(tmp_path, statement(*parts))


def test_what_is_not_booked_does_not_count_in_the_balance(tmp_path: Path) -> None:
    parts = (balance("OPBD", "1.00"), balance("CLBD", "2.00"))
    entries = (entry("1.00"), entry("99.00", status="PDNG"))

    found = rows(tmp_path, statement(*parts, *entries))

    assert [row["status"] for row in found] == ["BOOK", "PDNG"]


def test_reports_without_balances_are_read_as_well(tmp_path: Path) -> None:
    assert len(rows(tmp_path, statement(entry("1.00"), kind="Rpt"))) == 1
    assert rows(tmp_path, statement(kind="Ntfctn")) == []


def test_amounts_have_as_many_digits_as_they_need(tmp_path: Path) -> None:
    path = tmp_path / "in.xml"
    path.write_text(statement(entry("1.00005"), entry("123456789012345678")))

    assert types_of(path)["amount"] == pa.decimal128(38, 5)


def test_many_entries_are_read_piece_by_piece(tmp_path: Path) -> None:
    found = rows(tmp_path, statement(*(entry(f"{n}.25") for n in range(3000))))

    assert [row["entry"] for row in found] == list(range(1, 3001))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no whole XML"),
        ("<a/>", "no camt.053: it has no statement"),
        (statement(entry("1.00"))[:-30], "no whole XML"),
        (statement(entry("1,00")), "`1,00` for an amount in a `Ntry`"),
        (statement(entry("1.00", "IN")), "`Ntry` without an amount or a direction"),
        (statement(entry("1.00").replace("2026-03-30", "soon")), "`soon` for a day in entry 1"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>" + statement()[21:], "document type"),
        ("<a>" * 500, "too deep"),
    ],
)
def test_what_is_no_statement_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SourceUnreadable, match=says):
        rows(tmp_path, text)
