"""Possible components of a key, from the equalities that joins ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import pyarrow as pa
from datafusion import Expr, LogicalPlan

from kalla_core.matching.keys.copartition import ANY_SCAN, at_scan, bases
from kalla_core.matching.keys.keys import KeyComponent, SideKey
from kalla_core.matching.plans.lineage import Reader, Symbol
from kalla_core.matching.plans.lossless import common_type
from kalla_core.matching.plans.routes import NoRoute, Route, Selected, routes_to, source
from kalla_core.matching.plans.totality import guarded, tolerant
from kalla_core.matching.plans.trace import Equality, Traced, Tracer
from kalla_core.matching.plans.wording import spoken, worded
from kalla_core.matching.sql.query import Side

_MOST_COMPONENTS = 6


@dataclass(frozen=True, slots=True)
class KeyCandidates:
    """What may be a key.

    Attributes:
        components: each of them an equality of the two sides.
        refusals: why other equalities are none, as sentences.
    """

    components: tuple[KeyComponent, ...]
    refusals: tuple[str, ...]


def candidates(traced: Traced, reader: Reader, sides: Mapping[str, Side]) -> KeyCandidates:
    """Return the possible components of a key.

    Args:
        traced: the optimised plan, with symbols.
        reader: over a session that has both sides' tables.
        sides: table name to side.
    """
    lowering = _Lowering(reader, sides)
    found: dict[tuple[Symbol, Symbol], KeyComponent] = {}
    for group in _equal_groups(traced):
        for component in lowering.components(group):
            symbols = (component.left.symbol, component.right.symbol)
            known = found.setdefault(symbols, component)
            null_safe = known.null_safe or component.null_safe
            found[symbols] = replace(known, null_safe=null_safe)
    components = tuple(found.values())[:_MOST_COMPONENTS]
    return KeyCandidates(components, tuple(dict.fromkeys(lowering.refusals)))


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

    found = list(_equalities(traced))
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


@dataclass(slots=True)
class _Lowering:
    """Finds, for symbols, expressions over the sources; remembers why it does not."""

    reader: Reader
    sides: Mapping[str, Side]
    refusals: list[str] = field(default_factory=list)

    def components(self, group: _Group) -> Iterator[KeyComponent]:
        """Yield every pairing of a left with a right expression of a group."""
        agreed = common_type(frozenset(group.types))
        if agreed is None or pa.types.is_nested(agreed) or pa.types.is_null(agreed):
            kinds = ", ".join(sorted(map(str, group.types)))
            self.refusals.append(f"An equality of {kinds} cannot be a key.")
            return
        left, right = (self._keys(group, side, agreed) for side in Side)
        if not left or not right:
            for plan, expr in (end for equality in group.equalities for end in equality.ends):
                self._routes(plan, expr)  # for the reasons why not
        for one, other in product(left, right):
            yield KeyComponent(one, other, agreed, group.null_safe)

    def _keys(self, group: _Group, side: Side, agreed: pa.DataType) -> list[SideKey]:
        of_side = (s for member in group.members for table, s in bases(member) if table == side)
        wanted = dict.fromkeys(of_side)
        keys = (self._lowered(side, symbol, group.equalities, agreed) for symbol in wanted)
        return [key for key in keys if key is not None]

    def _lowered(
        self, side: Side, symbol: Symbol, equalities: Sequence[Equality], agreed: pa.DataType
    ) -> SideKey | None:
        """Return `symbol` as an expression over the source, from a join that asks for it."""
        for equality in equalities:
            for plan, expr in equality.ends:
                for route in self._routes(plan, expr):
                    if route.side is side:
                        key = self._checked(symbol, route, expr, agreed)
                        if key is not None:
                            return key
        return None

    def _routes(self, plan: LogicalPlan, expr: Expr) -> tuple[Route, ...]:
        try:
            return routes_to(plan, [expr], self.sides)
        except NoRoute as obstacle:
            self.refusals.append(f"{worded(expr, self.reader.written)} is no key: {obstacle}")
            return ()

    def _checked(
        self, symbol: Symbol, route: Route, expr: Expr, agreed: pa.DataType
    ) -> SideKey | None:
        """Return the key if `expr` at the end of `route` is `symbol` and raises no new errors."""
        if route.shielded:
            route = self._forgiving(route)
        end = route.follow(source(self.reader.session, route.side)).logical_plan()
        if not self._is(symbol, end, expr, route.side):
            return None
        value = expr
        if route.shielded:
            value = tolerant(expr, end, self.reader)
            safe_route, safe_value = self._guarded(route), guarded(value, end, self.reader)
            if safe_route is not None and safe_value is not None:
                route, value = safe_route, safe_value
        if self.reader.type_of(value, end) != agreed:
            value = value.try_cast(agreed)
        return SideKey(symbol, route, value, spoken(symbol, self.reader.written), route.shielded)

    def _is(self, symbol: Symbol, end: LogicalPlan, expr: Expr, side: Side) -> bool:
        """Whether `expr` over the route's end `end` is `symbol`."""
        traced = Tracer(self.reader, {side.value: side}).trace(end)
        found = self.reader.symbol(expr, end, traced.symbols)
        return at_scan(found, ANY_SCAN) == symbol

    def _forgiving(self, route: Route) -> Route:
        """Return `route` with casts in its steps that give null where they would fail."""
        for index, step in enumerate(route.steps):
            if isinstance(step, Selected):
                below = self._below(route, index)
                exprs = (_named_alike(tolerant(e, below, self.reader), e) for e in step.exprs)
                steps = (*route.steps[:index], Selected(tuple(exprs)), *route.steps[index + 1 :])
                route = replace(route, steps=steps)
        return route

    def _guarded(self, route: Route) -> Route | None:
        """Return `route` with steps that give null where they would fail, if that can be had."""
        for index, step in enumerate(route.steps):
            if isinstance(step, Selected):
                below = self._below(route, index)
                exprs = [guarded(expr, below, self.reader) for expr in step.exprs]
                named = tuple(
                    _named_alike(expr, original)
                    for expr, original in zip(exprs, step.exprs, strict=True)
                    if expr is not None
                )
                if len(named) < len(exprs):
                    return None
                steps = (*route.steps[:index], Selected(named), *route.steps[index + 1 :])
                route = replace(route, steps=steps)
        return route

    def _below(self, route: Route, index: int) -> LogicalPlan:
        frame = source(self.reader.session, route.side)
        return replace(route, steps=route.steps[:index]).follow(frame).logical_plan()


def _named_alike(expr: Expr, original: Expr) -> Expr:
    """Return `expr` under the name by which what follows knows `original`."""
    return original if original.variant_name() == "Column" else expr.alias(original.schema_name())
