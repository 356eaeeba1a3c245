"""Row ids through a plan: the user's own plan, rebuilt so that hidden columns travel along.

The raw plan is planned over tables without row numbers (so that `*` and NATURAL mean what the
user meant), then rebuilt operator by operator through the DataFrame API over the same tables
*with* row numbers, reusing DataFusion's own expressions. Sub-queries inside expressions stay as
they are: they carry no ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col, lit
from datafusion import functions as f

from kalla_core.errors import EngineFailure
from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import column_refs, quoted
from kalla_core.matching.plans.logical import JoinKind
from kalla_core.matching.row_ids.alternatives import chosen_alternatives
from kalla_core.matching.row_ids.branches import Chooser
from kalla_core.matching.row_ids.carried import CannotCarry, Carried
from kalla_core.matching.row_ids.chance import Chance
from kalla_core.matching.row_ids.ordering import (
    Ties,
    broken_ties,
    chance_in_aggregates,
    chance_in_sub_queries,
    has_stable_order,
    restated,
)
from kalla_core.matching.row_ids.origins import (
    HIDDEN,
    Collected,
    Origin,
    RowId,
    member_field,
    shape,
)
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.sorted_joins import computed


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Rebuilds plans made in a session without row numbers over one with them.

    Attributes:
        numbered: session whose source tables have the column ROW.
        sides: table name to side; other tables are extras.
        keys: primary key per side, which decides between rows that an ORDER BY leaves equal.
        chooser: says of each UNION which branch is to give rows, and maybe which alternative of an
            OR is to hold; without one all may.
        computed_keys: joins that name the columns they equate compare what is computed of them.
        shared: tables of rows that were rebuilt before, and what their hidden columns are.
    """

    numbered: SessionContext
    sides: Mapping[str, Side]
    keys: Mapping[Side, tuple[str, ...]]
    chooser: Chooser | None = None
    computed_keys: bool = False
    shared: Mapping[str, Carried] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def rebuild(self, plan: LogicalPlan, *, cut: bool = False) -> Carried:
        """Return `plan` with the ids of its source rows.

        Args:
            plan: raw plan, from a session whose source tables have no row numbers.
            cut: a LIMIT stands above, so that the order of the rows matters.

        Raises:
            CannotCarry: an operator through which ids cannot travel.
        """
        if self._reads_sides(plan):
            return self._carried(plan, cut)
        return self._aside(plan, cut)

    def _aside(self, plan: LogicalPlan, cut: bool = False) -> Carried:
        """Return a plan whose rows need no ids, rebuilt only where it picks among equal rows."""
        if cut or _PICKS_ROWS.search(plan.display_indent()):
            try:
                whole = replace(self, chooser=None)._carried(plan, cut)
                return replace(whole, origins=(), single=frozenset(), meets=False)
            except CannotCarry as obstacle:
                if not cut and not self._chance.in_plan(plan):
                    return self._unchanged(plan)
                warning = f"Which of equal rows {obstacle} picks is left to chance."
                return replace(self._unchanged(plan), warnings=(warning,), chance=True)
        return self._unchanged(plan)

    def _unchanged(self, plan: LogicalPlan) -> Carried:
        frame = self.numbered.create_dataframe_from_logical_plan(plan)
        return Carried(frame, (), ties=Ties(all_columns=True))

    def _carried(self, plan: LogicalPlan, cut: bool) -> Carried:
        node = lp.read(plan)
        match node:
            case lp.Scan():
                if node.table in self.shared:
                    return self._shared(node)
                return self._scan(node) if node.table in self.sides else self._unchanged(plan)
            case lp.Constant():
                return self._unchanged(plan)
            case lp.Aliased():
                inner = self.rebuild(node.input, cut=cut)
                return replace(inner, frame=inner.frame.alias(quoted(node.alias)))
            case lp.Projected():
                return self._projected(node, cut)
            case lp.Filtered():
                inner = self.rebuild(node.input, cut=cut)
                frame = inner.frame.filter(self._chosen(node.predicate))
                return self._warned(node, replace(inner, frame=frame), node.predicate)
            case lp.Joined():
                return self._joined(node)
            case lp.Aggregated():
                ties_left = [a for a in node.aggregates if self._chance.in_aggregate(node, a)]
                folded = self._folded(node, node.groups, node.aggregates)
                warnings = folded.warnings + chance_in_aggregates(ties_left)
                return replace(folded, warnings=warnings)
            case lp.Deduplicated():
                return self._folded(node, None, ())
            case lp.Windowed():
                return self._windowed(node)
            case lp.Sorted():
                return self._sorted(node, cut)
            case lp.Limited():
                return self._limited(node)
            case lp.United():
                return self._united(node)
            case lp.Unknown() if self.chooser is not None and node.name == lp.DISTINCT_ON:
                # Whoever looks at one branch asks what a pair must fulfil, not which are kept.
                return self.rebuild(node.input)
            case lp.Unknown():
                raise CannotCarry(node.name)
            case _:
                raise CannotCarry(type(node).__name__)

    def _reads_sides(self, plan: LogicalPlan) -> bool:
        node = lp.read(plan)
        if isinstance(node, lp.Scan) and node.table in self.sides:
            return True
        if isinstance(node, lp.Scan) and node.table in self.shared:
            return bool(self.shared[node.table].origins)
        return any(self._reads_sides(source) for source in node.inputs)

    def _fresh(self, letter: str) -> str:
        return f"{HIDDEN}{letter}{next(self._numbers)}"

    def _scan(self, node: lp.Scan) -> Carried:
        side = self.sides[node.table]
        name = self._fresh(side.word[0])
        refs = column_refs(self.numbered.table(quoted(node.table)))
        visible = [ref for ref in refs if ref.to_variant().name() != ROW]
        row = next((ref for ref in refs if ref.to_variant().name() == ROW), None)
        if row is None:
            raise EngineFailure(f"The table {node.table} has no row numbers.")
        keys = {self._fresh("t"): ref for ref in visible if self._is_key(side, ref)}
        frame = self.numbered.table(quoted(node.table)).select(
            *visible, row.alias(name), *(ref.alias(copy) for copy, ref in keys.items())
        )
        ties = Ties(tuple(keys), (name,))
        return Carried(frame, (RowId(side, name),), frozenset((side,)), ties=ties)

    def _shared(self, node: lp.Scan) -> Carried:
        stored = self.shared[node.table]
        refs = column_refs(self.numbered.table(quoted(node.table)))
        hidden = {name: self._fresh("s") for name in stored.hidden}
        named = {str(ref.to_variant().name()): ref for ref in refs}
        frame = self.numbered.table(quoted(node.table)).select(
            *(ref for name, ref in named.items() if name not in hidden),
            *(named[name].alias(fresh) for name, fresh in hidden.items()),
        )
        return replace(stored, frame=frame).over(hidden)

    def _is_key(self, side: Side, ref: Expr) -> bool:
        return ref.to_variant().name() in self.keys[side]

    def _projected(self, node: lp.Projected, cut: bool) -> Carried:
        inner = self.rebuild(node.input, cut=cut)
        hidden = [col(name).alias(name) for name in inner.hidden]
        frame = inner.frame.select(*node.exprs, *hidden)
        return self._warned(node, replace(inner, frame=frame), *node.exprs)

    def _joined(self, node: lp.Joined) -> Carried:
        left, right = node.left, node.right
        if node.kind in (JoinKind.RIGHT_SEMI, JoinKind.RIGHT_ANTI):
            left, right = right, left
        how = _HOW.get(node.kind)
        if how is None:
            raise CannotCarry(f"{node.kind} join")
        kept = self.rebuild(left)
        other = self._aside(right) if node.kind.one_sided else self.rebuild(right)
        frame = kept.frame.join_on(other.frame, *self._conditions(node), how=how)
        joined = kept.beside(other, frame)
        return joined if node.filter is None else self._warned(node, joined, node.filter)

    def _conditions(self, node: lp.Joined) -> list[Expr]:
        of = computed if self.computed_keys else _itself
        pairs = [self._same(node, a, b) if node.nulls_equal else of(a) == of(b) for a, b in node.on]
        residual = [] if node.filter is None else [self._chosen(node.filter)]
        return pairs + residual or [lit(True)]

    def _same(self, node: lp.Joined, a: Expr, b: Expr) -> Expr:
        """Return `a IS NOT DISTINCT FROM b`, which the bindings can only parse, not build."""
        sides = [
            self.numbered.create_dataframe_from_logical_plan(plan).select(expr)
            for plan, expr in ((node.left, a), (node.right, b))
        ]
        both = sides[0].join_on(sides[1], lit(True), how="inner")
        return both.parse_sql_expr(f"{_reference(a)} IS NOT DISTINCT FROM {_reference(b)}")

    def _folded(
        self, node: lp.Operator, groups: tuple[Expr, ...] | None, aggregates: tuple[Expr, ...]
    ) -> Carried:
        inner = self.rebuild(node.input)
        by = list(_visible(inner.frame) if groups is None else groups)
        origins = (Collected(inner.origins, self._fresh("c")),) if inner.origins else ()
        grouped = inner.frame.aggregate(by, [*aggregates, *map(_collect, origins)])
        # Hidden lists from below depend on their own group and may come up as implicit groups.
        refs = _visible(grouped)
        ties = {self._fresh("t"): ref for ref in refs[: len(refs) - len(aggregates)]}
        frame = grouped.select(
            *refs,
            *(col(origin.column) for origin in origins),
            *(ref.alias(name) for name, ref in ties.items()),
        )
        return Carried(
            frame,
            origins,
            meets=inner.meets,
            ties=Ties(tuple(ties)),
            warnings=inner.warnings,
            chance=inner.chance,
        )

    def _windowed(self, node: lp.Windowed) -> Carried:
        inner = self.rebuild(node.input)
        keys = broken_ties(inner.frame, inner.ties)
        restatements = [restated(self.numbered, function, keys) for function in node.functions]
        names = inner.hidden
        frame = inner.frame.select(
            *_visible(inner.frame),
            *(new.expr for new in restatements),
            *(col(name) for name in names),
        )
        warnings = tuple(
            new.warning
            for new, function in zip(restatements, node.functions, strict=True)
            if new.warning and self._chance.in_window(node, function)
        )
        return replace(inner, frame=frame, warnings=inner.warnings + warnings)

    def _sorted(self, node: lp.Sorted, cut: bool) -> Carried:
        inner = self.rebuild(node.input)
        if not cut and node.fetch is None:
            return inner
        keys = broken_ties(inner.frame, inner.ties)
        frame = inner.frame.sort(*node.keys, *keys)
        if node.fetch is not None:
            frame = frame.limit(node.fetch)
        return replace(inner, frame=frame)

    def _limited(self, node: lp.Limited) -> Carried:
        if node.fetch is None and node.skip == 0:
            return self.rebuild(node.input)
        inner = self.rebuild(node.input, cut=True)
        frame, warnings = inner.frame, inner.warnings
        if node.fetch != 0 and not has_stable_order(node.input):
            keys = broken_ties(frame, inner.ties)
            frame = frame.sort(*keys) if keys else frame
            warnings += ("LIMIT without ORDER BY takes the first rows by key.",)
        fetch = _ALL_ROWS if node.fetch is None else node.fetch
        return replace(inner, frame=frame.limit(fetch, node.skip), warnings=warnings)

    def _united(self, node: lp.United) -> Carried:
        branches = self._branches(node)
        slots = self._slots(branches)
        number = self._fresh("t")
        names = self._names(node)
        padded = [_padded(branch, names, slots, number, i) for i, branch in enumerate(branches)]
        frame = padded[0]
        for branch in padded[1:]:
            frame = frame.union(branch)
        scalars = tuple(slot.column for slot in slots if isinstance(slot, RowId))
        warnings = tuple(line for branch in branches for line in branch.warnings)
        single = frozenset(Side).intersection(*(branch.single for branch in branches))
        meets = any(branch.meets for branch in branches)
        ties = Ties((), (number, *scalars), all_columns=True)
        chance = any(branch.chance for branch in branches)
        return Carried(frame, slots, single, meets, ties, warnings, chance)

    def _names(self, node: lp.United) -> list[str | None]:
        """Return the names of the columns, None for those that have a qualifier."""
        refs = column_refs(self.numbered.create_dataframe_from_logical_plan(node.plan))
        columns = [ref.to_variant() for ref in refs]
        return [column.name() if column.relation() is None else None for column in columns]

    def _chosen(self, predicate: Expr) -> Expr:
        if self.chooser is None or not self.chooser.alternatives:
            return predicate
        return chosen_alternatives(predicate, self.chooser.take_alternative)

    def _branches(self, node: lp.United) -> list[Carried]:
        if self.chooser is None:
            return [self.rebuild(plan) for plan in node.inputs]
        chosen = self.chooser.take(node.inputs)
        # Left away by the planner, which knows best what the columns of a UNION are called.
        return [
            self.rebuild(plan) if place == chosen else self._without_rows(plan)
            for place, plan in enumerate(node.inputs)
        ]

    def _without_rows(self, plan: LogicalPlan) -> Carried:
        frame = self.numbered.create_dataframe_from_logical_plan(plan)
        return Carried(frame.filter(lit(False)), ())

    def _warned(self, node: lp.Operator, carried: Carried, *exprs: Expr) -> Carried:
        warning = chance_in_sub_queries(exprs)
        if warning is None or not self._chance.in_sub_queries(node.plan, exprs):
            return carried
        return replace(carried, warnings=(*carried.warnings, warning), chance=True)

    @property
    def _chance(self) -> Chance:
        return Chance(self.numbered, {name: self.keys[side] for name, side in self.sides.items()})

    def _slots(self, branches: list[Carried]) -> tuple[Origin, ...]:
        """Return columns that hold the origins of any branch, each shape as often as needed."""
        slots: list[Origin] = []
        for branch in branches:
            free = [shape(slot) for slot in slots]
            for origin in branch.origins:
                if shape(origin) in free:
                    free.remove(shape(origin))
                else:
                    slots.append(origin.renamed(self._fresh("u")))
        return tuple(slots)


