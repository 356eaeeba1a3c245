"""The recipe's filters as SQL, from the same typed predicates that other connectors apply.

That they mean the same is so by construction where the value is concerned (it is brought to the
column's type in `typed`), and by `COLLATE "C"`, the order of code points, where text is compared.
Nulls pass no predicate, and Postgres' NaN equals itself and is the largest, as ours is.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from kalla_core.sources.filters import RowFilter
from kalla_core.sources.postgres.quoting import identifier, literal
from kalla_core.sources.predicates import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    Everything,
    Like,
    Not,
    NotANumber,
    Nothing,
    Order,
    Predicate,
)

_SIGNS = {Order.EQ: "=", Order.GT: ">", Order.GTE: ">=", Order.LT: "<", Order.LTE: "<="}
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6}


def where(row_filter: RowFilter, schema: pa.Schema, *, utf8: bool) -> str:
    """Return the condition that rows have to meet; empty if there are no filters.

    Args:
        utf8: whether the database keeps text in UTF-8, whose bytes sort as code points do.
    """
    pieces = []
    for column, predicate in row_filter.tests:
        subject = _Subject(identifier(column), schema.field(column).type, utf8)
        pieces.append(f"({subject.sql(predicate)})")
    return " AND ".join(pieces)


@dataclass(frozen=True, slots=True)
class _Subject:
    """The column that a predicate is about."""

    name: str
    type: pa.DataType
    utf8: bool

    def sql(self, predicate: Predicate) -> str:
        match predicate:
            case Everything():
                return f"{self.name} IS NOT NULL"
            case Nothing():
                return "false"
            case Compare(order, bound):
                return self._text(order, bound) if self._is_text else self._other(order, bound)
            case Among(options):
                return self._among(options)
            case NotANumber():
                return f"{self.name} = 'NaN'"
            case Like(_, pattern):
                return self._like(pattern)
            case Not(inner):
                return f"{self.name} IS NOT NULL AND NOT ({self.sql(inner)})"
            case AllOf(inner):
                return " AND ".join(f"({self.sql(each)})" for each in inner)
            case AnyOf(inner):
                return " OR ".join(f"({self.sql(each)})" for each in inner)
        raise TypeError(f"{type(predicate).__name__} has no SQL")

    @property
    def _is_text(self) -> bool:
        return bool(pa.types.is_string(self.type))

    @property
    def _exact(self) -> str:
        return f'{self.name}::text COLLATE "C"'

    @property
    def _plain(self) -> str:
        """The column in a type that compares with numbers, as money and oid do not."""
        if pa.types.is_decimal(self.type):
            return f"{self.name}::numeric"
        return f"{self.name}::int8" if pa.types.is_integer(self.type) else self.name

    def _text(self, order: Order, bound: pa.Scalar) -> str:
        text = bound.as_py()
        if "\0" in text:  # which no text of Postgres has, so it only says where to cut
            return self._cut_off(order, text.partition("\0")[0])
        if order is Order.EQ or self.utf8:
            return f"{self._exact} {_SIGNS[order]} {literal(text)}"
        return (
            f"convert_to({self.name}::text, 'UTF8') {_SIGNS[order]}"
            f" convert_to({literal(text)}, 'UTF8')"
        )

    def _cut_off(self, order: Order, text: str) -> str:
        match order:
            case Order.EQ:
                return "false"
            case Order.GT | Order.GTE:
                return self._text(Order.GT, pa.scalar(text))
            case Order.LT | Order.LTE:
                return self._text(Order.LTE, pa.scalar(text))

    def _other(self, order: Order, bound: pa.Scalar) -> str:
        return f"{self._plain} {_SIGNS[order]} {self._bound(bound)}"

    def _among(self, options: pa.Array) -> str:
        if not self._is_text:
            return f"{self._plain} IN ({', '.join(self._bound(option) for option in options)})"
        texts = [literal(text) for text in options.to_pylist() if "\0" not in text]
        return f"{self._exact} IN ({', '.join(texts)})" if texts else "false"

    def _like(self, pattern: str) -> str:
        return "false" if "\0" in pattern else f"{self._exact} LIKE {literal(pattern)}"

    def _bound(self, bound: pa.Scalar) -> str:
        """Return a value of the column's type; never one that SQL would round."""
        types = pa.types
        if types.is_boolean(bound.type):
            return "true" if bound.as_py() else "false"
        if types.is_date(bound.type):
            return f"(date '1970-01-01' + ({bound.cast(pa.int32()).as_py()}))"
        if types.is_timestamp(bound.type):
            return _moment(bound)
        if types.is_floating(bound.type):
            kind = "float4" if bound.type.bit_width == 32 else "float8"
            return f"'{float(bound.as_py())!r}'::{kind}"
        if types.is_decimal(bound.type):
            return f"'{bound.as_py():f}'::numeric"
        return f"'{bound.as_py()}'::int8"


def _moment(bound: pa.Scalar) -> str:
    """Return a timestamp as whole days and microseconds; years have any number of digits."""
    ticks = bound.cast(pa.int64()).as_py() * (10**6 // _TICKS[bound.type.unit])
    days, rest = divmod(ticks, 86_400_000_000)
    moment = f"(date '1970-01-01' + ({days}) + interval '{rest} microseconds')"
    return moment if bound.type.tz is None else f"({moment} AT TIME ZONE 'UTC')"
