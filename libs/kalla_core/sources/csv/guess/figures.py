"""Signs and forms of numbers, told from the values of columns. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from kalla_core.functions.written_numbers import CURRENCY
from kalla_core.recipe.source_format import AmountForm

Values = Sequence[tuple[int, str]]

_CURRENCY = re.sub(r"\\p\{Sc\}", "[$€£¥₹₽₺₴₩₪₫₱₦¢\uffe5]", CURRENCY)
_BLANK = "[ \u00a0\u202f\u2009]"
_SIGN = "[-+\u2212]?"
_AMOUNT = re.compile(
    rf"{_BLANK}*(?P<open>\(?)(?P<s1>{_SIGN})(?P<c1>(?:{_CURRENCY})?){_BLANK}*(?P<s2>{_SIGN})"
    rf"(?P<number>\d[\d.,'{_BLANK[1:-1]}]*|[.,]\d+)(?P<s3>[-\u2212]?){_BLANK}*"
    rf"(?P<c2>(?:{_CURRENCY})?)(?P<s4>[-\u2212]?)(?P<close>\)?){_BLANK}*"
)
_GROUPED = re.compile(r"\d{1,3}([.,' \u00a0\u202f\u2009])\d{3}(?:\1\d{3})*(?:([.,])\d+)?")
_INDIAN = re.compile(r"\d{1,2}(,)\d{2}(?:,\d{2})*,\d{3}(?:(\.)\d+)?")
_PLAIN = re.compile(r"\d*([.,])(\d+)")
_PLACEHOLDER = re.compile(
    r"(?i)n\.?/?a\.?n?|null|nil|none|nan|#n/a|-{1,3}|\?|\.{1,3}|k\.?a\.?|void"
)
_NULL_SHARE = 4
_LONGEST = 80
"""No number has more signs; longer texts are not compared with what numbers look like."""


@dataclass
class Figures:
    """What columns of numbers show; each with the value and line that shows it.

    Attributes:
        decimals, thousands: by sign.
        ambiguous: values with one sign before three digits, by that sign.
        nulls: words among numbers.
    """

    decimals: dict[str, str] = field(default_factory=dict)
    thousands: dict[str, str] = field(default_factory=dict)
    ambiguous: dict[str, str] = field(default_factory=dict)
    forms: dict[AmountForm, str] = field(default_factory=dict)
    nulls: dict[str, str] = field(default_factory=dict)


def look(values: Values, found: Figures) -> bool:
    """Add what a column shows; return whether it is one of numbers.

    Args:
        values: not blank, with their lines.
        found: is added to.
    """
    words = {text.strip() for _, text in values if _PLACEHOLDER.fullmatch(text.strip())}
    numbers = [(line, text) for line, text in values if text.strip() not in words]
    if not numbers or any(len(text) > _LONGEST for _, text in numbers):
        return False
    parts = [(line, text, _AMOUNT.fullmatch(text)) for line, text in numbers]
    if any(part is None for *_, part in parts):
        return False
    if len(values) > _NULL_SHARE * len(numbers) + len(values) // 2 + 1:
        return False
    shown = [part["number"].strip() for *_, part in parts if part]
    if any(re.fullmatch(r"0\d+", one) for one in shown) or _is_code(shown):
        return False
    for line, text, part in parts:
        where = f"`{text.strip() or text}` in line {line}"
        if part is not None:
            _signs(part["number"].strip(), where, found)
            _forms(text, part, where, found)
    for word in words:
        line = next(line for line, text in values if text.strip() == word)
        found.nulls.setdefault(word, f"`{word}` in line {line} stands among numbers")
    return True


def _is_code(shown: Sequence[str]) -> bool:
    """Whether digits are grouped otherwise than numbers are: dates, versions, telephones."""
    return any(
        re.search(r"[.,' \u00a0\u202f\u2009]", one)
        and not (_GROUPED.fullmatch(one) or _INDIAN.fullmatch(one) or _PLAIN.fullmatch(one))
        for one in shown
    )


def _signs(number: str, where: str, found: Figures) -> None:
    if grouped := _GROUPED.fullmatch(number) or _INDIAN.fullmatch(number):
        sign = " " if grouped[1].isspace() else grouped[1]
        once = number.count(grouped[1]) == 1 and grouped[2] is None
        if once and sign in ".,":
            if number.startswith("0"):
                found.decimals.setdefault(sign, where)
            else:
                found.ambiguous.setdefault(sign, where)
            return
        found.thousands.setdefault(sign, where)
        if grouped[2]:
            found.decimals.setdefault(grouped[2], where)
    elif plain := _PLAIN.fullmatch(number):
        found.decimals.setdefault(plain[1], where)


def _forms(text: str, part: re.Match[str], where: str, found: Figures) -> None:
    shown = {
        AmountForm.PARENTHESES: part["open"],
        AmountForm.TRAILING_MINUS: part["s3"] or part["s4"],
        AmountForm.PLUS: "+" in (part["s1"], part["s2"]),
        AmountForm.CURRENCY: part["c1"] or part["c2"],
        AmountForm.BLANKS: text != text.strip(),
    }
    for form, is_there in shown.items():
        if is_there:
            found.forms.setdefault(form, where)
