from __future__ import annotations

import random

import pyarrow as pa
import pytest
from datafusion import col, lit

from kalla_core.matching.plans.formats import formatted_succeeds
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.tables import register_table

ODD = [
    "0",
    "00",
    "1",
    "9",
    "29",
    "30",
    "31",
    "40",
    "2026",
    "12026",
    "x",
    "",
    " 7",
    "\u00a03",
    "\t1",
]


def some_texts(written: str, count: int) -> list[str]:
    """Return texts as a format writes them, and such as are nearly so."""
    rng = random.Random(written)
    return sorted({_text(written, rng) for _ in range(count)})


def _text(written: str, rng: random.Random) -> str:
    usual = {"%Y": f"{rng.randint(0, 2400):04}", "%m": f"{rng.randint(1, 12):02}",
             "%d": f"{rng.randint(1, 31):02}"}  # fmt: skip
    text = written
    for number, value in usual.items():
        text = text.replace(number, rng.choice(ODD) if rng.random() < 0.3 else value)
    return rng.choice([*[text] * 9, f" {text}", f"{text} ", f"{text}x", text[1:], text[:-1]])


@pytest.mark.parametrize(
    "written",
    ["%d.%m.%Y", "%Y%m%d", "%d%m%Y", "%Y-%m-%d", "%m/%d/%Y", "%d-%m-%Y", "%d.%m%Y", "%Y/%d%m"],
)
def test_what_to_date_reads_is_known_without_reading_it(written: str) -> None:
    texts = some_texts(written, 100)
    session = new_session()
    register_table(session, "t", pa.table({"x": texts}))
    said = formatted_succeeds(col("x"), [lit(written)])
    assert said is not None

    found = session.table("t").select(said).to_arrow_table().column(0).to_pylist()

    assert dict(zip(texts, found, strict=True)) == {text: reads(text, written) for text in texts}
    assert {*found} == {True, False}


def reads(text: str, written: str) -> bool:
    """Whether DataFusion's `to_date` has an answer."""
    try:
        new_session().sql(f"SELECT to_date('{text}', '{written}')").collect()
    except Exception:  # DataFusion raises nothing narrower
        return False
    return True


@pytest.mark.parametrize("text", ["01.02.+2026", "01.02. -44"])
def test_a_year_with_a_sign_is_taken_for_a_year(text: str) -> None:
    session = new_session()
    register_table(session, "t", pa.table({"x": [text]}))
    said = formatted_succeeds(col("x"), [lit("%d.%m.%Y")])
    assert said is not None

    assert session.table("t").select(said).to_arrow_table().column(0).to_pylist() == [True]


@pytest.mark.parametrize("written", ["%d.%m.%y", "%Y-%m-%dT%H", "%Y-%m", "%d.%m.%Y %d", "%d %m %Y"])
def test_a_format_of_other_parts_is_not_known(written: str) -> None:
    assert formatted_succeeds(col("x"), [lit("%Y%m%d"), lit(written)]) is None
