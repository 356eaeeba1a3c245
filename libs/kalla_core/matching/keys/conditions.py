"""Conditions beside the key: whether they hold for a pair, and by how much they are missed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from datafusion import DataFrame, Expr, col

from kalla_core.matching.keys.copartition import bases
from kalla_core.matching.keys.keys import KeyComponent
from kalla_core.matching.plans.expressions import OpaqueExpression, columns, operands, uncast
from kalla_core.matching.plans.pairwise import Pairwise
from kalla_core.matching.plans.requirements import Requirement
from kalla_core.matching.plans.routes import NoRoute
from kalla_core.matching.plans.wording import worded
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.written import Written, is_name


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a pair beside the key, that can be told from its two rows.

    Attributes:
        text: readable.
        left_columns: the columns of the left source it reads.
        right_columns: the columns of the right source it reads.
        measurable: it limits the distance of two numbers or dates, one of each side.
        of_columns: what it measures are the two columns as they are.
        nearest_holds_first: if it does not hold for the nearest of some rows, as their numbers or
            dates go, it holds for none of them.
        asks: in words, of what it computes from both rows, as `at least 0.9`; None where it
            compares no such number with a constant.
    """

    text: str
    left_columns: tuple[str, ...]
    right_columns: tuple[str, ...]
    measurable: bool
    of_columns: bool
    nearest_holds_first: bool
    asks: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition and how to evaluate it.

    Attributes:
        measures: the number or date of each side whose distance it limits.
        score: the number that it compares with a constant, computed from both rows.
    """

    condition: Condition
    requirement: Requirement
    measures: Mapping[Side, Expr]
    score: Score | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A number of a pair that a condition limits, as a likeness or the edits between two texts.

    Attributes:
        rises: more of it is nearer to fulfilling the condition.
    """

    value: Expr
    rises: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What is required of a pair beside its key.

    Attributes:
        checked: what its two rows tell.
        untold: what they do not.
    """

    checked: tuple[Checked, ...]
    untold: tuple[Requirement, ...]


def checked_conditions(
    required: Iterable[Requirement],
    keys: Sequence[KeyComponent],
    pairwise: Pairwise,
    written: Written,
) -> Told:
    """Return the conditions among `required`, without those that the keys already are.

    Args:
        pairwise: over tables with ROW, which may be empty.
        written: what the author wrote, for the texts.
    """
    found: dict[str, Checked] = {}
    untold: list[Requirement] = []
    for requirement in required:
        if not is_key(requirement, keys):
            checked = _checked(requirement, pairwise, written)
            if checked is not None:
                found.setdefault(checked.condition.text, checked)
            else:
                untold.append(requirement)
    return Told(tuple(found.values()), tuple(untold))


def condition_frame(
    checked: Sequence[Checked], pairwise: Pairwise, scored: Collection[int] = ()
) -> DataFrame:
    """Return ROW and, for each condition, a Boolean column `c0`, `c1`, ...; one row per pair.

    Args:
        checked: at least one.
        pairwise: over tables in which rows of a pair have the same ROW.
        scored: numbers of conditions that have a score, which is to be told beside them, as `s0`.
    """
    groups: dict[int, list[int]] = {}
    for index, one in enumerate(checked):
        groups.setdefault(id(one.requirement.plans), []).append(index)
    frames = [_evaluated(checked, indexes, pairwise, scored) for indexes in groups.values()]
    frame = frames[0].with_column_renamed(_number(0), ROW)
    for place, other in enumerate(frames[1:], start=1):
        frame = frame.join_on(other.with_column_renamed(_number(0), _number(place)),
                              col(ROW) == col(_number(place)), how="inner")  # fmt: skip
    told = (*(_name(i) for i in range(len(checked))), *map(_score_name, scored))
    return frame.select(col(ROW), *map(col, told))


def measure_frame(checked: Sequence[Checked], pairwise: Pairwise, side: Side) -> DataFrame | None:
    """Return ROW and `value`, what the first measurable condition measures on `side`.

    Args:
        pairwise: over the table of `side`, with ROW.
    """
    for one in checked:
        if one.condition.measurable:
            value = one.measures[side]
            paired = pairwise.values([value], one.requirement.plans)
            return paired.frame.select(paired.number.alias(ROW), value.alias("value"))
    return None


def score_frame(checked: Checked, pairwise: Pairwise) -> DataFrame:
    """Return ROW and `value`, the score of a condition that has one; one row per pair.

    Args:
        pairwise: over tables in which rows of a pair have the same ROW.
    """
    if checked.score is None:
        raise ValueError("the condition has no score")
    value = checked.score.value
    paired = pairwise.values([value], checked.requirement.plans)
    return paired.frame.select(paired.number.alias(ROW), value.alias("value"))


def _name(index: int) -> str:
    return f"c{index}"


def _score_name(index: int) -> str:
    return f"s{index}"


def _number(place: int) -> str:
    return f"__kalla_n{place}"


def _evaluated(
    checked: Sequence[Checked], indexes: Sequence[int], pairwise: Pairwise, scored: Collection[int]
) -> DataFrame:
    wanted = {_name(i): checked[i].requirement.expr for i in indexes}
    for i in indexes:
        score = checked[i].score
        if i in scored and score is not None:
            wanted[_score_name(i)] = score.value
    plans = checked[indexes[0]].requirement.plans
    paired = pairwise.values(list(wanted.values()), plans)
    results = (expr.alias(name) for name, expr in wanted.items())
    return paired.frame.select(paired.number.alias(_number(0)), *results)


def is_key(requirement: Requirement, keys: Sequence[KeyComponent]) -> bool:
    """Whether a requirement is the equality of one of `keys`."""
    equality = requirement.equality
    if equality is None:
        return False
    sides = {symbol for part in (equality.left, equality.right) for _, symbol in bases(part)}
    return any(sides == {key.left.symbol, key.right.symbol} for key in keys)


def _checked(requirement: Requirement, pairwise: Pairwise, written: Written) -> Checked | None:
    try:
        paired = pairwise.values([requirement.expr], requirement.plans)
    except (NoRoute, OpaqueExpression):
        return None
    measures = _measures(requirement, pairwise)
    read = [paired.read.get(side, ()) for side in Side]
    measurable = len(measures) == len(Side)
    of_columns = measurable and all(is_name(worded(value, written)) for value in measures.values())
    score = None if of_columns else _score(requirement, pairwise)
    condition = Condition(
        text=worded(requirement.expr, written),
        left_columns=read[0],
        right_columns=read[1],
        measurable=measurable,
        of_columns=of_columns,
        nearest_holds_first=measurable and _bounds_distance(requirement.expr),
        asks=None if score is None else _asks(requirement.expr, written),
    )
    return Checked(condition, requirement, measures, score)


_WORDS = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _limited(expr: Expr) -> tuple[Expr, str, Expr] | None:
    """Return what a condition limits, how, and the constant by which it does so."""
    if expr.variant_name() != "BinaryExpr" or expr.rex_call_operator() not in _WORDS:
        return None
    (one, other), sign = operands(expr), expr.rex_call_operator()
    if not columns(other):
        return one, sign, other
    return None if columns(one) else (other, _TURNED[sign], one)


def _score(requirement: Requirement, pairwise: Pairwise) -> Score | None:
    limited = _limited(requirement.expr)
    if limited is None:
        return None
    try:
        paired = pairwise.values([limited[0]], requirement.plans)
    except (NoRoute, OpaqueExpression):
        return None
    kind = paired.frame.select(limited[0].alias("value")).schema().field(0).type
    if len(paired.read) != len(Side) or not _is_number(kind):
        return None
    return Score(limited[0], rises=limited[1].startswith(">"))


def _asks(expr: Expr, written: Written) -> str | None:
    limited = _limited(expr)
    return None if limited is None else f"{_WORDS[limited[1]]} {worded(limited[2], written)}"


def _measures(requirement: Requirement, pairwise: Pairwise) -> Mapping[Side, Expr]:
    """Return the two values whose distance a condition limits, by side; none if it does not."""
    found: dict[Side, Expr] = {}
    for value in _compared(requirement.expr):
        try:
            paired = pairwise.values([value], requirement.plans)
        except (NoRoute, OpaqueExpression):
            return {}
        kind = paired.frame.select(value.alias("value")).schema().field(0).type
        if len(paired.read) != 1 or not _has_distance(kind):
            return {}
        found[next(iter(paired.read))] = value
    return found if len(found) == len(Side) else {}


def _bounds_distance(expr: Expr) -> bool:
    """Whether a condition is that two values differ by less than some constant."""
    kind = expr.variant_name()
    parts = operands(expr) if kind in ("ScalarFunction", "BinaryExpr") else ()
    if kind == "ScalarFunction":
        return _function(expr) == "tolerance_match" and not columns(parts[2])
    if kind == "BinaryExpr" and expr.rex_call_operator() in ("<", "<=", ">", ">="):
        less, more = parts if expr.rex_call_operator().startswith("<") else parts[::-1]
        return bool(_difference(less)) and not columns(more)
    return False


def _function(expr: Expr) -> str:
    """Return the name of the function; Kalla's own carry the number of their variant."""
    return expr.rex_call_operator().split("__")[0]


_DISTANCES = {"tolerance_match", "tolerance_pct", "date_within"}
_COMPARISONS = {"=", "<", "<=", ">", ">="}


def _compared(expr: Expr) -> tuple[Expr, ...]:
    """Return the two values that a condition compares by their distance, if it does so."""
    kind = expr.variant_name()
    parts = operands(expr) if kind in ("ScalarFunction", "BinaryExpr") else ()
    if kind == "ScalarFunction" and _function(expr) in _DISTANCES:
        return parts[:2]
    if kind == "BinaryExpr" and expr.rex_call_operator() in _COMPARISONS:
        for part in parts:
            difference = _difference(part)
            if difference:
                return difference
        return parts
    return ()


def _difference(expr: Expr) -> tuple[Expr, ...]:
    """Return a and b if `expr` is `abs(a - b)`."""
    expr = uncast(expr)
    if expr.variant_name() != "ScalarFunction" or expr.rex_call_operator() != "abs":
        return ()
    inner = uncast(operands(expr)[0])
    if inner.variant_name() != "BinaryExpr" or inner.rex_call_operator() != "-":
        return ()
    return operands(inner)


def _has_distance(kind: pa.DataType) -> bool:
    return _is_number(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(test(kind) for test in tests)
