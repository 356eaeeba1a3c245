from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kalla_core.errors import SourceUnreadable
from tests.support.sources import file_spec, read_table

WHOLE = """01,122099999,123456789,260401,0200,1,,,2/
02,031001234,122099999,1,260331,2359,USD,2/
03,0975312468,,010,500000,,,015,512250,,/
16,165,15000,V,260402,,BR-1,CR-1,DEALER PAYMENTS, MARCH
88,AND APRIL
16,475,2750,Z,BR-2,CR-2/
49,1030000,5/
03,77,JPY,010,1000,,/
16,142,500,S,100,200,200,BR-3,,YEN/
49,1500,3/
98,1031500,2,10/
99,1031500,1,12/
"""


def rows(tmp_path: Path, text: str) -> list[dict[str, Any]]:
    path = tmp_path / "in.bai2"
    path.write_text(text)
    found: list[dict[str, Any]] = read_table(file_spec(path)).to_pylist()
    return found


def test_entries_have_signs_decimals_and_references(tmp_path: Path) -> None:
    first, second, third = rows(tmp_path, WHOLE)

    assert first == {
        "statement": "260331",
        "account": "0975312468",
        "entry": 1,
        "transaction": 1,
        "booked": date(2026, 3, 31),
        "valued": date(2026, 4, 2),
        "amount": Decimal("150.00"),
        "currency": "USD",
        "status": "BOOK",
        "reversal": False,
        "code": "165",
        "bank_reference": "BR-1",
        "reference": "CR-1",
        "end_to_end": None,
        "counterparty": None,
        "counterparty_account": None,
        "remittance": "DEALER PAYMENTS, MARCH,AND APRIL",
    }
    assert (second["amount"], second["remittance"]) == (Decimal("-27.50"), None)
    assert (third["account"], third["currency"], third["amount"]) == ("77", "JPY", Decimal(500))
    assert (third["bank_reference"], third["remittance"]) == ("BR-3", "YEN")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("512250", "512251", r"amounts are 10300\.01 together, but its control total in line 7"),
        ("512250,,/", "512251,,/", "control total"),
        ("015,512250", "015,512300", "control total"),
        ("16,475,2750", "16,475,27x", "`27x` for an amount in line 6"),
        ("16,475,", "16,899,", "the type `899` in line 6, which is neither"),
        ("16,475,", "17,475,", "`17` for a record in line 6"),
        ("260331,2359", "261331,2359", "for a day in line 2"),
        ("99,1031500,1,12/\n", "", "no whole BAI2 file"),
        ("49,1500,3/\n", "", "no whole BAI2 file"),
        ("02,", "03,", "an account out of order in line 2"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(SourceUnreadable, match=says):
        rows(tmp_path, WHOLE.replace(old, new, 1))


def test_an_account_that_does_not_add_up_is_named(tmp_path: Path) -> None:
    text = WHOLE.replace("015,512250", "015,512300").replace("49,1030000", "49,1030050")

    with pytest.raises(SourceUnreadable, match=r"the account `0975312468` of 2026-03-31.*5123\.00"):
        rows(tmp_path, text)


@pytest.mark.parametrize("text", ["", "\n", "88,x/\n", "id,n\n1,2\n"])
def test_what_is_no_bai2_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceUnreadable, match=r"in\.bai2"):
        rows(tmp_path, text)
