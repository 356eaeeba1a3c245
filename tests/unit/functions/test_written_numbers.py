"""The currency of an amount is told from its text alone, as the pattern of all amounts tells it."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from kalla_core.functions.written_numbers import NumberForm
from kalla_core.recipe.source_format import AmountForm, SourceFormat

CURRENCIES = ["€", "$", "US$", "USD", "EUR", "kr.", "kr", "Fr.", "zł", "лв.", "INV", "EURUSD"]
AROUND = ["", "", "", " ", "\u00a0", "-", "\u2212", "+", "(", ")", ".", ",", "x"]
DIGITS = ["5", "1.234,56", "1,234.56", ",5", ".5", "12,34,567", "1 234,5", "1..2", "", "31.12.2026"]


def some_beside(chance: random.Random) -> str:
    """What may be beside digits, in more or less good order."""
    return "".join(chance.choices([*AROUND, *CURRENCIES], k=chance.choice([0, 0, 1, 1, 2, 3])))


@pytest.mark.parametrize("signs", [(",", "."), (".", ","), (",", " "), (".", None)], ids=str)
@pytest.mark.parametrize(
    "forms", [(), (AmountForm.CURRENCY,), (AmountForm.PARENTHESES,), tuple(AmountForm)], ids=str
)
def test_the_currency_of_a_text_is_the_one_with_which_it_is_a_number(
    signs: tuple[str, str | None], forms: tuple[AmountForm, ...]
) -> None:
    chance = random.Random(str((signs, forms)))
    form = NumberForm(SourceFormat(decimal=signs[0], thousands=signs[1], amounts=forms))
    texts = pa.array(
        f"{some_beside(chance)}{chance.choice(DIGITS)}{some_beside(chance)}" for _ in range(6000)
    )

    wanted: list[str | None] = [None] * len(texts)
    for currency in ["", *form.currencies(texts)]:
        read = form.rewritten(texts, currency or None).is_valid().to_pylist()
        wanted = [
            currency if one is None and good else one
            for one, good in zip(wanted, read, strict=True)
        ]

    found = {
        text: (form.currency_of(text), one)
        for text, one in zip(texts.to_pylist(), wanted, strict=True)
        if one is not None
    }
    assert len(found) >= 5
    assert {text: told for text, (told, one) in found.items() if told != one} == {}


def test_most_texts_that_are_no_numbers_are_none_without_a_look_at_their_currency() -> None:
    form = NumberForm(SourceFormat(decimal=",", thousands=".", amounts=tuple(AmountForm)))

    assert [form.currency_of(one) for one in ("INV-12", "EUR", "31.12.2026", "5 a 6")] == [None] * 4
    assert [form.currency_of(one) for one in ("1.234,56 €", "(5)", "US$ -7")] == ["€", "", "US$"]
