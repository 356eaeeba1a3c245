"""Keys per side: what the rows are cut by and what tells whether a partner exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product

import pyarrow as pa
from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col

from kalla_core.matching.copartition import ANY_SCAN, Check, NotExact, at_scan, bases
from kalla_core.matching.expressions import quoted, uncast
from kalla_core.matching.lineage import Reader, Symbol
from kalla_core.matching.lossless import common_type
from kalla_core.matching.origins import HIDDEN
from kalla_core.matching.query import ROW, Side
from kalla_core.matching.routes import NoRoute, Route, Selected, routes_to, source
from kalla_core.matching.totality import never_fails, tolerant
from kalla_core.matching.trace import Equality, Traced, Tracer
from kalla_core.matching.wording import readable

_MOST_COMPONENTS = 6


@dataclass(frozen=True, slots=True)
class SideKey:
    """One component of a key on one side: an expression at the end of a route.

    Attributes:
        symbol: what it is, over any scan of the source.
        expr: gives null where the expression of the match SQL would fail to cast.
        text: readable, over the columns of the source.
    """

    symbol: Symbol
    route: Route
    expr: Expr
    text: str


@dataclass(frozen=True, slots=True)
class KeyComponent:
    """One equality of a key.

    Attributes:
        type: what both sides are cast to, so that equal values are equal byte for byte.
        null_safe: null equals null in it.
    """

    left: SideKey
    right: SideKey
    type: pa.DataType
    null_safe: bool = False

    def side(self, side: Side) -> SideKey:
        """Return the component on one side."""
        return self.left if side is Side.LEFT else self.right

    def text(self, side: Side) -> str:
        """Return the component on one side, readable."""
        return self.side(side).text


@dataclass(frozen=True, slots=True)
class Copartition:
    """A key by which both sides may be cut into buckets.

    Attributes:
        keys: its components, at least one.
        nulls_together: all rows with a null in the key belong into one bucket; otherwise they may
            lie anywhere.
    """

    keys: tuple[KeyComponent, ...]
    nulls_together: bool


def candidates(traced: Traced, reader: Reader, sides: Mapping[str, Side]) -> list[KeyComponent]:
    """Return the possible components of a key, from the equalities that joins ask for."""
    found: list[KeyComponent] = []
    for group in _equal_groups(traced):
        per_side = {side: _bases_of(group.members, side) for side in Side}
        agreed = common_type(frozenset(group.types))
        if agreed is None or pa.types.is_nested(agreed) or pa.types.is_null(agreed):
            continue
        for left, right in product(per_side[Side.LEFT], per_side[Side.RIGHT]):
            keys = [
                _lowered(side, symbol, group.equalities, reader, sides)
                for side, symbol in ((Side.LEFT, left), (Side.RIGHT, right))
            ]
            if keys[0] is not None and keys[1] is not None:
                found.append(KeyComponent(keys[0], keys[1], agreed, group.null_safe))
    distinct = {(key.left.symbol, key.right.symbol): key for key in reversed(found)}
    return list(reversed(distinct.values()))[:_MOST_COMPONENTS]


def find_copartition(
    traced: Traced, found: Sequence[KeyComponent], sides: Mapping[str, Side]
) -> tuple[Copartition | None, tuple[str, ...]]:
    """Return the key with most components that is exact, else None and the reasons.

    Args:
        traced: the optimised plan, with symbols.
        found: the components to choose from.
    """
    reasons: list[str] = [] if found else ["No equality compares the two sides."]
    for size in range(len(found), 0, -1):
        for chosen in combinations(found, size):
            keys = {side: tuple(c.side(side).symbol for c in chosen) for side in Side}
            check = Check(keys, frozenset(Side), sides)
            try:
                check.run(traced)
            except NotExact as error:
                reasons.append(str(error))
                continue
            return Copartition(chosen, check.nulls_together), ()
    return None, tuple(dict.fromkeys(reasons))


@dataclass(slots=True)
class _Group:
    """Symbols that joins set equal, directly or through others."""

    members: list[Symbol]
    equalities: list[Equality]
    types: set[pa.DataType]
    null_safe: bool = False


def _equal_groups(traced: Traced) -> list[_Group]:
    parents: dict[Symbol, Symbol] = {}

    def root(symbol: Symbol) -> Symbol:
        parents.setdefault(symbol, symbol)
        while parents[symbol] != symbol:
            symbol = parents[symbol]
        return symbol

    found = [(equality, nulls_equal) for equality, nulls_equal in _equalities(traced)]
    for equality, _ in found:
        parents[root(equality.left)] = root(equality.right)
    groups: dict[Symbol, _Group] = {}
    for symbol in list(parents):
        groups.setdefault(root(symbol), _Group([], [], set())).members.append(symbol)
    for equality, nulls_equal in found:
        group = groups[root(equality.left)]
        group.equalities.append(equality)
        group.types.add(equality.type)
        group.null_safe |= nulls_equal
    return list(groups.values())


def _equalities(traced: Traced) -> Iterator[tuple[Equality, bool]]:
    for node in traced.walk():
        nulls_equal = bool(getattr(node.node, "nulls_equal", False))
        for equality in node.on:
            yield equality, nulls_equal


def _bases_of(members: Sequence[Symbol], side: Side) -> list[Symbol]:
    found = (base for m in members for table, base in bases(m) if table == side.value)
    return list(dict.fromkeys(found))


def _lowered(
    side: Side,
    symbol: Symbol,
    equalities: Sequence[Equality],
    reader: Reader,
    sides: Mapping[str, Side],
) -> SideKey | None:
    """Return `symbol` as an expression over the source, from a join that asks for it."""
    for equality in equalities:
        for plan, expr in (
            (equality.left_plan, equality.left_expr),
            (equality.right_plan, equality.right_expr),
        ):
            key = _found(side, symbol, plan, expr, reader, sides)
            if key is not None:
                return key
    return None


def _found(
    side: Side,
    symbol: Symbol,
    plan: LogicalPlan,
    expr: Expr,
    reader: Reader,
    sides: Mapping[str, Side],
) -> SideKey | None:
    try:
        possible = routes_to(plan, [expr], sides)
    except NoRoute:
        return None
    for route in possible:
        if route.side is not side:
            continue
        route = forgiving(route, reader) if route.shielded else route
        end = route.follow(source(reader.session, side)).logical_plan()
        if not _is(symbol, end, expr, side, reader) or not _safe(route, end, expr, reader):
            continue
        return SideKey(symbol, route, tolerant(expr, end, reader), readable(expr, route))
    return None


def forgiving(route: Route, reader: Reader) -> Route:
    """Return `route` with casts in its steps that give null where they would fail."""
    frame, steps = source(reader.session, route.side), route.steps
    for index, step in enumerate(steps):
        if isinstance(step, Selected):
            below = replace(route, steps=steps[:index]).follow(frame).logical_plan()
            exprs = tuple(_named_alike(tolerant(e, below, reader), e) for e in step.exprs)
            steps = (*steps[:index], Selected(exprs), *steps[index + 1 :])
    return replace(route, steps=steps)


def _named_alike(expr: Expr, original: Expr) -> Expr:
    """Return `expr` under the name by which what follows knows `original`."""
    return original if original.variant_name() == "Column" else expr.alias(original.schema_name())


def _is(symbol: Symbol, end: LogicalPlan, expr: Expr, side: Side, reader: Reader) -> bool:
    """Whether `expr` over the route's end `end` is `symbol`."""
    traced = Tracer(reader, {side.value: side}).trace(end)
    found = reader.symbol(expr, end, traced.symbols)
    return at_scan(found, ANY_SCAN) == symbol


