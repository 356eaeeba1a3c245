"""Operations of a statement that have to be written otherwise to be exact, and how.

Of which types operands are is DataFusion's own finding, as it is for calls of Kalla's functions:
a stand-in that accepts nothing is put in the place of an operation, and DataFusion refuses it and
says of which types its arguments are. That works wherever an expression may stand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from datafusion import SessionContext, udf

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.matching.plans.exact import (
    CALLS,
    CALLS_OF_NULL,
    CASES,
    CHOOSING,
    COMPARISONS,
    OPERATIONS,
    wrapping,
)
from kalla_core.matching.plans.planning import PlanningFailed, analysed
from kalla_core.matching.sql.alike import Operand, clash, unlike
from kalla_core.matching.sql.arrow_types import UnknownType, kind_of, parse_types
from kalla_core.matching.sql.conversions import CALLS as CASTS
from kalla_core.matching.sql.conversions import CONVERSIONS, conversions
from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.moments import READING, moment_read
from kalla_core.matching.sql.operations import CASE, CASE_OF, Operation, Range, operations
from kalla_core.matching.sql.periods import PERIODS, begun
from kalla_core.matching.sql.text import Splice, spliced, where
from kalla_core.matching.sql.wrapping import Wrapping, cast_to

MAX_OPERATIONS = 1000
_SAFE_DIGITS = 9
_LONG_CHAIN = 8
_SUMS = frozenset({"+", "-"})
_TO_INTEGER = cast_to("BIGINT")
_STAND_IN = "kalla_operation__"
_REFUSED = re.compile(
    rf"call to '(?P<name>{_STAND_IN}\d+)' function: coercion from (?P<types>.*?) to the signature",
    re.DOTALL,
)
_NANOSECONDS, _TEXT = "AS Timestamp(ns", "AS Utf8"
_OF_ONE = (CALLS_OF_NULL | CONVERSIONS) - CHOOSING - CASES
"""Operations of which only the type of their first operand counts."""

_DAYS = re.compile(r"[-+\d\s]|(?:year|yr|mon|month|week|day|quarter|y|w|d)s?\b", re.IGNORECASE)
_YEAR = re.compile(r"\d{4,9}(?=-)")
_NEAR_YEARS = range(1678, 2262)
_NO_COLUMNS = (
    "array", "as", "at", "cast", "current_date", "current_timestamp", "date", "day", "days",
    "false", "hour", "hours", "interval", "minute", "minutes", "month", "months", "now", "null",
    "time", "timestamp", "timestamptz", "today", "true", "with", "without", "year", "years", "zone",
)  # fmt: skip
_UNLIKE_ANY = pa.struct([pa.field("__kalla", pa.int8())])


def exact_splices(
    session: SessionContext,
    sql: str,
    tokens: Sequence[Token],
    splices: Sequence[Splice],
    checked: str,
    *,
    untyped: bool = False,
    timed: bool = False,
) -> tuple[Splice, ...]:
    """Return the casts to put into a statement, to be applied before `splices`.

    Args:
        session: a planning session with the tables and stand-ins for Kalla's functions.
        sql: the user's text.
        tokens: of `sql`, and brackets of no width that are to be put in with the casts.
        splices: what else has to be put in for the statement to plan.
        checked: the text of its plan with its types checked.
        untyped: whether values may be of type NULL.
        timed: whether values may be times of a day.

    Raises:
        InvalidSql: there are too many operations.
        TypesNotComparable: an integer is compared with a float where no plan shows it.
        PlanningFailed: DataFusion refuses the statement.
    """
    hidden = _hides_expressions(tokens)
    compared = (
        hidden
        or timed
        or _NANOSECONDS in checked
        or any(token.word("interval", "order") for token in tokens)
    )
    found = operations(tokens, CASTS | (CALLS_OF_NULL if untyped else CALLS))
    asked = [
        one
        for one in conversions(tokens, found, moments=hidden or _TEXT in checked)
        if _may_need(tokens, one)
        and (one.name not in COMPARISONS | CASES or compared)
        and (one.name not in CHOOSING or compared or _TEXT in checked)
    ]
    if len(asked) > MAX_OPERATIONS:
        raise InvalidSql(f"The SQL has more than {MAX_OPERATIONS} arithmetic operations.")
    return _Probe(session, sql, tokens, splices, asked).run()


@dataclass(frozen=True, slots=True)
class _Probe:
    session: SessionContext
    sql: str
    tokens: Sequence[Token]
    splices: Sequence[Splice]
    asked: Sequence[Operation]

    def run(self) -> tuple[Splice, ...]:
        """Ask DataFusion for the types of all operations, and return what they call for."""
        waiting = self._named()
        settled: dict[Operation, Wrapping] = {}
        for name, group in waiting.items():
            # One argument more than it is called with: so it does not take NULLs either.
            arity = 1 + (1 if group[0].name in _OF_ONE else len(group[0].operands))
            self.session.register_udf(
                udf(_never_run, [_UNLIKE_ANY] * arity, pa.bool_(), "immutable", name)
            )
        while waiting:
            refusal = self._refusal(waiting, settled)
            if refusal is None:
                break  # what is left is never planned
            for one in waiting.pop(refusal["name"]):
                found = self._wrapping(one, refusal["types"])
                if found is not None:
                    settled[one] = found
        pieces = _Pieces(self.tokens)
        chained = _chained(self.tokens, settled)
        for one in self.asked:
            if one in chained:
                _wrap(one, chained[one], pieces)
        return tuple(pieces.splices())

    def _named(self) -> dict[str, list[Operation]]:
        """Return names for stand-ins: one for what one SELECT says twice, as in GROUP BY."""
        groups: dict[tuple[object, ...], list[Operation]] = defaultdict(list)
        scopes = _scopes(self.tokens)
        for one in self.asked:
            first, last = one.place
            said = tuple((token.kind, token.value) for token in self.tokens[first:last])
            groups[(one.name, scopes[first], said)].append(one)
        return {f"{_STAND_IN}{n}": group for n, group in enumerate(groups.values())}

    def _refusal(
        self, waiting: Mapping[str, list[Operation]], settled: Mapping[Operation, Wrapping]
    ) -> re.Match[str] | None:
        names = {one: name for name, group in waiting.items() for one in group}
        pieces, chained = _Pieces(self.tokens), _chained(self.tokens, settled)
        replaced: list[Splice] = []
        valued = {one.place for one in names if one.name == CASE_OF}
        for one in self.asked:
            if one.name == CASE and one.place in valued:
                continue  # its results come after what it compares
            if one in names:
                replaced += _stand_in(self.tokens, one, names[one], pieces)
            elif one in chained:
                _wrap(one, chained[one], pieces)
        every = (*pieces.splices(), *replaced, *self.splices)
        kept = [one for one in every if not any(_covers(other, one) for other in replaced)]
        try:
            analysed(self.session, spliced(self.sql, kept))
        except PlanningFailed as error:
            refusal = _REFUSED.search(str(error))
            if refusal is None or refusal["name"] not in waiting:
                raise
            return refusal
        return None

    def _wrapping(self, one: Operation, listed: str) -> Wrapping | None:
        try:
            types = parse_types(listed)
        except UnknownType:
            return None
        if one.name in PERIODS and not pa.types.is_null(types[0]):
            return begun(self.tokens, one, types[0])
        if one.name in READING:
            return moment_read(one, types[0])
        if one.name in COMPARISONS | CHOOSING | CASES | {"-"}:
            self._check_alike(one, types)
        return wrapping(
            one.name,
            types,
            self._places(one),
            hours=self._has_hours(one),
            far=any(map(self._is_far, one.operands)),
        )

    def _check_alike(self, one: Operation, types: Sequence[pa.DataType]) -> None:
        """Refuse values of unlike kinds, also where no plan shows them."""
        met = [
            Operand(self._said(place), kind, self._is_constant(place), self._is_literal(place))
            for place, kind in zip(one.operands, types, strict=False)
        ][one.name == "nvl2" :]  # which only asks whether its first one is there
        found = unlike(met) if one.name != "-" else None
        if one.name == "-" and (clash(*met) or clash(*reversed(met))):
            kinds = " and ".join(f"{each.text} is {kind_of(each.type)}" for each in met)
            remedy = "; name the zone of the other one, as in VALUE AT TIME ZONE 'Europe/Berlin'."
            found = f"{kinds}, so what lies between them cannot be told", remedy
        if found is not None:
            raise TypesNotComparable(**where(self.sql, self.tokens[one.place[0]].start, *found))

    def _is_constant(self, place: Range) -> bool:
        """Whether nothing in a range can be a column."""
        tokens = self.tokens[place[0] : place[1]]
        return all(not token.is_name or token.word(*_NO_COLUMNS) for token in tokens)

    def _is_literal(self, place: Range) -> bool:
        tokens = self.tokens[place[0] : place[1]]
        return self._is_number(place) or (len(tokens) == 1 and tokens[0].kind is Kind.STRING)

    def _is_far(self, place: Range) -> bool:
        """Whether a range is a text that begins with a year in which nanoseconds end, or beyond."""
        year = _YEAR.match(self.tokens[place[0]].value)
        return year is not None and self._is_literal(place) and int(year[0]) not in _NEAR_YEARS

    def _is_number(self, place: Range) -> bool:
        tokens = self.tokens[place[0] : place[1]]
        return all(token.kind is Kind.NUMBER or token.symbol("-", "+") for token in tokens)

    def _said(self, place: Range) -> str:
        return self.sql[self.tokens[place[0]].start : self.tokens[place[1] - 1].end]

    def _has_hours(self, one: Operation) -> bool:
        """Whether what is added may have parts of a day: all but intervals of whole ones."""
        words = [
            self.tokens[at].value
            for first, last in one.operands
            if self.tokens[first].word("interval")
            for at in range(first + 1, last)
        ]
        return not words or any(_DAYS.sub("", word) for word in words)

    def _places(self, one: Operation) -> int | None:
        if len(one.operands) < 2:
            return 0
        first, last = one.operands[1]
        text = "".join(token.value for token in self.tokens[first:last])
        return int(text) if re.fullmatch(r"-?\d{1,9}", text) else None


class _Pieces:
    """Text to put before and after ranges of tokens that lie in each other, inner ones first."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._before: dict[int, str] = defaultdict(str)
        self._after: dict[int, str] = defaultdict(str)

    def around(self, place: Range, before: str, after: str) -> None:
        """Put text around a range, outside of what has been put around it before."""
        first, last = place[0], place[1] - 1
        self._before[first] = before + self._before[first]
        self._after[last] += after

    def splices(self) -> Iterator[Splice]:
        """Yield what to put in, tokens of no width included, one splice for each offset."""
        texts: dict[int, str] = defaultdict(str)
        for index, token in enumerate(self._tokens):
            texts[token.start] += self._before.get(index, "")
            texts[token.start] += token.value if token.is_put_in else ""
            texts[token.end] += self._after.get(index, "")
        yield from (Splice(at, at, text) for at, text in texts.items() if text)


