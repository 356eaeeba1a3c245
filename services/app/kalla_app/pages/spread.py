"""How the rows of a run are spread, as its page draws it: sizes of amounts, days inside matches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kalla_app.context import App
from kalla_app.pages.render import number, page
from kalla_app.runs.life import RunStatus
from kalla_app.store.runs import Run
from kalla_core.answers.spread import MOST_DAYS, SideSpread, Size, Spread, exponent_of, sized
from kalla_core.errors import JobEnded, KallaError
from kalla_core.matching.sql.query import Side

_PATIENCE_S = 0.15
_MOST_BARS = 16
_DAYS_A_BAR = (1, 2, 3, 7, 14, 30, 90, 180)
_FAR = 0.01
"""Of the matches may be further apart, either way, than there are bars."""

_MINUS = "\N{MINUS SIGN}"
_PLAIN = range(-6, 10)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LONGEST_NAME = 250


@dataclass(frozen=True, slots=True)
class SizeLine:
    """Rows with amounts of a size.

    Attributes:
        matched: None where that is not known.
        open: without a partner, `ambiguous` ones among them.
        before: open rows that stand before these when rows are in the order of their amounts;
            `before_ambiguous` those of them that are ambiguous.
    """

    label: str
    matched: int | None
    open: int
    ambiguous: int
    before: int
    before_ambiguous: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.open + (self.matched or 0)


@dataclass(frozen=True, slots=True)
class SizeTable:
    """The rows of a side by the sizes of their amounts, the least first.

    Attributes:
        sort: the column, where rows can be put in its order by an address.
        most: rows of the longest bar.
    """

    side: str
    column: str
    sort: str | None
    lines: tuple[SizeLine, ...]
    knows_matched: bool
    has_ambiguous: bool
    most: int


@dataclass(frozen=True, slots=True)
class DayTable:
    """Matches by the days between their rows, those first whose right row is the earliest.

    Attributes:
        columns: dates of the left and of the right side.
        lines: words, and how many matches.
    """

    columns: tuple[str, str]
    lines: tuple[tuple[str, int], ...]
    unknown: int
    total: int
    most: int


@dataclass(frozen=True, slots=True)
class SpreadShown:
    """What a page shows.

    Attributes:
        is_counted: False while it is being counted.
        said: why there is nothing; empty where there is, or where the run has no such columns.
    """

    is_counted: bool
    sizes: tuple[SizeTable, ...] = ()
    days: DayTable | None = None
    said: str = ""


def spread_pages(app: App) -> APIRouter:
    """Return the part of a run's page that comes when its rows are counted."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/runs/{run_id}/spread")
    async def spread(run_id: str, request: Request) -> Response:
        run = await app.runs.get(run_id)
        if run.state.status is not RunStatus.SUCCEEDED:
            raise JobEnded(f"The run is {run.state.status.value}: it has no evidence.")
        document, shown = await app.runs.recipe(run_id), await spread_shown(app, run)
        return await page(app, request, "run_spread.html", run=run, document=document, spread=shown)

    return routes


async def spread_shown(app: App, run: Run) -> SpreadShown:
    """Return what the page of a run that has ended shows of how its rows are spread."""
    try:
        found = await app.spreads.find(run, _PATIENCE_S)
    except KallaError as error:
        return SpreadShown(True, said=error.message.splitlines()[0])
    return SpreadShown(False) if found is None else shown(found)


def shown(spread: Spread) -> SpreadShown:
    """Return what is shown of how rows are spread."""
    tables = (_sizes(side, one) for side, one in spread.sides.items())
    days = spread.days
    lines = () if days is None else tuple(day_lines(days.pairs))
    table = None
    if days is not None and lines:
        total = sum(days.pairs.values())
        table = DayTable(days.columns, lines, days.unknown, total, max(one[1] for one in lines))
    return SpreadShown(True, tuple(one for one in tables if one.lines), table)


def _sizes(side: Side, spread: SideSpread) -> SizeTable:
    lines = tuple(size_lines(spread))
    is_said = not spread.column.startswith("-") and len(spread.column) <= _LONGEST_NAME
    knows = spread.matched is not None
    return SizeTable(
        side=side.word,
        column=spread.column,
        sort=spread.column if is_said else None,
        lines=lines,
        knows_matched=knows,
        has_ambiguous=bool(spread.ambiguous),
        most=max((one.rows for one in lines), default=0),
    )