_How = Literal["inner", "left", "right", "full", "semi", "anti"]
_HOW: dict[JoinKind, _How] = {
    JoinKind.INNER: "inner",
    JoinKind.LEFT: "left",
    JoinKind.RIGHT: "right",
    JoinKind.FULL: "full",
    JoinKind.LEFT_SEMI: "semi",
    JoinKind.LEFT_ANTI: "anti",
    JoinKind.RIGHT_SEMI: "semi",
    JoinKind.RIGHT_ANTI: "anti",
}

_ALL_ROWS = 2**62
_PICKS_ROWS = re.compile(r"Limit:|WindowAggr:|DistinctOn:")


def _itself(key: Expr) -> Expr:
    return key


def _padded(
    branch: Carried,
    names: Sequence[str | None],
    slots: tuple[Origin, ...],
    number: str,
    index: int,
) -> DataFrame:
    rest = list(branch.origins)
    hidden = []
    for slot in slots:
        own = next((origin for origin in rest if shape(origin) == shape(slot)), None)
        if own is None:
            value = lit(None).cast(slot.arrow_type)
        else:
            rest.remove(own)
            value = col(own.column)
        hidden.append(value.alias(slot.column))
    # Where a branch alone has rows, DataFusion pushes filters into it by the names of the UNION,
    # and would find there, without a qualifier, whichever column of a join it meets first.
    visible = [
        ref if name is None else ref.alias(name)
        for ref, name in zip(_visible(branch.frame), names, strict=True)
    ]
    return branch.frame.select(*visible, *hidden, lit(index).alias(number))


def _collect(collected: Collected) -> Expr:
    members = [col(member.column) for member in collected.members]
    if len(members) == 1:
        return f.array_agg(members[0]).alias(collected.column)
    fields = [(member_field(i), member) for i, member in enumerate(members)]
    return f.array_agg(f.named_struct(fields)).alias(collected.column)


def _visible(frame: DataFrame) -> list[Expr]:
    return [ref for ref in column_refs(frame) if not _is_hidden(ref)]


def _is_hidden(ref: Expr) -> bool:
    return str(ref.to_variant().name()).startswith(HIDDEN)


def _reference(expr: Expr) -> str:
    column = expr.to_variant()
    relation = column.relation()
    name = quoted(column.name())
    return name if relation is None else f"{quoted(relation)}.{name}"