def _stand_in(
    tokens: Sequence[Token], one: Operation, name: str, pieces: _Pieces
) -> Iterator[Splice]:
    """Put a call of a stand-in in the place of an operation, around the operand of a call."""
    if one.name in _OF_ONE:
        pieces.around(one.operands[0], f"{name}(", ")")
        return
    pieces.around(one.place, f"{name}(", "" if one.name == "in" else ")")
    ends = [*one.operands[1:], (one.place[1], one.place[1])]
    for (_, end), (start, _) in zip(one.operands, ends, strict=True):
        if start > end and start < one.place[1]:
            yield Splice(tokens[end].start, tokens[start - 1].end, ",")
    if one.name == "negate":
        yield Splice(tokens[one.place[0]].start, tokens[one.place[0]].end, "")
    if one.name in CHOOSING | CASES:
        first, last = one.operands[0][0], one.operands[-1][1]
        yield Splice(tokens[one.place[0]].start, tokens[first - 1].end, "")
        yield Splice(tokens[last].start, tokens[one.place[1] - 1].end, "")


def _covers(outer: Splice, inner: Splice) -> bool:
    if inner.start == inner.end:
        return outer.start < inner.start < outer.end
    return outer != inner and outer.start <= inner.start and inner.end <= outer.end


def _wrap(one: Operation, found: Wrapping, pieces: _Pieces) -> None:
    for place, around in zip(one.operands, found.operands, strict=False):
        if around is not None:
            pieces.around(place, *around)
    if found.suffix:
        pieces.around((one.place[0], one.place[0] + 1), "", found.suffix)
    if found.whole is not None:
        pieces.around(one.place, *found.whole)


