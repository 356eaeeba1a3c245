"""The match SQL as one join on its key, with all other conditions as a column.

    SELECT l.id, r.ref                          SELECT l.id, r.ref, l.row, r.row,
    FROM left_src l JOIN right_src r      ->           abs(l.amount - r.paid) <= 1 AND r.open
    ON l.id = r.ref                             FROM left_src l JOIN right_src r
    AND abs(l.amount - r.paid) <= 1             ON l.id = r.ref
    WHERE r.open

Where the column holds it is a match; where it does not, the two rows are candidates of each other,
if neither is in a match. So whoever asks why a row has no match need not look for its key again.

This is done of plain queries only: a SELECT over an inner join of both sides, whose equalities are
the key of its only rule. All that is then computed of pairs that do not match must have an answer
for whatever a row holds, since the match SQL would never have asked for it.

Where both inputs are the sides as they are stored, who finds the pairs in another way than by a
join asks `OfPairs` what the match SQL makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_

import pyarrow as pa
from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col, lit
from datafusion import functions as f
from datafusion.expr import Column

from kalla_core.matching.keys.conditions import is_key
from kalla_core.matching.keys.keys import KeyComponent
from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import (
    OpaqueExpression,
    columns,
    conjuncts,
    operands,
    position,
)
from kalla_core.matching.plans.lineage import Reader
from kalla_core.matching.plans.logical import JoinKind
from kalla_core.matching.plans.requirements import Requirement
from kalla_core.matching.plans.totality import never_fails
from kalla_core.matching.plans.trace import Traced, Tracer
from kalla_core.matching.row_ids.carried import CannotCarry, refusals_told
from kalla_core.matching.row_ids.origins import HIDDEN, RowId
from kalla_core.matching.row_ids.rebuild import Rebuilder
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.strategy.planned import Identification, Planned, sides_of, visible_columns

_HOLDS = f"{HIDDEN}holds"


@dataclass(frozen=True, slots=True)
class KeyJoin:
    """A match SQL as a join on its key, ready to run.

    Attributes:
        frame: the user's columns; then the row numbers of the left and of the right side, UInt64;
            then whether the pair is a match, a Boolean without nulls.
        columns: how many columns are the user's.
        of_pairs: what is made of pairs of rows that are given; None where that cannot be told.
    """

    frame: DataFrame
    columns: int
    of_pairs: OfPairs | None


@dataclass(frozen=True, slots=True)
class OfPairs:
    """What a plain match SQL makes of a left and a right row that have the same key.

    Attributes:
        keys: whose values are equal byte for byte where the rows have the same key.
        given: for each of the user's columns, the side that it is taken from as it is there, and
            its name there; None for one that is computed.
        read: the columns of each side that something is computed from.
    """

    keys: tuple[KeyComponent, ...]
    given: tuple[tuple[Side, str] | None, ...]
    read: Mapping[Side, frozenset[str]]
    _planned: Planned
    _written: _Written

    @property
    def computes(self) -> bool:
        """Whether anything is to be computed; if not, all pairs of one key are matches."""
        return None in self.given or bool(self._written.others)

    def frame(self, numbered: SessionContext) -> DataFrame:
        """Return ROW, the user's columns that are computed, and whether the pair is a match.

        Args:
            numbered: has both sides with ROW, the same for the rows of a pair.
        """
        planned = self._planned
        keys = {side: planned.query.side(side).primary_key for side in Side}
        rebuilder = Rebuilder(numbered, sides_of(planned.query), keys)
        left, right = (rebuilder.rebuild(plan) for plan in self._written.inputs)
        rows = [col(origin.column) for one in (left, right) for origin in one.origins]
        joined = left.frame.join_on(right.frame, rows[0] == rows[1], how="inner")
        computed = [
            expr.cast(planned.output.types[place]) if place in planned.views else expr
            for place, expr in enumerate(self._written.selected)
            if self.given[place] is None
        ]
        named = [expr.alias(f"{HIDDEN}{place}") for place, expr in enumerate(computed)]
        return joined.select(rows[0].alias(ROW), *named, self._written.holds)


def key_join(planned: Planned, plain: SessionContext, numbered: SessionContext) -> KeyJoin | None:
    """Return the match SQL over real tables as a join on its key; None where it is more than that.

    Args:
        plain: as `pair_frame` takes it.
        numbered: likewise.
    """
    if not _may_be_plain(planned):
        return None
    sides = sides_of(planned.query)
    written = _read(plain, planned.prepared.text)
    if written is None:
        return None
    keys = {side: planned.query.side(side).primary_key for side in Side}
    try:
        with refusals_told():
            frame = _built(written, Rebuilder(numbered, sides, keys), planned)
            if frame is None:
                return None
            plan = frame.optimized_logical_plan()
    except CannotCarry:
        return None
    reader = Reader(numbered)
    traced = Tracer(reader, sides).trace(plan)
    if not _is_plain(traced, reader, sides, planned.rules[0].keys):
        return None
    return KeyJoin(frame, len(planned.output), _of_pairs(written, planned, sides))


def _may_be_plain(planned: Planned) -> bool:
    if len(planned.rules) != 1 or planned.identification is not Identification.ROW_IDS:
        return False
    (rule,) = planned.rules
    suit = (not key.null_safe and not pa.types.is_floating(key.type) for key in rule.keys)
    return bool(rule.keys) and not rule.chooses and all(suit)


@dataclass(frozen=True, slots=True)
class _Written:
    """A plain query, as it is written.

    Attributes:
        equalities: of one value of either input.
        others: all other conditions.
    """

    selected: tuple[Expr, ...]
    join: lp.Joined
    equalities: tuple[Expr, ...]
    others: tuple[Expr, ...]

    @property
    def inputs(self) -> tuple[LogicalPlan, LogicalPlan]:
        """What is joined."""
        return self.join.left, self.join.right

    @property
    def holds(self) -> Expr:
        """Whether all other conditions hold; null is no."""
        return f.coalesce(reduce(and_, self.others, lit(True)), lit(False)).alias(_HOLDS)


def _read(plain: SessionContext, text: str) -> _Written | None:
    top = lp.read(plain.sql(text).logical_plan())
    if isinstance(top, lp.Sorted) and top.fetch is None:
        top = lp.read(top.input)
    if not isinstance(top, lp.Projected):
        return None
    below = lp.read(top.input)
    where: tuple[Expr, ...] = ()
    if isinstance(below, lp.Filtered):
        where = conjuncts(below.predicate)
        below = lp.read(below.input)
    if not isinstance(below, lp.Joined) or below.kind is not JoinKind.INNER or below.nulls_equal:
        return None
    conditions = [a == b for a, b in below.on]
    conditions += () if below.filter is None else conjuncts(below.filter)
    conditions += where
    try:
        equal = [_is_equality(condition, below) for condition in conditions]
    except OpaqueExpression:
        return None
    told = list(zip(conditions, equal, strict=True))
    return _Written(
        top.exprs,
        below,
        tuple(condition for condition, is_equal in told if is_equal),
        tuple(condition for condition, is_equal in told if not is_equal),
    )


def _is_equality(condition: Expr, join: lp.Joined) -> bool:
    """Whether a condition is that a value of one input equals one of the other.

    Raises:
        OpaqueExpression: it cannot be seen into.
    """
    if condition.variant_name() != "BinaryExpr" or condition.rex_call_operator() != "=":
        return False
    inputs = [lp.fields_of(join.left), lp.fields_of(join.right)]
    read = [
        {
            place
            for column in columns(part)
            for place, fields in enumerate(inputs)
            if position(column, fields) is not None
        }
        for part in operands(condition)
    ]
    return sorted(map(sorted, read)) == [[0], [1]]


def _built(written: _Written, rebuilder: Rebuilder, planned: Planned) -> DataFrame | None:
    inputs = [rebuilder.rebuild(plan) for plan in written.inputs]
    origins = [origin for carried in inputs for origin in carried.origins]
    rows = {origin.side: origin.column for origin in origins if isinstance(origin, RowId)}
    if len(origins) != len(Side) or len(rows) != len(Side) or not written.equalities:
        return None
    left, right = (carried.frame for carried in inputs)
    joined = left.join_on(right, *written.equalities, how="inner")
    frame = joined.select(*written.selected, *(col(rows[side]) for side in Side), written.holds)
    hidden = [col(rows[side]) for side in Side]
    return frame.select(*visible_columns(planned, frame), *hidden, col(_HOLDS))


def _of_pairs(written: _Written, planned: Planned, sides: Mapping[str, Side]) -> OfPairs | None:
    """Return what is made of pairs; None unless both inputs are sides as they are stored."""
    keys = planned.rules[0].keys
    inputs = tuple(_stored(plan, sides) for plan in written.inputs)
    if None in inputs or not all(_is_told_by_bytes(key.type) for key in keys):
        return None
    stored = tuple(one for one in inputs if one is not None)
    try:
        given = tuple(
            _as_stored(expr, stored, planned, kind)
            for expr, kind in zip(written.selected, planned.output.types, strict=True)
        )
        computed = [e for e, one in zip(written.selected, given, strict=True) if one is None]
        read = [
            _place(column, stored)
            for expr in (*computed, *written.others)
            for column in columns(expr)
        ]
    except OpaqueExpression:
        return None
    if None in read:
        return None
    named = {side: frozenset(one[1] for one in read if one and one[0] is side) for side in Side}
    return OfPairs(tuple(keys), given, named, planned, written)


def _is_told_by_bytes(kind: pa.DataType) -> bool:
    """Whether Arrow tells equal values of a type as DataFusion does."""
    kinds = (pa.types.is_string, pa.types.is_integer, pa.types.is_decimal128, pa.types.is_date)
    return any(is_kind(kind) for is_kind in kinds)


_Stored = tuple[Side, tuple[str, ...], tuple[str, ...]]
"""A side, its columns as a query names them, and as they are called there."""


def _stored(plan: LogicalPlan, sides: Mapping[str, Side]) -> _Stored | None:
    """Return what a plan is that gives a side as it is stored; None for any other."""
    node = lp.read(plan)
    scan = lp.read(node.input) if isinstance(node, lp.Aliased) else node
    if not isinstance(scan, lp.Scan) or scan.table not in sides or scan.filters:
        return None
    return sides[scan.table], node.fields, scan.columns


def _place(column: Column, inputs: Sequence[_Stored]) -> tuple[Side, str] | None:
    """Return of which side a column is, and its name there."""
    found = [(side, position(column, fields), names) for side, fields, names in inputs]
    known = [(side, names[place]) for side, place, names in found if place is not None]
    return known[0] if len(known) == 1 else None


def _as_stored(
    expr: Expr, inputs: Sequence[_Stored], planned: Planned, kind: pa.DataType
) -> tuple[Side, str] | None:
    """Return which column of a side is selected as it is there; None for what is computed."""
    bare = lp.unaliased(expr)
    if bare.variant_name() != "Column":
        return None
    place = _place(bare.to_variant(), inputs)
    if place is None:
        return None
    schema = planned.query.side(place[0]).schema
    kept = schema.names.count(place[1]) == 1 and schema.field(place[1]).type == kind
    return place if kept else None


def _is_plain(
    traced: Traced, reader: Reader, sides: Mapping[str, Side], keys: Sequence[KeyComponent]
) -> bool:
    """Whether a plan is a join of both sides on just these keys, and computes what cannot fail."""
    joins = [below for below in traced.walk() if isinstance(below.node, lp.Joined)]
    if len(joins) != 1 or not all(_suits(below.node, reader, sides) for below in traced.walk()):
        return False
    (join,) = joins
    required = [
        Requirement(one.left_expr == one.right_expr, join.node.inputs, one) for one in join.on
    ]
    total = all(never_fails(expr, plan, reader) for one in join.on for plan, expr in one.ends)
    return (
        total
        and len(required) == len(keys)
        and all(is_key(one, keys) for one in required)
        and all(any(is_key(one, [key]) for one in required) for key in keys)
    )


def _suits(node: lp.Operator, reader: Reader, sides: Mapping[str, Side]) -> bool:
    match node:
        case lp.Scan():
            return node.table in sides and not node.filters and node.fetch is None
        case lp.Aliased():
            return True
        case lp.Projected():
            return all(never_fails(expr, node.input, reader) for expr in node.exprs)
        case lp.Joined():
            return node.kind is JoinKind.INNER and node.filter is None and not node.nulls_equal
        case _:
            return False
