from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kalla_core.errors import SourceUnreadable
from tests.support.sources import file_spec, format_spec, read_table

HEAD = ":20:STARTUMSE\n:25:10010010/1111111111\n:28C:00001/001\n:60F:C260330EUR1000,00\n"
GERMAN = (
    ":61:2603310330CR12,5NTRFNONREF//B-77\n/EXTRA/\n"
    ":86:166?00GUTSCHRIFT?109310?20EREF+E2E-9?21KREF+NONREF?22SVWZ+Invoice 47\n"
    "?2311 of March?30BYLADEM1001?31DE02120300000000202051?32Soehne und?33 Co\n"
)


def rows(tmp_path: Path, text: str, name: str = "in.sta", **found: Any) -> list[dict[str, Any]]:
    path = tmp_path / name
    path.write_bytes(text.encode(found.get("encoding", "utf-8")))
    spec = format_spec(path, found) if found else file_spec(path)
    table: list[dict[str, Any]] = read_table(spec).to_pylist()
    return table


def closed(amount: str, *entries: str) -> str:
    return f"{HEAD}{''.join(entries)}:62F:C260331EUR{amount}\n-\n"


def test_an_entry_is_a_row_with_what_its_text_says(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, closed("1012,50", GERMAN))

    assert row == {
        "statement": "00001/001",
        "account": "10010010/1111111111",
        "entry": 1,
        "transaction": 1,
        "booked": date(2026, 3, 30),
        "valued": date(2026, 3, 31),
        "amount": Decimal("12.50"),
        "currency": "EUR",
        "status": "BOOK",
        "reversal": False,
        "code": "NTRF",
        "bank_reference": "B-77",
        "reference": None,
        "end_to_end": "E2E-9",
        "counterparty": "Soehne und Co",
        "counterparty_account": "DE02120300000000202051",
        "remittance": "Invoice 4711 of March",
    }


@pytest.mark.parametrize(
    ("mark", "amount", "closing", "reversal"),
    [
        ("C", "5.00", "1005,00", False),
        ("D", "-5.00", "995,00", False),
        ("RC", "-5.00", "995,", True),
        ("RD", "5.00", "1005,", True),
    ],
)
def test_marks_give_amounts_their_signs(
    tmp_path: Path, mark: str, amount: str, closing: str, reversal: bool
) -> None:
    (row,) = rows(tmp_path, closed(closing, f":61:2603310331{mark}5,00NMSCREF1//B\n"))

    assert (row["amount"], row["reversal"]) == (Decimal(amount), reversal)
    assert (row["reference"], row["bank_reference"]) == ("REF1", "B")


@pytest.mark.parametrize(
    ("valued", "booked", "day"),
    [
        ("260102", "1231", date(2025, 12, 31)),
        ("251231", "0102", date(2026, 1, 2)),
        ("240301", "0229", date(2024, 2, 29)),
        ("260331", "", date(2026, 3, 31)),
    ],
)
def test_the_day_of_booking_is_that_nearest_to_the_value_date(
    tmp_path: Path, valued: str, booked: str, day: date
) -> None:
    (row,) = rows(tmp_path, closed("1001,", f":61:{valued}{booked}C1,NTRFX\n"))

    assert row["booked"] == day


@pytest.mark.parametrize(
    ("text", "party", "key", "purpose"),
    [
        (
            "/TRTP/SEPA OVERBOEKING/IBAN/NL20INGB0001234567/BIC/INGBNL2A/NAME/Jan\n"
            "sen BV/REMI/Invoice 4711/EREF/E2E-9",
            "Jansen BV",
            "E2E-9",
            "Invoice 4711",
        ),
        (
            "/EREF/NOTPROVIDED//CNTP/NL32INGB0000012345/INGBNL2A/De Vries///REMI/USTD//Thanks/",
            "De Vries",
            None,
            "Thanks",
        ),
        ("Payment of\n  invoice 7", None, None, "Payment of invoice 7"),
        ("EREF+E2E-9SVWZ+Invoice", None, "E2E-9", "Invoice"),
    ],
)
def test_texts_of_other_countries_are_understood(
    tmp_path: Path, text: str, party: str | None, key: str | None, purpose: str
) -> None:
    (row,) = rows(tmp_path, closed("1001,", f":61:260331C1,NTRFX\n:86:{text}\n"))

    assert (row["counterparty"], row["end_to_end"], row["remittance"]) == (party, key, purpose)


def test_statements_of_several_pages_and_envelopes_are_read(tmp_path: Path) -> None:
    one = "{1:F01BANKDEFFXXXX}{2:I940}{4:\n" + closed("1012,50", GERMAN).strip() + "}{5:}\n"
    two = closed("1001,", ":61:260331C1,NTRFX\n", ":86:one\n")
    two = two.replace("60F", "60M").replace("62F", "62M").replace("00001/001", "00001/002")

    found = rows(tmp_path, one + two + ":86:of the statement\n")

    assert [(row["statement"], row["entry"]) for row in found] == [
        ("00001/001", 1),
        ("00001/002", 1),
    ]


def test_a_file_in_another_encoding_is_read_as_the_format_says(tmp_path: Path) -> None:
    text = closed("1001,", ":61:260331C1,NTRFX\n:86:Müller\n").replace("\n", "\r\n")

    (tmp_path / "other.sta").write_bytes(text.encode("cp1252"))

    with pytest.raises(SourceUnreadable, match="`encoding` in the source's `format`"):
        read_table(file_spec(tmp_path / "other.sta"))
    (row,) = rows(tmp_path, text, encoding="cp1252")
    assert row["remittance"] == "Müller"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (closed("1013,50", GERMAN), r"`00001/001`, which does not add up.*1012\.50.*1013\.50"),
        (closed("1000,", ":61:nonsense\n"), "an entry that is none in line 5: `nonsense`"),
        (closed("1000,", ":61:261331C1,NTRFX\n"), "`261331` for a day in line 5"),
        (closed("10x0,"), "`C260331EUR10x0,` for a balance in line 5"),
        (HEAD + GERMAN, "ends before its last statement does"),
        (":20:A\n:25:B\n", "no MT940: it has no `:60F:`"),
        ("", "no MT940"),
        (":61:260331C1,NTRFX\n:62F:C260331EUR1,\n", "an entry before any balance in line 1"),
    ],
)
def test_what_is_no_whole_statement_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SourceUnreadable, match=says):
        rows(tmp_path, text)