def _chained(
    tokens: Sequence[Token], settled: Mapping[Operation, Wrapping]
) -> Mapping[Operation, Wrapping]:
    """Return what operations call for, sums of sums of integers cast back once, at their end.

    Between them they stay decimals, which hold more. DataFusion plans casts that lie in each other
    in a time that triples with each of them: a sum of twenty columns would take hours.
    """
    sums = {
        one.place: one
        for one, found in settled.items()
        if one.name in _SUMS and found.whole == _TO_INTEGER
    }
    inner = {
        one: [sums.get(_within_brackets(tokens, place)) for place in one.operands]
        for one in sums.values()
    }
    depths: dict[Operation, int] = {}
    for one in sorted(inner, key=lambda each: each.place[1] - each.place[0]):
        depths[one] = 1 + max(0 if part is None else depths[part] for part in inner[one])
    grouped = any(token.word("group", "order") for token in tokens)  # by what a chain is part of
    if grouped or max(depths.values(), default=0) < _LONG_CHAIN:
        return settled
    chained = dict(settled)
    for one, parts in inner.items():
        casts = zip(chained[one].operands, parts, strict=True)
        kept = tuple(cast if part is None else None for cast, part in casts)
        chained[one] = replace(chained[one], operands=kept)
        for part in filter(None, parts):
            chained[part] = replace(chained[part], whole=None)
    return chained


