r"""Numbers as a source's `format` writes them, rewritten as `-1234.56`, exactly.

Nothing is calculated: signs move, separators go. A text that is no such number becomes null, so
that whoever asked can say which one it was. One column has one currency: `$5` and `€5` are not the
same, so a second currency is no number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, reduce

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.recipe.source_format import AmountForm, SourceFormat

_BLANKS = "[ \\t\u00a0\u202f\u2009]"
_CODES = (
    "AED|AFN|ALL|AMD|ANG|AOA|ARS|AUD|AWG|AZN|BAM|BBD|BDT|BGN|BHD|BIF|BMD|BND|BOB|BRL|BSD|BTN|"
    "BWP|BYN|BZD|CAD|CDF|CHF|CLP|CNY|COP|CRC|CUP|CVE|CZK|DJF|DKK|DOP|DZD|EGP|ERN|ETB|EUR|FJD|"
    "FKP|GBP|GEL|GHS|GIP|GMD|GNF|GTQ|GYD|HKD|HNL|HRK|HTG|HUF|IDR|ILS|INR|IQD|IRR|ISK|JMD|JOD|"
    "JPY|KES|KGS|KHR|KMF|KPW|KRW|KWD|KYD|KZT|LAK|LBP|LKR|LRD|LSL|LYD|MAD|MDL|MGA|MKD|MMK|MNT|"
    "MOP|MRU|MUR|MVR|MWK|MXN|MYR|MZN|NAD|NGN|NIO|NOK|NPR|NZD|OMR|PAB|PEN|PGK|PHP|PKR|PLN|PYG|"
    "QAR|RON|RSD|RUB|RWF|SAR|SBD|SCR|SDG|SEK|SGD|SHP|SLE|SOS|SRD|SSP|STN|SVC|SYP|SZL|THB|TJS|"
    "TMT|TND|TOP|TRY|TTD|TWD|TZS|UAH|UGX|USD|UYU|UZS|VES|VND|VUV|WST|XAF|XCD|XOF|XPF|YER|ZAR|"
    "ZMW|ZWL"
)
CURRENCY = (
    r"[A-Z]{0,3}\p{Sc}|[Kk]r\.?|zł|Kč|Ft|Fr\.?|lei|"
    # In Cyrillic: lv, rub and r, as Bulgarian and Russian banks write them.
    "\u043b\u0432\\.?|\u0440\u0443\u0431\\.?|\u0440\\.|" + _CODES
)
_MINUS = "-\u2212"
_AROUND = " \t\u00a0\u202f\u2009+()" + _MINUS
"""What may be around digits and is no currency."""

_DIGITS = re.compile("[0-9](?:.*[0-9])?", re.DOTALL)


class NumberForm:
    """How numbers are written where not as `-1234.56`.

    Attributes:
        thousands: what stands between groups of digits; a blank for blanks of all kinds.
        forms: what may be around the digits.
    """

    def __init__(self, found: SourceFormat) -> None:
        self.decimal = found.decimal or "."
        self.thousands = found.thousands
        self.forms = frozenset(found.amounts)
        self._simple = not self.forms
        self._pattern = self._plain() if self._simple else self._amount()
        self._seen: tuple[pa.Array, dict[str, pa.Array]] | None = None

    @staticmethod
    def of(found: SourceFormat) -> NumberForm | None:
        """Return the form of a format; None where numbers are written as usual."""
        special = found.decimal not in (None, ".") or found.thousands or found.amounts
        return NumberForm(found) if special else None

    def rewritten(self, texts: pa.Array, currency: str | None = None) -> pa.Array:
        """Return texts as `-1234.56`; null where a text is no number of this form.

        Args:
            texts: strings.
            currency: the only currency that may stand there; None for none.
        """
        if self._simple:
            matching = pc.match_substring_regex(texts, self._pattern)
            return self._digits(pc.if_else(matching, texts, None))
        seen = self._seen
        part = seen[1] if seen is not None and seen[0] is texts else self._parts(texts)
        minus = self._minus(part)
        written = _currency_of(part)
        allowed = pc.or_(pc.equal(written, ""), pc.equal(written, currency or ""))
        good = pc.and_(pc.and_(_one_sign(part), allowed), _one_currency(part))
        digits = self._digits(pc.if_else(good, part["n"], None))
        return pc.binary_join_element_wise(pc.if_else(minus, "-", ""), digits, "")

    def currencies(self, texts: pa.Array) -> tuple[str, ...]:
        """Return the currencies that numbers among the texts are in, as they are written.

        Whoever rewrites the same texts next need not have them taken apart again.
        """
        if AmountForm.CURRENCY not in self.forms:
            return ()
        part = self._parts(texts)
        self._seen = (texts, part)
        written = pc.unique(_currency_of(part)).to_pylist()
        return tuple(sorted(one for one in written if one))

    def currency_of(self, text: str) -> str | None:
        """Return the currency beside the digits of a text, empty for none.

        None where the text cannot be a number; whether it is one, with signs that belong together,
        only `rewritten` knows.
        """
        digits = _DIGITS.search(text)
        if digits is None or re.fullmatch(self._number(), digits[0]) is None:
            return None
        before, behind = (
            one.strip(_AROUND) for one in (text[: digits.start()], text[digits.end() :])
        )
        if not self._may_stand(before):
            before = before.removesuffix(self.decimal).strip(_AROUND)
        both = before + behind
        return both if self._may_stand(both) else None

    def _may_stand(self, beside: str) -> bool:
        return not beside or (AmountForm.CURRENCY in self.forms and _is_currency(beside))

    def _parts(self, texts: pa.Array) -> dict[str, pa.Array]:
        found = pc.extract_regex(texts, self._pattern)
        return dict(zip([f.name for f in found.type], found.flatten(), strict=True))

    def _digits(self, numbers: pa.Array) -> pa.Array:
        if self.thousands is not None:
            kind = _BLANKS if self.thousands.isspace() else re.escape(self.thousands)
            numbers = pc.replace_substring_regex(numbers, kind, "")
        if self.decimal != ".":
            numbers = pc.replace_substring(numbers, self.decimal, ".")
        return pc.replace_substring(numbers, "\u2212", "-")

    def _number(self) -> str:
        point = re.escape(self.decimal)
        whole = "[0-9]+"
        if self.thousands is not None:
            group = _BLANKS if self.thousands.isspace() else re.escape(self.thousands)
            # Also as in India, where all groups but the last have two digits.
            whole += rf"|[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]{{1,2}}(?:{group}[0-9]{{2}})+"
            whole += rf"{group}[0-9]{{3}}"
        return rf"(?:{whole})(?:{point}[0-9]+)?|{point}[0-9]+"

    def _plain(self) -> str:
        return rf"\A[{_MINUS}]?(?:{self._number()})\z"

    def _amount(self) -> str:
        has = self.forms.__contains__
        blank = f"{_BLANKS}*" if has(AmountForm.BLANKS) else ""
        near = f"{_BLANKS}*" if has(AmountForm.CURRENCY) else blank
        signs = f"[{_MINUS}{'+' if has(AmountForm.PLUS) else ''}]?"
        behind = f"[{_MINUS}]?" if has(AmountForm.TRAILING_MINUS) else ""
        money = f"(?:{CURRENCY})?" if has(AmountForm.CURRENCY) else ""
        bracket = r"\(?", r"\)?"
        if not has(AmountForm.PARENTHESES):
            bracket = "", ""
        return (
            rf"\A{blank}(?P<c0>{money}){near}(?P<open>{bracket[0]}){blank}"
            rf"(?P<s1>{signs}){blank}(?P<c1>{money}){near}(?P<s2>{signs}){blank}"
            rf"(?P<n>{self._number()})"
            rf"{blank}(?P<s3>{behind}){near}(?P<c2>{money}){blank}(?P<s4>{behind}){blank}"
            rf"(?P<close>{bracket[1]}){near}(?P<c3>{money}){blank}\z"
        )

    def _minus(self, part: dict[str, pa.Array]) -> pa.Array:
        signs = [pc.is_in(part[name], pa.array(list(_MINUS))) for name in ("s1", "s2", "s3", "s4")]
        return reduce(pc.or_, [*signs, pc.equal(part["open"], "(")])


@lru_cache(maxsize=256)
def _is_currency(text: str) -> bool:
    return bool(pc.match_substring_regex(pa.scalar(text), rf"\A(?:{CURRENCY})\z").as_py())


def _currency_of(part: dict[str, pa.Array]) -> pa.Array:
    return pc.binary_join_element_wise(*(part[f"c{n}"] for n in range(4)), "")


def _one_currency(part: dict[str, pa.Array]) -> pa.Array:
    return pc.less_equal(_written(part, [f"c{n}" for n in range(4)]), 1)


def _one_sign(part: dict[str, pa.Array]) -> pa.Array:
    paired = pc.equal(pc.equal(part["open"], "("), pc.equal(part["close"], ")"))
    return pc.and_(paired, pc.less_equal(_written(part, ["s1", "s2", "s3", "s4", "open"]), 1))


def _written(part: dict[str, pa.Array], names: Sequence[str]) -> pa.Array:
    """Return how many of the groups are not empty."""
    return reduce(pc.add, [pc.cast(pc.not_equal(part[name], ""), pa.int8()) for name in names])
