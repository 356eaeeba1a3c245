"""What is read from bytes is what the patterns read, and all that is usual is read from bytes."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from itertools import product

import pyarrow as pa
import pytest

from kalla_core.functions.written_numbers import NumberForm
from kalla_core.recipe.source_format import AmountForm, SourceFormat
from kalla_core.sources.csv import infer
from kalla_core.sources.csv.block import BlockParser, check_digits
from kalla_core.sources.csv.dialect import Dialect
from kalla_core.sources.csv.infer import told_type
from kalla_core.sources.csv.quick import numbers, quick_values
from kalla_core.sources.csv.spelling import Spelling

SIGNS = [
    (",", "."),
    (".", ","),
    (",", None),
    (",", " "),
    (".", "'"),
    (None, ","),
    ("\u066b", "\u066c"),
]
FORMS: list[tuple[AmountForm, ...]] = [
    (),
    (AmountForm.TRAILING_MINUS,),
    (AmountForm.PARENTHESES,),
    (AmountForm.CURRENCY,),
    (AmountForm.PLUS, AmountForm.BLANKS),
    tuple(AmountForm),
]
TYPES = [
    pa.int64(),
    pa.decimal128(18, 2),
    pa.decimal128(9, 3),
    pa.decimal128(38, 0),
    pa.decimal128(38, 20),
]
AROUND = ["", "", "", "", "-", "+", "(", ")", " ", "€", "€ ", " €", "\u00a0€", "\u2212", "(€", "x"]
DATES = [
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%y",
    "%Y%m%d",
    "%d%m%Y",
    "%Y-%m-%d",
    "%d-%b-%Y",
    "%%%d 年%m,%Y",
]
TIMES = [
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%Y%m%d%H%M%S",
    "%d/%m/%Y %I:%M:%S%p",
    "%y-%m-%d %H",
]


def some_numbers(chance: random.Random, point: str, group: str | None) -> list[str]:
    """Texts that are numbers, and many that nearly are."""
    signs = [point, group or point, " ", "\u00a0", "\u202f"]
    found = []
    for _ in range(3000):
        size = chance.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 17, 18, 19, 25])
        whole = "".join(chance.choices("0123456789", k=size))
        if chance.random() < 0.5:
            whole = f"{int(whole):,}".replace(",", group or "")
        if chance.random() < 0.7:
            places = chance.choice([1, 2, 2, 2, 3, 5])
            whole += point + "".join(chance.choices("0123456789", k=places))
        if chance.random() < 0.2:
            at = chance.randrange(len(whole) + 1)
            whole = (
                whole[:at]
                + chance.choice([*signs, "-", "a", ""])
                + whole[at + chance.randrange(2) :]
            )
        found.append(chance.choice(AROUND) + chance.choice(AROUND) + whole + chance.choice(AROUND))
    return found


def some_moments(chance: random.Random, form: str) -> list[str]:
    """Texts that are moments of a format, and many that nearly are."""
    found = []
    for _ in range(3000):
        text = form.replace("%%", "\0")
        for letter, high in zip("dmHIMSy", (32, 13, 25, 14, 61, 61, 99), strict=True):
            number = chance.randrange(high)
            text = text.replace(f"%{letter}", chance.choice([f"{number:02}"] * 3 + [str(number)]))
        text = text.replace("%Y", f"{chance.choice([1970, 2024, 2026, 1, 0, 9999, 2100]):04}")
        text = text.replace("%p", chance.choice(["AM", "pm", "Pm", "xm"])).replace("%b", "Feb")
        text = text.replace("\0", "%")
        if chance.random() < 0.1:
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(["7", "x", " ", ""]) + text[at + 1 :]
        found.append(text)
    return found


@pytest.mark.parametrize("signs", SIGNS, ids=str)
@pytest.mark.parametrize("wanted", TYPES, ids=str)
def test_numbers_that_are_read_from_bytes_are_those_of_the_patterns(
    signs: tuple[str | None, str | None], wanted: pa.DataType
) -> None:
    chance = random.Random(str((signs, wanted)))
    for forms in FORMS:
        found = SourceFormat(decimal=signs[0], thousands=signs[1], amounts=forms)
        texts = pa.array(some_numbers(chance, signs[0] or ".", signs[1]))
        spelling = Spelling.of(found)

        quick = quick_values(texts, spelling, wanted, "€", canonical=True)

        assert quick is not None
        values, left = quick
        read = pa.array(~left)
        rewritten = spelling.rewritten(texts, wanted, "€").filter(read)
        assert rewritten.null_count == 0
        assert values.filter(read).equals(rewritten.cast(wanted))
        if pa.types.is_integer(wanted):
            check_digits(rewritten, values.filter(read), canonical=True)


@pytest.mark.parametrize("form", [*DATES, *TIMES])
def test_moments_that_are_read_from_bytes_are_those_of_the_patterns(form: str) -> None:
    texts = pa.array(some_moments(random.Random(form), form))
    is_date = form in DATES
    wanted = pa.date32() if is_date else pa.timestamp("us")
    found = SourceFormat(dates=(form,)) if is_date else SourceFormat(timestamps=(form,))
    spelling = Spelling.of(found)

    quick = quick_values(texts, spelling, wanted)

    assert (quick is None) == ("%b" in form)
    if quick is not None:
        values, left = quick
        read = pa.array(~left)
        rewritten = spelling.rewritten(texts, wanted).filter(read)
        assert rewritten.null_count == 0
        assert values.filter(read).equals(rewritten.cast(wanted))


AMOUNT, WHOLE, DATE, TIME = pa.decimal128(18, 2), pa.int64(), pa.date32(), pa.timestamp("us")
GERMAN = SourceFormat(decimal=",", thousands=".")
TRAILING = SourceFormat(decimal=",", amounts=(AmountForm.TRAILING_MINUS,))
LEDGER = SourceFormat(thousands=",", amounts=(AmountForm.PARENTHESES,))
EVERYTHING = SourceFormat(decimal=",", thousands=" ", amounts=tuple(AmountForm))
GERMAN_DAYS = SourceFormat(dates=("%d.%m.%Y",))
US_TIMES = SourceFormat(timestamps=("%m/%d/%Y %I:%M %p",))


@pytest.mark.parametrize(
    ("found", "wanted", "texts"),
    [
        (GERMAN, AMOUNT, ["1.234,56", "-9,99", "1234567,00", "999.999.999,01", "7", "7,5"]),
        (LEDGER, AMOUNT, ["(1,234.56)", "0.10"]),
        (TRAILING, AMOUNT, ["1234,56-", "0,10"]),
        (EVERYTHING, AMOUNT, ["1\u202f234,56\u00a0€", "- 5,00 €", "€ 7,10", "  +1,00 "]),
        (LEDGER, WHOLE, ["1,234", "-7", "1234567"]),
        (GERMAN_DAYS, DATE, ["29.02.2024", "1.2.2026"]),
        (US_TIMES, TIME, ["1/2/2026 3:04 PM", "12/31/2026 12:00 am"]),
    ],
)
def test_what_is_usual_is_read_from_bytes(
    found: SourceFormat, wanted: pa.DataType, texts: list[str]
) -> None:
    quick = quick_values(pa.array([*texts, None]), Spelling.of(found), wanted, "€")

    assert quick is not None
    assert not quick[1].any()
    assert quick[0][len(texts)].as_py() is None


@pytest.mark.parametrize(("signs", "forms"), list(product(SIGNS[:4], FORMS)), ids=str)
def test_types_are_told_from_bytes_as_from_patterns(
    signs: tuple[str | None, str | None],
    forms: tuple[AmountForm, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(str((signs, forms)))
    spelling = Spelling.of(SourceFormat(decimal=signs[0], thousands=signs[1], amounts=forms))
    columns = [
        [one for one in some_numbers(chance, signs[0] or ".", signs[1]) if keep(one)][:size]
        for keep in (str.isdigit, lambda one: one.strip("-")[-3:-2] == signs[0], lambda _: True)
        for size in (1, 2, 3, 5, 8, 400)
    ]
    wanted = [
        pa.chunked_array([pa.array([one.encode() for one in some])]) for some in columns if some
    ]

    with monkeypatch.context() as small:
        small.setattr(numbers, "ROWS", 50)
        quick = [told_type(one, spelling) for one in wanted]
    monkeypatch.setattr(infer, "digits_of", lambda *_: None)
    monkeypatch.setattr(NumberForm, "currency_of", lambda *_: "")

    assert quick == [told_type(one, spelling) for one in wanted]


def test_values_that_differ_from_most_are_read_at_their_place() -> None:
    spelled = SourceFormat(delimiter=";", decimal=",", thousands=".", dates=("%d.%m.%Y",))
    schema = pa.schema([("day", pa.date32()), ("amount", pa.decimal128(20, 4))])
    parser = BlockParser(schema, Dialect.of(spelled))

    found = parser.parse(
        pa.py_buffer("31.12.2026;1.234,5\n2026-01-01;\u22127,1234\n;\n01.01.2026;5\n".encode())
    )

    days = [date(2026, 12, 31), date(2026, 1, 1), None, date(2026, 1, 1)]
    assert found.column("day").to_pylist() == days
    amounts = [Decimal("1234.5"), Decimal("-7.1234"), None, Decimal(5)]
    assert found.column("amount").to_pylist() == amounts


def test_texts_that_are_too_long_for_any_number_are_left_to_the_patterns() -> None:
    spelling = Spelling.of(SourceFormat(decimal=","))
    wanted = pa.decimal128(18, 2)

    assert quick_values(pa.array(["1,5", "2,5"]), spelling, wanted) is not None
    assert quick_values(pa.array(["1,5", "9" * (2 << 20)]), spelling, wanted) is None