def size_lines(spread: SideSpread) -> Iterator[SizeLine]:
    """Yield the sizes from the least to the greatest that rows have, and what is not known."""
    sizes = list(_all_between({*(spread.matched or ()), *spread.unmatched, *spread.ambiguous}))
    ambiguous = [spread.ambiguous.get(size, 0) for size in sizes]
    open_ = [
        spread.unmatched.get(one, 0) + more for one, more in zip(sizes, ambiguous, strict=True)
    ]
    before, before_ambiguous = (accumulate(counts, initial=0) for counts in (open_, ambiguous))
    for size, *counts in zip(sizes, open_, ambiguous, before, before_ambiguous, strict=False):
        matched = None if spread.matched is None else spread.matched.get(size, 0)
        yield SizeLine(size_words(size), matched, *counts)


def _all_between(sizes: set[Size]) -> Iterator[Size]:
    """Yield sizes in the order of amounts, and also those between two of the same sign."""
    known = [size for size in sizes if size is not None]
    for negative in (True, False):
        powers = [exponent_of(one) for one in known if one and (one < 0) is negative]
        if negative:
            yield from (sized(one, negative=True) for one in _downwards(powers))
            yield from [0] if 0 in known else []
        else:
            yield from (sized(one) for one in reversed(_downwards(powers)))
    if None in sizes:
        yield None


def _downwards(powers: Sequence[int]) -> Sequence[int]:
    return range(max(powers), min(powers) - 1, -1) if powers else ()


def size_words(size: Size) -> str:
    """Return which amounts are of a size."""
    if size is None:
        return "not told"
    if size == 0:
        return "0"
    least = exponent_of(size)
    if size < 0:
        return f"{_MINUS}{_power(least + 1)} to {_MINUS}{_power(least)}"
    return f"{_power(least)} to {_power(least + 1)}"


def _power(exponent: int) -> str:
    if exponent not in _PLAIN:
        return f"10{str(exponent).translate(_RAISED)}"
    return number(10**exponent) if exponent >= 0 else f"{10.0**exponent:.{-exponent}f}"


def day_lines(pairs: Mapping[int, int]) -> Iterator[tuple[str, int]]:
    """Yield how many matches have how many days between, in words, from before to after.

    A day has a bar of its own where there are not too many of them; else several share one, and
    the few that are furthest are put together.
    """
    if not pairs:
        return
    edges = _edges(pairs)
    first, end = edges[0], edges[-1]
    earlier = sum(count for day, count in pairs.items() if day < first)
    later = sum(count for day, count in pairs.items() if day >= end)
    if earlier:
        near = f"fewer than {first} days after, or earlier" if first > 0 else None
        yield near or f"more than {_days(-first)} before", earlier
    for start, stop in pairwise(edges):
        days = range(start, stop)
        yield _words(days), sum(pairs.get(day, 0) for day in days)
    if later:
        near = f"fewer than {1 - end} days before, or later" if end <= 0 else None
        yield near or f"more than {_days(end - 1)} after", later


def _edges(pairs: Mapping[int, int]) -> list[int]:
    """Return the first day of each bar, and the one behind the last bar.

    No bar has days of which it is known only that they are further apart than `MOST_DAYS`.
    """
    low, high = min(pairs), max(pairs)
    if low < -MOST_DAYS or high > MOST_DAYS or high - low >= _MOST_BARS:
        days, few = sorted(pairs), _FAR * sum(pairs.values())
        low, high = _beyond(days, pairs, few), _beyond(days[::-1], pairs, few)
    low, high = (max(-MOST_DAYS, min(MOST_DAYS, day)) for day in (low, high))
    for width in _DAYS_A_BAR:
        if high // width - low // width < _MOST_BARS:
            break
    edges = [width * number for number in range(low // width, high // width + 2)]
    return [max(-MOST_DAYS, edges[0]), *edges[1:-1], min(MOST_DAYS + 1, edges[-1])]


def _beyond(days: Sequence[int], pairs: Mapping[int, int], few: float) -> int:
    """Return the first of some days that only few matches come before."""
    seen = 0
    for day in days:
        seen += pairs[day]
        if seen > few:
            break
    return day


def _words(days: range) -> str:
    first, last = days[0], days[-1]
    if first == last == 0:
        return "the same day"
    near, far = sorted((abs(first), abs(last)))
    word = "before" if first < 0 else "after"
    return f"{_days(far)} {word}" if near == far else f"{near} to {_days(far)} {word}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