def _within_brackets(tokens: Sequence[Token], place: Range) -> Range:
    first, last = place
    while tokens[first].symbol("(") and tokens[last - 1].symbol(")") and _closes(tokens, place):
        first, last = place = (first + 1, last - 1)
    return first, last


def _closes(tokens: Sequence[Token], place: Range) -> bool:
    """Whether the bracket that a range begins with is closed at its end."""
    depth = 0
    for at in range(*place):
        depth += tokens[at].symbol("(") - tokens[at].symbol(")")
        if depth == 0:
            return at == place[1] - 1
    return False


def _scopes(tokens: Sequence[Token]) -> list[int]:
    """Return, for each token, a number of the SELECT that it stands in."""
    scopes, stack, latest = [], [0], 0
    for at, token in enumerate(tokens):
        opens = token.symbol("(") and at + 1 < len(tokens)
        selects = opens and tokens[at + 1].word("select", "with", "values")
        if token.word("union", "except", "intersect"):
            latest += 1
            stack[-1] = latest
        scopes.append(stack[-1])
        if token.symbol("("):
            latest += selects
            stack.append(latest if selects else stack[-1])
        elif token.symbol(")") and len(stack) > 1:
            stack.pop()
    return scopes


def _may_need(tokens: Sequence[Token], one: Operation) -> bool:
    """Whether an operation may be inexact, judged without its types."""
    if one.name in CONVERSIONS:
        return True
    if one.name in COMPARISONS or one.name in CALLS_OF_NULL - OPERATIONS:
        return bool(one.operands) and not any(
            tokens[first].word("any", "all", "some") for first, _ in one.operands
        )
    if not one.operands or one.name not in OPERATIONS:
        return False
    alone = [tokens[first] for first, last in one.operands if last == first + 1]
    numbers = [token.value.lower() for token in alone if token.kind is Kind.NUMBER]
    if any("." in number or ("e" in number and "x" not in number) for number in numbers):
        return one.name == "/"  # decimals and doubles do not wrap
    if len(numbers) < len(one.operands):
        return True
    return one.name not in ("negate", "/") and any(len(number) > _SAFE_DIGITS for number in numbers)


def _hides_expressions(tokens: Sequence[Token]) -> bool:
    """Whether expressions may stand where no plan shows them: in sub-queries and FILTER."""
    return sum(token.word("select", "filter") for token in tokens) > 1


def _never_run(*_arrays: pa.Array) -> pa.Array:
    raise RuntimeError("a stand-in is for planning only")
