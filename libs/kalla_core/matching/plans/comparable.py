"""Values of unlike types that meet in match SQL: set right where it is clear, else refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf

import pyarrow as pa
from datafusion import LogicalPlan

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.matching.plans.casts import ImplicitCast
from kalla_core.matching.plans.planning import PlanningFailed
from kalla_core.matching.sql.alike import written_as
from kalla_core.matching.sql.arrow_types import element, is_text, is_zoned, kind_of, parse_type
from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.places import place_of
from kalla_core.matching.sql.query import MatchQuery
from kalla_core.matching.sql.text import where

MAX_LITERALS = 100
"""With more decimal literals than these beside floats, SQL is refused instead of set right."""

CastsWith = Callable[[frozenset[Token]], Sequence[ImplicitCast]]
"""Plans the statement with these numbers as doubles; raises PlanningFailed."""


def check_comparisons(sql: str, tokens: Sequence[Token], casts: Sequence[ImplicitCast]) -> None:
    """Return if nothing is compared that people would not compare.

    Raises:
        TypesNotComparable: text beside a number or a date, a number beside a date, an integer
            beside a floating-point number, or a time of some zone beside one of none.
    """
    for cast in casts:
        if cast.partner is not None and _unlike(_of_elements(cast)):
            other, other_type = cast.partner
            kind, other_kind = kind_of(cast.source), kind_of(other_type or cast.target)
            if kind == other_kind:  # and something else in a list with both is not
                other, other_kind = "what stands beside it", kind_of(cast.target)
            what = (
                f"{cast.operand} is {kind} and {other} is {other_kind}, so they cannot be compared "
                "as they are"
            )
            raise TypesNotComparable(
                **where(sql, place_of(tokens, cast.operand), what, _remedy(cast))
            )


def _remedy(cast: ImplicitCast) -> str:
    other, other_type = cast.partner or ("", None)
    kinds = (other, other_type or cast.target), (cast.operand, cast.source)
    for name, kind in kinds:
        if _is_float(kind):
            written = f"write CAST({name} AS DECIMAL(18, 2))"
            if name in _UNWRITTEN:
                written = "CAST the floating-point one AS DECIMAL(18, 2)"
            return f"; {written} to compare exact numbers, or CAST the other one AS DOUBLE."
        if kind is not None and pa.types.is_timestamp(kind) and _meets_zone(cast):
            zoned = kind.tz is not None
            return (
                "; name the zone of the other one, as in CAST(VALUE AS TIMESTAMP(6)) AT TIME ZONE "
                "'Europe/Berlin'."
                if zoned
                else f"; name its zone, as in {name} AT TIME ZONE 'Europe/Berlin'."
            )
    if cast.constant and pa.types.is_temporal(cast.target) and _is_number(cast.source):
        return f"; {written_as(cast.target)}."
    return "; CAST one of them in the match SQL, or give its source a `types` entry."


def doubles_needed(
    sql: str,
    tokens: Sequence[Token],
    literals: Sequence[Token],
    casts: Sequence[ImplicitCast],
    casts_with: CastsWith,
) -> frozenset[Token]:
    """Return which of the decimal `literals` stand beside floats, and have to be doubles.

    Starts from all of them and takes back each that no float needs, because `x BETWEEN 0.1 AND
    0.9` is set right only by both.

    Args:
        sql: the statement.
        tokens: of `sql`.
        literals: numbers in it that are decimals.
        casts: what `casts_with` gives for none.
        casts_with: see `CastsWith`.

    Raises:
        InvalidSql: a float meets a decimal that is no literal, so that which of both is meant
            cannot be known.
    """
    found = _float_to_decimal(casts)
    if not found:
        return frozenset()
    search = _Search(casts, casts_with)
    chosen = search.start(literals[:MAX_LITERALS])
    for literal in sorted(chosen, key=lambda token: token.start):
        if search.clashes(chosen - {literal}) <= search.clashes(chosen):
            chosen -= {literal}
    if search.clashes(chosen):
        left = _float_to_decimal(casts_with(chosen))
        raise _float_meets_decimal(sql, tokens, (left or found)[0])
    return chosen


def hidden_casts(
    query: MatchQuery,
    written: LogicalPlan,
    checked: LogicalPlan,
    seen: Sequence[ImplicitCast],
) -> Iterator[ImplicitCast]:
    """Yield casts of float columns to decimals where `implicit_casts` cannot look.

    They are read from the plan's text, and the types of columns from their bare names.
    """
    before = written.display_indent()
    known = {cast.operand for cast in seen}
    for match in _COLUMN_CAST.finditer(checked.display_indent()):
        column = match["column"]
        types = _column_types(query, column.rpartition(".")[2])
        floats = [data_type for data_type in types if pa.types.is_floating(data_type)]
        certain = len(floats) == len(types) or int(match["scale"]) in _FLOAT_SCALES
        if floats and certain and column not in known and match.group() not in before:
            yield ImplicitCast(column, floats[0], parse_type(match["target"]), None)


_COLUMN_CAST = re.compile(
    r"CAST\((?:outer_ref\()?(?P<column>[^\s()]+)\)? "
    r"AS (?P<target>Decimal\d+\(\d+, (?P<scale>\d+)\))\)"
)
_FLOAT_SCALES = (3, 7, 15)  # what DataFusion gives to float16, float32 and float64


_UNWRITTEN = frozenset({"its partner", "another one", "a sub-query"})


class _Search:
    """Counts what is cast that should not be, for sets of literals taken as doubles.

    Args:
        casts: with none of them as doubles.
        casts_with: see `CastsWith`.
    """

    def __init__(self, casts: Sequence[ImplicitCast], casts_with: CastsWith) -> None:
        self._blurred = Counter(cast.operand for cast in _decimal_to_float(casts))
        self._casts_with = casts_with
        self._counts: dict[frozenset[Token], float] = {}

    def start(self, literals: Sequence[Token]) -> frozenset[Token]:
        """Return all literals if the SQL plans with them as doubles, else those that it does."""
        together = frozenset(literals)
        if self.clashes(together) < inf:
            return together
        alone = frozenset(one for one in literals if self.clashes(frozenset({one})) < inf)
        return alone if self.clashes(alone) < inf else frozenset()

    def clashes(self, doubles: frozenset[Token]) -> float:
        """Return how many floats are cast to decimals, or decimals to floats because of `doubles`.

        The latter count, because a double beside money would make a float of it. Infinite where
        the SQL does not plan.
        """
        if doubles not in self._counts:
            self._counts[doubles] = self._count(doubles)
        return self._counts[doubles]

    def _count(self, doubles: frozenset[Token]) -> float:
        try:
            casts = self._casts_with(doubles)
        except PlanningFailed:
            return inf
        blurred = Counter(cast.operand for cast in _decimal_to_float(casts))
        return len(_float_to_decimal(casts)) + (blurred - self._blurred).total()


def _decimal_to_float(casts: Sequence[ImplicitCast]) -> list[ImplicitCast]:
    return [
        cast
        for cast in casts
        if cast.source is not None and pa.types.is_decimal(cast.source) and _is_float(cast.target)
    ]


def _float_to_decimal(casts: Sequence[ImplicitCast]) -> list[ImplicitCast]:
    return [cast for cast in casts if _is_float(cast.source) and pa.types.is_decimal(cast.target)]


def _float_meets_decimal(sql: str, tokens: Sequence[Token], cast: ImplicitCast) -> InvalidSql:
    other = cast.partner[0] if cast.partner is not None else "a decimal"
    what = f"{cast.operand} is a floating-point number and meets {other}, a decimal"
    if cast.partner is None:
        what = f"{cast.operand} is a floating-point number and meets a decimal"
    remedy = (
        f"; write CAST({cast.operand} AS DECIMAL(18, 2)) to compare exact numbers, or CAST the "
        "decimal AS DOUBLE."
    )
    return InvalidSql(**where(sql, place_of(tokens, cast.operand), what, remedy))


def _unlike(cast: ImplicitCast) -> bool:
    source, target = cast.source, cast.target
    if source is None:
        return False
    if pa.types.is_integer(source) and _is_float(target):
        return True
    if not cast.constant and _meets_zone(cast):
        return True
    if is_text(source):
        return not is_text(target) and not pa.types.is_binary(target)
    if _is_number(source):
        return is_text(target) or pa.types.is_temporal(target)
    return bool(pa.types.is_temporal(source)) and (is_text(target) or _is_number(target))


def _of_elements(cast: ImplicitCast) -> ImplicitCast:
    """Return the cast of a value in a list for that of a list, which is compared value by value."""
    name, other = cast.partner or ("", None)
    partner = cast.partner and (name, other and element(other))
    source = cast.source and element(cast.source)
    return replace(cast, source=source, target=element(cast.target), partner=partner)


def _meets_zone(cast: ImplicitCast) -> bool:
    """Whether a moment that is known meets a date or a time that is one in some unknown zone."""
    other = cast.partner[1] if cast.partner is not None else None
    kinds = [kind for kind in (cast.source, other or cast.target) if kind is not None]
    temporal = all(pa.types.is_timestamp(kind) or pa.types.is_date(kind) for kind in kinds)
    return temporal and len({is_zoned(kind) for kind in kinds}) > 1


def _is_number(data_type: pa.DataType) -> bool:
    kinds = pa.types
    return bool(
        kinds.is_integer(data_type) or kinds.is_decimal(data_type) or kinds.is_floating(data_type)
    )


def _is_float(data_type: pa.DataType | None) -> bool:
    return data_type is not None and bool(pa.types.is_floating(data_type))


def _column_types(query: MatchQuery, name: str) -> list[pa.DataType]:
    schemas = [shape.schema for shape in (query.left, query.right, *query.extras)]
    return [field.type for schema in schemas for field in schema if field.name == name]
