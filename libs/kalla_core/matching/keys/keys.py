"""Keys per side: what the rows are cut by and what tells whether a partner exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, Expr, SessionContext, col

from kalla_core.matching.plans.expressions import quoted
from kalla_core.matching.plans.lineage import Column, Symbol
from kalla_core.matching.plans.routes import Renamed, Route, source
from kalla_core.matching.row_ids.origins import HIDDEN
from kalla_core.matching.sql.query import ROW, Side


@dataclass(frozen=True, slots=True)
class SideKey:
    """One component of a key on one side: an expression at the end of a route.

    Attributes:
        symbol: what it is, over any scan of the source.
        expr: of the component's type; null where the match SQL's own would fail to cast.
        text: readable, over the columns of the source.
        forgiving: rows may be left out before the match SQL asks for `expr`; where it fails for a
            row, the key is null.
    """

    symbol: Symbol
    route: Route
    expr: Expr
    text: str
    forgiving: bool = False

    @property
    def column(self) -> str | None:
        """The column of the source that this is; None if anything is done to it."""
        if not isinstance(self.symbol, Column) or self.expr.variant_name() != "Column":
            return None
        moved = not all(isinstance(step, Renamed) for step in self.route.steps)
        name = self.symbol.name
        return None if moved or self.expr.to_variant().name() != name else name


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

    @property
    def asked(self) -> tuple[object, ...]:
        """What must be equal to what; two components that ask the same have the same."""
        return self.left.symbol, self.right.symbol, self.type, self.null_safe

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


def key_frame(
    session: SessionContext, components: Sequence[KeyComponent], side: Side, *, row: bool
) -> DataFrame:
    """Return the keys of each row of a side's table, in its order, as `__k0`, `__k1`, ...

    Args:
        session: has the table, under the side's name.
        row: the table has ROW, which is returned as the last column.
    """
    keys = [component.side(side) for component in components]
    layers: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        layers.setdefault(key.route.signature, []).append(index)
    frame, done = source(session, side), [ROW] if row else []
    pending = list(layers.values())
    while pending:
        indexes = pending.pop(0)
        later = {column for i in chain(*pending) for column in keys[i].route.columns}
        frame = _with_keys(frame, {i: keys[i] for i in indexes}, done, sorted(later))
        done += [key_name(i) for i in indexes]
    return frame.select(*(col(key_name(i)) for i in range(len(keys))), *_row(row))


def key_name(index: int) -> str:
    """Return the name of a key's column in a key frame."""
    return f"__k{index}"


def key_words(components: Sequence[KeyComponent], shown: Sequence[pa.Array]) -> pa.Array:
    """Return keys in words, `k = 'A1', day = 2026-03-01`, one for each row.

    Args:
        shown: the values of each component as a sentence shows them, text without null.
    """
    parts = [
        pc.binary_join_element_wise(_named(component), values, " = ")
        for component, values in zip(components, shown, strict=True)
    ]
    return pc.binary_join_element_wise(*parts, ", ")


def _named(component: KeyComponent) -> str:
    return " = ".join(dict.fromkeys(component.text(side) for side in Side))


def _with_keys(
    frame: DataFrame, keys: dict[int, SideKey], done: Sequence[str], later: Sequence[str]
) -> DataFrame:
    """Return keys that share a route, beside what is done and the columns needed later."""
    route = next(iter(keys.values())).route
    hidden = {f"{HIDDEN}p{i}": name for i, name in enumerate(later)}
    if hidden:
        needed = sorted({name for key in keys.values() for name in key.route.columns})
        own = [_column(route.side, name) for name in needed]
        kept = [_column(route.side, name).alias(alias) for alias, name in hidden.items()]
        frame = frame.select(*own, *kept, *(col(name) for name in done))
    named = [key.expr.alias(key_name(i)) for i, key in keys.items()]
    restored = [col(alias).alias(name) for alias, name in hidden.items()]
    end = route.follow(frame, [*done, *hidden])
    result = end.select(*named, *(col(name) for name in done), *restored)
    return result.alias(route.side.value) if hidden else result


def _column(side: Side, name: str) -> Expr:
    return col(f"{side.value}.{quoted(name)}")


def _row(row: bool) -> list[Expr]:
    return [col(ROW)] if row else []
