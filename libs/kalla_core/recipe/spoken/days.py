"""Days and spans of days in a sentence, from a stated day on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from kalla_core.errors import InvalidFilter
from kalla_core.recipe.spoken.words import Sentence

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september",
           "october", "november", "december")  # fmt: skip
_ISO = re.compile(r"\d{4}-\d{1,2}-\d{1,2}", re.ASCII)
_DOTS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", re.ASCII)
_SLASHES = re.compile(r"\d{1,2}/\d{1,2}/\d{2,4}", re.ASCII)
_YEAR = re.compile(r"(?:19|20)\d\d", re.ASCII)
_QUARTER = re.compile(r"q([1-4])", re.ASCII)
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Days from the first to the last, both included."""

    first: date
    last: date

    @property
    def single(self) -> bool:
        """Whether it is one day."""
        return self.first == self.last


def span(said: Sentence, today: date) -> Span | None:
    """Read days: a date, a month, a quarter, a year, or what lies behind today; None if none come.

    Weeks begin on Monday. "Last 7 days" ends with today.

    Raises:
        InvalidFilter: a date that does not exist, or can be read in two ways.
    """
    start = said.place
    found = _relative(said, today) or _calendar(said)
    if found is None:
        said.place = start
    return found


def month(year: int, number: int) -> Span:
    """Return the days of a month."""
    after = date(year + number // 12, number % 12 + 1, 1)
    return Span(date(year, number, 1), after - timedelta(days=1))


def _relative(said: Sentence, today: date) -> Span | None:
    if said.take("today"):
        return Span(today, today)
    if said.take("yesterday"):
        return Span(today - timedelta(days=1), today - timedelta(days=1))
    which = said.take("last", "this", "previous", "current", "past", "the last", "the past")
    if which is None:
        return None
    back = 0 if which in ("this", "current") else 1
    unit = said.take("week", "month", "quarter", "year")
    if unit is not None:
        return _unit(unit, back, today)
    count = said.next()
    if count is None or not count.plain.isdecimal() or len(count.plain) > 5 or not back:
        return None
    unit = said.take("days", "day", "weeks", "week")
    if unit is None:
        return None
    days = int(count.plain) * (7 if unit.startswith("week") else 1)
    if not 1 <= days <= 40_000:
        raise InvalidFilter(f"{days} days back from {today} is no span of days.")
    return Span(today - timedelta(days=days - 1), today)


def _unit(unit: str, back: int, today: date) -> Span:
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return Span(monday, monday + timedelta(days=6))
    if unit == "year":
        return Span(date(today.year - back, 1, 1), date(today.year - back, 12, 31))
    if unit == "month":
        place = today.year * 12 + today.month - 1 - back
        return month(place // 12, place % 12 + 1)
    return _quarter(*divmod(today.year * 4 + (today.month - 1) // 3 - back, 4))


def _quarter(year: int, number: int) -> Span:
    """Return the days of a quarter, counted from 0."""
    return Span(month(year, 3 * number + 1).first, month(year, 3 * number + 3).last)


def _calendar(said: Sentence) -> Span | None:
    word = said.next()
    if word is None:
        return None
    text = word.text if word.quote != "`" else ""
    if _ISO.fullmatch(text):
        return _day(text, *map(int, text.split("-")))
    if dots := _DOTS.fullmatch(text):
        return _day(text, int(dots[3]), int(dots[2]), int(dots[1]))
    if _SLASHES.fullmatch(text):
        raise InvalidFilter(f"`{text}` can be read in two ways: write the day as 2026-01-31.")
    if quarter := _QUARTER.fullmatch(word.plain):
        year = _year(said)
        return None if year is None else _quarter(year, int(quarter[1]) - 1)
    if _YEAR.fullmatch(word.plain):
        return Span(date(int(word.plain), 1, 1), date(int(word.plain), 12, 31))
    named = _month(word.plain)
    if named is not None:
        return _after_month(said, named)
    ordinal = _ORDINAL.fullmatch(word.plain)
    named = _month(said.ahead()[0]) if ordinal and said.ahead() else None
    if ordinal is None or named is None:
        return None
    said.next()
    year = _year(said)
    return None if year is None else _day(word.text, year, named, int(ordinal[1]))


def _after_month(said: Sentence, named: int) -> Span | None:
    """Read what follows the name of a month: its year, or a day and the year."""
    year = _year(said)
    if year is not None:
        return month(year, named)
    word = said.next()
    ordinal = _ORDINAL.fullmatch(word.plain) if word is not None else None
    if ordinal is not None:
        said.take(",")
        year = _year(said)
        if year is not None:
            return _day(ordinal[0], year, named, int(ordinal[1]))
    raise InvalidFilter(f"Say of which year: {_MONTHS[named - 1].capitalize()} 2026.")


def _year(said: Sentence) -> int | None:
    ahead = said.ahead()
    if not ahead or not _YEAR.fullmatch(ahead[0]):
        return None
    said.next()
    return int(ahead[0])


def _month(word: str) -> int | None:
    word = word.rstrip(".")
    for place, name in enumerate(_MONTHS, 1):
        if word == name or (word == name[:3] and name != "may") or (word, place) == ("sept", 9):
            return place
    return None


def _day(text: str, year: int, number: int, day: int) -> Span:
    try:
        found = date(year, number, day)
    except ValueError:
        raise InvalidFilter(f"`{text}` is no day of the calendar.") from None
    return Span(found, found)
