"""Amounts in text, as the people of a country write them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import InvalidSql
from kalla_core.functions.written_numbers import NumberForm
from kalla_core.recipe.nearest import suggestion
from kalla_core.recipe.source_format import AmountForm, SourceFormat

AMOUNT = pa.decimal128(38, 9)
_LARGEST = r"\A-?0*[0-9]{0,29}(?:\.[0-9]{0,9}0*)?\z"
"""What fits `AMOUNT` as it stands."""

_SEPARATORS: Mapping[tuple[str, str], str] = {
    (".", ","): """
        en ja zh ko th he hi bn ta ur ms fil sw es_MX es_US es_GT es_PE es_DO es_HN es_SV es_PR
        es_PA es_NI es_CU es_419 es_BZ es_BR fr_RW
    """,
    (",", "."): """
        de nl es it pt da id tr el ro hr sl sr bs mk is ca eu vi az ms_BN ms_ID sw_CD fr_LU en_AT
        en_BE en_DE en_DK en_ES en_ID en_IT en_NL en_PL en_RO en_SI
    """,
    (",", " "): """
        fr ru pl cs sk sv nb nn no fi uk bg hu lt lv et be ka hy kk sq gl pt_PT pt_AO pt_CH pt_CV
        pt_GQ pt_GW pt_LU pt_MO pt_MZ pt_ST pt_TL es_CR en_CZ en_EE en_FI en_FR en_GE en_HU en_LT
        en_LV en_NO en_PT en_SE en_SK en_UA en_ZA
    """,
    (".", "\u2019"): "de_CH de_LI it_CH en_CH",
    (",", "\u2019"): "fr_CH",
}
"""The signs before the fraction and between thousands, by the locales of Unicode's CLDR."""


def parsed_amounts(texts: pa.Array, locales: pa.Array) -> pa.Array:
    """Return decimal128(38, 9) from two kinds of string; null for what is no amount.

    Signs may stand before or behind, parentheses mean less than zero, a currency and blanks are
    passed over. Nothing is rounded: what has more than 9 decimals or 29 digits before them is null.

    Args:
        locales: such as `de`, `de_CH` or `en-US`; where a country is not known, its language's.

    Raises:
        InvalidSql: a locale is not known.
    """
    texts, locales = texts.cast(pa.string()), locales.cast(pa.string())
    found = pa.nulls(len(texts), pa.string())
    for locale in pc.unique(locales.drop_null()).to_pylist():
        here = pc.fill_null(pc.equal(locales, locale), False)
        found = pc.if_else(here, _rewritten(texts, locale), found)
    fits = pc.fill_null(pc.match_substring_regex(found, _LARGEST), False)
    short = pc.replace_substring_regex(pc.if_else(fits, found, None), r"(\.[0-9]{9})0+\z", r"\1")
    return short.cast(AMOUNT)


def check_locale(locale: str) -> None:
    """Raise InvalidSql unless it is known how amounts are written there."""
    _forms(locale)


def _rewritten(texts: pa.Array, locale: str) -> pa.Array:
    found = pa.nulls(len(texts), pa.string())
    for form in _forms(locale):
        for currency in (None, *form.currencies(texts)):
            found = pc.coalesce(found, form.rewritten(texts, currency))
    return found


@cache
def _forms(locale: str) -> tuple[NumberForm, ...]:
    """Return the forms of amounts of a locale: people type either kind of apostrophe."""
    known = {name: signs for signs, names in _SEPARATORS.items() for name in names.split()}
    language, _, rest = locale.strip().replace("-", "_").partition("_")
    country = rest.rpartition("_")[2].upper()
    name = f"{language.lower()}_{country}"
    name = name if name in known else language.lower()
    if name not in known:
        raise InvalidSql(
            f"parse_amount does not know how amounts are written in {locale!r}. "
            f"{suggestion(name, known)}",
            locale=locale,
        )
    decimal, thousands = known[name]
    signs = (thousands, "'") if thousands == "\u2019" else (thousands,)
    amounts = tuple(AmountForm)
    return tuple(
        NumberForm(SourceFormat(decimal=decimal, thousands=sign, amounts=amounts)) for sign in signs
    )
