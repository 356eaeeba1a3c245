"""The group of rows on which an expression over aggregates fails: the smallest, as they are named.

The part of the plan below the expression is run once more, and what it gives is looked through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col

from kalla_core.engine.failures import query_errors
from kalla_core.engine.rows import one_chunk
from kalla_core.engine.run.failing import by_columns, first_failing, reason_of
from kalla_core.matching.plans.expressions import column_refs, quoted
from kalla_core.matching.plans.fallible import OfGroup, operators
from kalla_core.matching.plans.logical import fields_of
from kalla_core.matching.plans.planning import analysed, planning_session
from kalla_core.matching.plans.prepare import register_calls
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_side, register_table, table_names
from kalla_core.matching.strategy.planned import Planned

_NUMBER = "__kalla_n"


@dataclass(frozen=True, slots=True)
class FailingGroup:
    """A group on which an expression fails.

    Attributes:
        key: what it was grouped by and the group's value of it.
        part: the innermost expression that fails.
    """

    key: Mapping[str, object]
    part: Expr
    reason: str


class FailingGroups:
    """Looks for groups of rows in memory.

    Args:
        planned: the match SQL.
        rows: all of both sides.
        extras: all of the extras, by alias.
    """

    def __init__(
        self, planned: Planned, rows: Mapping[Side, pa.Table], extras: Mapping[str, pa.Table]
    ) -> None:
        query = planned.query
        session = planning_session(query)
        places = table_names(query)
        for side, table in rows.items():
            register_side(session, query, side, table.to_batches())
        for name, place in places.items():
            if place >= len(Side):
                session.deregister_table(name)
                alias = query.extras[place - len(Side)].alias
                register_table(session, name, extras[alias])
        register_calls(session, planned.prepared)
        self._session = session

    def first(self, asked: Sequence[OfGroup]) -> FailingGroup | None:
        """Return the group to be named, of the first expression that fails on any."""
        return next((found for one in asked if (found := self._failing(one)) is not None), None)

    def _failing(self, one: OfGroup) -> FailingGroup | None:
        operator = list(operators(analysed(self._session, one.sql)))[one.place]
        rows = _Rows.of(operator.input, one.groups)
        found = first_failing(rows.count, lambda low, high: rows.slice(low, high).reason(one.expr))
        if found is None:
            return None
        row = rows.slice(found.place, found.place + 1)
        for part in one.parts:
            reason = row.reason(part)
            if reason is not None:
                return FailingGroup(row.values(one.groups), part, reason)
        return None


@dataclass(frozen=True)
class _Rows:
    """What a plan gives, with the names that expressions over it use.

    Attributes:
        names: of its columns, as (qualifier or none, name).
        table: its columns, by number.
    """

    names: tuple[tuple[str | None, str], ...]
    fields: tuple[str, ...]
    table: pa.Table

    @classmethod
    def of(cls, plan: LogicalPlan, groups: Sequence[str]) -> _Rows:
        """Run a plan; its rows come ordered by `groups`."""
        frame = new_session().create_dataframe_from_logical_plan(plan)
        variants = [ref.to_variant() for ref in column_refs(frame)]
        fields = fields_of(plan)
        with query_errors():
            table = frame.to_arrow_table()
        columns = [str(n) for n in range(len(fields))]
        keys = [columns[fields.index(name)] for name in groups]
        names = tuple((one.relation(), one.name()) for one in variants)
        numbered = table.rename_columns(columns)
        return cls(names, fields, by_columns(numbered, keys) if keys else numbered)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.table)

    def slice(self, low: int, high: int) -> _Rows:
        """Return some of the rows."""
        return _Rows(self.names, self.fields, self.table.slice(low, high - low))

    def reason(self, expr: Expr) -> str | None:
        """Return why an expression fails on some of the rows; None if it does not."""
        return reason_of(lambda: self._frame().select(expr.alias("value")))

    def values(self, groups: Sequence[str]) -> Mapping[str, object]:
        """Return the first row's values of some fields."""
        found = {}
        for name in groups:
            column = one_chunk(self.table.column(str(self.fields.index(name))))
            found[name] = column[0]
        return found

    def _frame(self) -> DataFrame:
        """Return the rows under their qualifiers: a table for each, put side by side."""
        session = new_session()
        qualifiers = dict.fromkeys(qualifier for qualifier, _ in self.names)
        frames = [self._under(session, n, one) for n, one in enumerate(qualifiers)]
        frame = frames[0]
        for n, other in enumerate(frames[1:], start=1):
            same = col(f"{_NUMBER}0") == col(f"{_NUMBER}{n}")
            frame = frame.join_on(other, same, how="inner")
        return frame

    def _under(self, session: SessionContext, place: int, qualifier: str | None) -> DataFrame:
        mine = [n for n, (one, _) in enumerate(self.names) if one == qualifier]
        table = self.table.select([str(n) for n in mine])
        table = table.rename_columns([self.names[n][1] for n in mine])
        numbers = pa.array(np.arange(len(table), dtype=np.int64))
        table = table.append_column(f"{_NUMBER}{place}", numbers)
        name = qualifier if qualifier is not None else f"__kalla_t{place}"
        register_table(session, name, table)
        return session.table(quoted(name))
