from decimal import Decimal

import pyarrow as pa
import pytest
from babel import Locale, localedata
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.errors import InvalidSql
from kalla_core.functions.amounts import check_locale
from tests.support.functions import call

LOCALES = ["en", "de", "fr", "es_MX", "pt_BR", "pt_PT", "de_CH", "fr_CH", "sv", "pl", "en_ZA", "hu"]


def as_written(amount: Decimal, locale: str) -> str:
    """An amount with the signs that Unicode's CLDR has for a locale."""
    signs = Locale.parse(locale).number_symbols["latn"]
    return f"{amount:,.2f}".translate({44: signs["group"], 46: signs["decimal"]})


@pytest.mark.parametrize("locale", LOCALES)
@given(st.lists(st.decimals(-(10**12), 10**12, places=2), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_what_unicode_writes_for_a_locale_is_read_exactly(
    locale: str, amounts: list[Decimal]
) -> None:
    written = [as_written(amount, locale) for amount in amounts]

    assert call("parse_amount", pa.array(written), pa.array([locale] * len(written))) == amounts


@pytest.mark.parametrize(
    ("text", "locale", "amount"),
    [
        ("1.845,86", "de", "1845.86"),
        ("1.845,86-", "de_DE", "-1845.86"),
        ("(1,845.86)", "en-US", "-1845.86"),
        ("€ 1.845,86", "de", "1845.86"),
        ("1,845.86 USD", "en", "1845.86"),
        ("-$5", "en", "-5"),
        ("1'845.86", "de_CH", "1845.86"),
        ("1\u2019845.86", "de_CH", "1845.86"),
        ("1\u202f845,86", "fr", "1845.86"),
        ("12,34,567.80", "en_IN", "1234567.80"),
        ("+7", "en", "7"),
        (".5", "en", "0.5"),
        ("0.1234567890000", "en", "0.123456789"),
        ("0.1234567891", "en", None),
        ("1" * 29, "en", "1" * 29),
        ("1" * 30, "en", None),
        ("1.845,86", "en", None),
        ("1,84", "en", None),
        ("n/a", "de", None),
        ("", "de", None),
        ("--5", "de", None),
    ],
)
def test_an_amount_is_read_exactly_and_anything_else_is_null(
    text: str, locale: str, amount: str | None
) -> None:
    wanted = None if amount is None else Decimal(amount)

    assert call("parse_amount", pa.array([text]), pa.array([locale])) == [wanted]


def test_rows_of_one_column_may_be_in_several_currencies() -> None:
    texts = pa.array(["$5.00", "€6.00", None, "7"])

    found = call("parse_amount", texts, pa.array(["en"] * 4))

    assert found == [Decimal(5), Decimal(6), None, Decimal(7)]


def test_every_locale_that_is_known_has_the_signs_that_unicode_gives_it() -> None:
    for name in localedata.locale_identifiers():
        locale = Locale.parse(name)
        if locale.script or not knows(name) or "latn" not in locale.number_symbols:
            continue
        amount = Decimal("-1234567.89")

        found = call("parse_amount", pa.array([as_written(amount, name)]), pa.array([name]))

        assert found == [amount], name


def knows(locale: str) -> bool:
    try:
        check_locale(locale)
    except InvalidSql:
        return False
    return True


@pytest.mark.parametrize(("locale", "meant"), [("dee", "`de`"), ("", "There are"), ("xx_YY", "")])
def test_a_locale_that_is_not_known_is_refused_by_name(locale: str, meant: str) -> None:
    with pytest.raises(InvalidSql, match="does not know how amounts are written") as refused:
        check_locale(locale)

    assert repr(locale) in str(refused.value)
    assert meant in str(refused.value)
