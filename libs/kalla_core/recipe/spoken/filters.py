"""Filters of a source, said in plain English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from kalla_core.errors import InvalidFilter
from kalla_core.recipe.spoken.days import Span, span
from kalla_core.recipe.spoken.words import Sentence, column, number, sentence, unknown_column

UNDERSTOOD = (
    "A filter is a column, what it is compared by, and a value; several are joined by `and`: "
    "`amount over 1000`, `amount between 10 and 20`, `status is open or paid`, `currency is not "
    'EUR`, `reference starts with "INV-"`, `name contains "north"`, `booked in January 2026`, '
    "`booked last month`, `booked since 2026-01-15`."
)
_OPS = {
    "=": "eq", "is": "eq", "equals": "eq", "equal to": "eq", "is equal to": "eq", "are": "eq",
    "!=": "neq", "<>": "neq", "is not": "neq", "not equal to": "neq", "is not equal to": "neq",
    ">": "gt", "over": "gt", "above": "gt", "more than": "gt", "greater than": "gt",
    "is over": "gt", "is above": "gt", "is more than": "gt", "is greater than": "gt",
    ">=": "gte", "at least": "gte", "is at least": "gte", "from": "gte",
    "<": "lt", "under": "lt", "below": "lt", "less than": "lt",
    "is under": "lt", "is below": "lt", "is less than": "lt",
    "<=": "lte", "at most": "lte", "is at most": "lte", "up to": "lte",
    "between": "between", "is between": "between",
    "in": "in", "is in": "in", "is one of": "in", "one of": "in",
    "like": "like", "contains": "contains", "starts with": "starts", "begins with": "starts",
    "ends with": "ends",
    "before": "lt", "is before": "lt", "after": "gt", "is after": "gt",
    "since": "gte", "until": "lte", "on": "eq", "is on": "eq",
}  # fmt: skip
_GRAMMAR = frozenset(word for phrase in _OPS for word in phrase.split()) - {
    "to",
    "on",
    "from",
    "up",
}
_FIRST = ("where", "with", "only", "keep", "show", "rows where", "rows with", "only rows where")
_JOINED = ("and", "and the", ", and", ",")
_NUMBERS = ("int", "bigint", "decimal", "numeric", "double", "float", "long", "smallint", "uint")
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class SaidFilter:
    """One filter, as a document of a recipe and in words."""

    document: Mapping[str, Any]
    says: str


def said_filters(text: str, columns: Mapping[str, str], today: date) -> tuple[SaidFilter, ...]:
    """Return the filters that a sentence says, all of which hold.

    Args:
        text: as `UNDERSTOOD` describes.
        columns: name to type word, of the source.
        today: what "last month" counts from.

    Raises:
        InvalidFilter: a part was not understood; nothing is left out.
    """
    said = sentence(text)
    said.take(*_FIRST)
    found: list[SaidFilter] = []
    while not found or said.take(*_JOINED):
        found += _condition(said, columns, today)
    if not said.ended:
        raise _not_understood(said, found)
    return tuple(found)


def _condition(said: Sentence, columns: Mapping[str, str], today: date) -> list[SaidFilter]:
    said.take("the")
    name = column(said, columns)
    if name is None:
        return _of_the_only_day(said, columns, today)
    kind = columns[name].lower()
    day = kind.startswith(("date", "timestamp"))
    op = None if day and said.ahead(2)[:1] == ("is",) and _is_span(said, 1, today) else (
        said.take(*_OPS)
    )  # fmt: skip
    if op is None and day:
        said.take("is")
        days = span(said, today)
        if days is not None:
            return _days(name, kind, "eq", days)
    if op is None:
        raise _expected(said, f"a comparison behind `{name}`")
    return _compared(said, name, kind, _OPS[op], today)


def _is_span(said: Sentence, skip: int, today: date) -> bool:
    start = said.place
    said.place += skip
    found = span(said, today)
    said.place = start
    return found is not None


def _of_the_only_day(
    said: Sentence, columns: Mapping[str, str], today: date
) -> list[SaidFilter]:  # fmt: skip
    """Read a span that says of no column: of the only column of days there is."""
    start = said.place
    said.take("in", "from")
    days = span(said, today)
    if days is None:
        said.place = start
        first = said.words[start].text if not said.ended else ""
        if not first:
            raise _expected(said, "a column")
        raise InvalidFilter(f"{unknown_column(first, columns)} {UNDERSTOOD}")
    named = [n for n, kind in columns.items() if kind.lower().startswith(("date", "timestamp"))]
    if len(named) != 1:
        which = ", ".join(f"`{one}`" for one in named) or "none"
        raise InvalidFilter(f"Say which column of days is meant; there are: {which}.")
    return _days(named[0], columns[named[0]].lower(), "eq", days)


def _compared(said: Sentence, name: str, kind: str, op: str, today: date) -> list[SaidFilter]:
    if said.take("empty", "null", "missing", "blank", "not empty"):
        raise InvalidFilter(
            f"Whether `{name}` is empty cannot be said in a filter; say it in the match SQL."
        )
    if kind.startswith(("date", "timestamp")):
        return _of_days(said, name, kind, op, today)
    if op in ("contains", "starts", "ends", "like"):
        return [_pattern(said, name, kind, op)]
    if op == "between":
        first = _value(said, name, kind)
        if said.take("and", "to") is None:
            raise _expected(said, "`and` between two values")
        second = _value(said, name, kind)
        if isinstance(first, Decimal) and isinstance(second, Decimal) and first > second:
            raise InvalidFilter(f"Nothing lies between {first} and {second}: the first is larger.")
        return [_filter(name, "between", [_json(first), _json(second)])]
    values = [_value(said, name, kind)] if op != "in" else _listed(said, name, kind)
    while op == "eq" and said.take("or") is not None:
        values.append(_value(said, name, kind))
    if op == "neq" and said.ahead() == ("or",):
        raise _expected(said, "one value behind `is not`")
    if len(values) > 1 or op == "in":
        return [_filter(name, "in", [_json(one) for one in values])]
    if op in ("gt", "gte", "lt", "lte") and not isinstance(values[0], Decimal):
        raise InvalidFilter(f"`{name}` is {kind}, which has no more and less; it may be `is`.")
    return [_filter(name, op, _json(values[0]))]


def _listed(said: Sentence, name: str, kind: str) -> list[str | Decimal | bool]:
    closed = said.take("(") is not None
    values = [_value(said, name, kind)]
    while said.take("or", ", or", ",") is not None:
        values.append(_value(said, name, kind))
    if closed and said.take(")") is None:
        raise _expected(said, "`)`")
    return values


def _value(said: Sentence, name: str, kind: str) -> str | Decimal | bool:
    word = said.next()
    if word is None or word.quote == "`" or (not word.quote and word.text in "(),"):
        raise _expected(said, f"a value for `{name}`")
    if kind.startswith(_NUMBERS):
        found = number(word.text)
        if found is None:
            raise InvalidFilter(f"`{name}` is {kind}, and `{word.text[:60]}` is no number.")
        return found
    if kind.startswith("bool"):
        if word.plain not in _TRUTHS:
            raise InvalidFilter(f"`{name}` is true or false, not `{word.text[:60]}`.")
        return _TRUTHS[word.plain]
    if word.quote:
        return word.text
    parts = [word.text]
    while not said.ended and said.ahead()[0] not in ("and", "or", ",", ")", ""):
        parts.append(said.words[said.place].text)
        said.place += 1
    if len(parts) > 1 and _GRAMMAR & {one.lower() for one in parts}:
        raise InvalidFilter(
            f"Where does the value of `{name}` end in `{' '.join(parts)[:60]}`? Put it in quotes."
        )
    return " ".join(parts)


def _pattern(said: Sentence, name: str, kind: str, op: str) -> SaidFilter:
    if kind.startswith((*_NUMBERS, "bool")):
        raise InvalidFilter(f"`{name}` is {kind}, and only texts contain others.")
    text = str(_value(said, name, "text"))
    if op == "like":
        return _filter(name, "like", text)
    plain = "".join(f"\\{sign}" if sign in "\\%_" else sign for sign in text)
    ends = {"contains": f"%{plain}%", "starts": f"{plain}%", "ends": f"%{plain}"}
    return _filter(name, "like", ends[op])


def _of_days(said: Sentence, name: str, kind: str, op: str, today: date) -> list[SaidFilter]:
    if op not in ("eq", "gt", "gte", "lt", "lte", "between", "in"):
        raise _expected(said, f"a day behind `{name}`, which cannot be compared so")
    first = span(said, today)
    if first is None:
        raise _expected(said, f"a day for `{name}`, as 2026-01-31 or `last month`")
    if op == "between" or (op == "gte" and said.ahead()[:1] in (("to",), ("until",))):
        if said.take("and", "to", "until") is None:
            raise _expected(said, "`and` between two days")
        second = span(said, today)
        if second is None or second.last < first.first:
            raise _expected(said, f"a day that is not before {first.first}")
        return _days(name, kind, "eq", Span(first.first, second.last))
    return _days(name, kind, "eq" if op == "in" else op, first)


def _days(name: str, kind: str, op: str, days: Span) -> list[SaidFilter]:
    """Return filters; of moments, a day lasts until the next begins."""
    after = days.last + timedelta(days=1)
    if kind.startswith("date"):
        first, last = days.first.isoformat(), days.last.isoformat()
        if op == "eq" and not days.single:
            return [_filter(name, "between", [first, last])]
        return [_filter(name, op, last if op in ("gt", "lte") else first)]
    begins, ends = _moment(days.first, kind), _moment(after, kind)
    bounds = {
        "eq": (("gte", begins), ("lt", ends)), "gt": (("gte", ends),), "gte": (("gte", begins),),
        "lt": (("lt", begins),), "lte": (("lt", ends),),
    }  # fmt: skip
    return [_filter(name, bound, value) for bound, value in bounds[op]]


def _moment(day: date, kind: str) -> str:
    zoned = "tz" in kind or "with time zone" in kind
    return f"{day.isoformat()}T00:00:00{'Z' if zoned else ''}"


def _json(value: str | Decimal | bool) -> str | int | bool:
    if not isinstance(value, Decimal):
        return value
    whole = value == value.to_integral_value() and abs(value) < 2**53
    return int(value) if whole else f"{value:f}"


def _filter(name: str, op: str, value: object) -> SaidFilter:
    words = {"eq": "is", "neq": "is not", "gt": "is more than", "gte": "is at least",
             "lt": "is less than", "lte": "is at most", "in": "is one of"}  # fmt: skip
    shown = " and ".join(map(str, value)) if op == "between" and isinstance(value, list) else value
    says = f"`{name}` {words.get(op, op)} {shown}"
    return SaidFilter({"column": name, "op": op, "value": value}, says)


def _expected(said: Sentence, what: str) -> InvalidFilter:
    where = f"before `{said.rest()}`" if not said.ended else "at the end"
    return InvalidFilter(f"Expected {what} {where}. {UNDERSTOOD}")


def _not_understood(said: Sentence, found: list[SaidFilter]) -> InvalidFilter:
    so_far = ", ".join(one.says for one in found)
    return InvalidFilter(
        f"`{said.rest()}` was not understood; what comes before it was: {so_far}. {UNDERSTOOD}"
    )