def _safe(route: Route, end: LogicalPlan, expr: Expr, reader: Reader) -> bool:
    """Whether the key cannot fail for a row for which the match SQL would not have failed."""
    if not route.shielded:
        return True
    if not never_fails(uncast(expr), end, reader):
        return False
    frame = source(reader.session, route.side)
    for index, step in enumerate(route.steps):
        if isinstance(step, Selected):
            below = replace(route, steps=route.steps[:index]).follow(frame).logical_plan()
            if not all(never_fails(e, below, reader) for e in step.exprs):
                return False
    return True


def key_frame(
    session: SessionContext, components: Sequence[KeyComponent], side: Side, *, row: bool
) -> DataFrame:
    """Return the keys of each row of a side's table, in its order, as `__k0`, `__k1`, ...

    Args:
        session: has the table, under the side's name.
        row: the table has ROW, which is returned as the last column.
    """
    layers: dict[str, list[int]] = {}
    for index, component in enumerate(components):
        layers.setdefault(component.side(side).route.signature, []).append(index)
    frame, done = source(session, side), [ROW] if row else []
    pending = list(layers.values())
    while pending:
        indexes = pending.pop(0)
        later = {c for i in chain(*pending) for c in components[i].side(side).route.columns}
        frame = _with_keys(frame, [(i, components[i]) for i in indexes], side, done, sorted(later))
        done += [key_name(i) for i in indexes]
    return frame.select(*(col(key_name(i)) for i in range(len(components))), *_row(row))


def _with_keys(
    frame: DataFrame,
    components: Sequence[tuple[int, KeyComponent]],
    side: Side,
    done: Sequence[str],
    later: Sequence[str],
) -> DataFrame:
    """Return keys that share a route, beside what is done and the columns needed later."""
    hidden = {f"{HIDDEN}p{i}": name for i, name in enumerate(later)}
    passing = [*done, *hidden]
    route = components[0][1].side(side).route
    if hidden:
        own = [_column(side, name) for name in route.columns]
        kept = [_column(side, name).alias(alias) for alias, name in hidden.items()]
        frame = frame.select(*own, *kept, *(col(name) for name in done))
    named = [
        component.side(side).expr.try_cast(component.type).alias(key_name(i))
        for i, component in components
    ]
    restored = [col(alias).alias(name) for alias, name in hidden.items()]
    result = route.follow(frame, passing).select(*named, *(col(n) for n in done), *restored)
    return result.alias(side.value) if hidden else result


def key_name(index: int) -> str:
    """Return the name of a key's column in a key frame."""
    return f"__k{index}"


def _column(side: Side, name: str) -> Expr:
    return col(f"{side.value}.{quoted(name)}")


def _row(row: bool) -> list[Expr]:
    return [col(ROW)] if row else []
