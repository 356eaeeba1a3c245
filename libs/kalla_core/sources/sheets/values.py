"""Numbers, dates and texts of cells, as they are written in CSV. Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import Enum
from functools import lru_cache

from kalla_core.recipe.source_format import SourceFormat

DIGITS = 15
"""How many digits of a number every program that reads workbooks keeps and shows."""

_LARGE = Decimal(10) ** 13
_SHORT = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)
_DAY_MS = 86_400_000
_LAST_DAY = 2_958_465
_CACHED = 1 << 16
_QUOTED = re.compile(r'"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*.', re.IGNORECASE)
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)


class Shown(Enum):
    """As what the format of a cell shows its number."""

    NUMBER = "number"
    DATE = "date"
    MOMENT = "moment"
    TIME = "time"


_BUILT_IN = {
    **dict.fromkeys([14, 15, 16, 17, *range(27, 32), 36, *range(50, 59)], Shown.DATE),
    **dict.fromkeys([18, 19, 20, 21, 32, 33, 34, 35, 45, 47], Shown.TIME),
    22: Shown.MOMENT,
}


def shown_by(number: int, code: str | None) -> Shown:
    """Return as what a cell's format shows numbers.

    Args:
        number: of the format.
        code: what it is, where the workbook says so.
    """
    if code is None:
        return _BUILT_IN.get(number, Shown.NUMBER)
    plain = _QUOTED.sub("", code.partition(";")[0]).lower()
    if _ELAPSED.search(plain) or plain.strip() in ("general", "standard"):
        return Shown.NUMBER
    dated, timed = "y" in plain or "d" in plain, "h" in plain or "s" in plain
    if dated:
        return Shown.MOMENT if timed else Shown.DATE
    if timed:
        return Shown.TIME
    return Shown.DATE if "m" in plain else Shown.NUMBER


class CellTexts:
    """Writes the values of cells as the CSV of a format has them. Bounded caches, no more state.

    Args:
        found: how the texts of the workbook are written; values are written alike.
        first: the day with the serial number 0.
    """

    def __init__(self, found: SourceFormat, first: date = date(1899, 12, 30)) -> None:
        self._decimal = found.decimal or "."
        self._first = datetime.combine(first, datetime.min.time())
        self._leaps_wrong = first == date(1899, 12, 30)
        self._date = found.dates[0] if found.dates else None
        self._moment = found.timestamps[0] if found.timestamps else None
        self.serial = lru_cache(_CACHED)(self._serial)

    def number(self, text: str) -> str:
        """Return a number as it is meant; raises `ValueError` if it is none."""
        if len(text) > DIGITS or not text.isdigit():
            text = exact(text)
        return text if self._decimal == "." else text.replace(".", self._decimal)

    def _serial(self, text: str, shown: Shown) -> str:
        """Return the date or time with a serial number; the number, where there is none."""
        serial = float(text)
        if shown is Shown.NUMBER or not 0 <= serial <= _LAST_DAY:
            return self.number(text)
        milliseconds = round(serial * _DAY_MS)
        if self._leaps_wrong and milliseconds < 61 * _DAY_MS:
            if milliseconds >= 60 * _DAY_MS:
                return self.number(text)  # 29 February 1900, which there never was
            milliseconds += _DAY_MS
        moment = self._first + timedelta(milliseconds=milliseconds)
        if shown is Shown.TIME and serial < 1:
            return moment.time().isoformat()
        if shown is Shown.DATE and milliseconds % _DAY_MS == 0:
            return self.day(moment)
        return self.moment(moment)

    def day(self, day: date) -> str:
        """Return a day as the format has it."""
        return day.strftime("%Y-%m-%d" if self._date is None else self._date)

    def moment(self, moment: datetime) -> str:
        """Return a day with a time as the format has it."""
        return moment.isoformat(" ") if self._moment is None else moment.strftime(self._moment)


def exact(text: str) -> str:
    """Return the number that a double written as `text` means; raises `ValueError` if it is none.

    The result has neither an exponent nor zeros at the end of a fraction.
    """
    digits = text.lstrip("-").replace(".", "", 1)
    if not (digits.isdigit() and digits.isascii()) or len(digits) > DIGITS:
        text = _meant(text)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text.startswith((".", "-.")):
        text = text.replace(".", "0.", 1)
    return "0" if text in ("-0", "") else text


def _meant(text: str) -> str:
    double = float(text)
    if double in (float("inf"), float("-inf")) or double != double:
        raise ValueError(f"{text} is no number that a workbook can hold")
    written = Decimal(text)
    shortest = Decimal(repr(double))
    if len(shortest.normalize().as_tuple().digits) <= DIGITS:
        written = shortest
    elif written != written.to_integral_value() and abs(written) < _LARGE:
        written = _SHORT.plus(shortest)
    return f"{written:f}"
