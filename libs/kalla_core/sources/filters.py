r"""The recipe's filters over Arrow batches.

Filters are AND-ed, typed by their column, and mean the same in every connector:

- null passes no filter, `neq` included;
- integers, decimals, dates and timestamps compare exactly, whatever the number's size;
- on floats NaN equals NaN and is larger than everything else;
- text compares by Unicode code point; `like` is SQL's, case-sensitive, with `\` as escape.

What a value may be is in `literals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import InvalidFilter, KallaError, UnknownColumn
from kalla_core.recipe.model import Filter, FilterOp, Scalar
from kalla_core.recipe.nearest import suggestion
from kalla_core.sources.predicates import AllOf, Predicate, one_of
from kalla_core.sources.typed import domain_of

Bounds = Mapping[str, tuple[pa.Scalar, pa.Scalar]]


@dataclass(frozen=True, slots=True)
class RowFilter:
    """All filters of a source, typed by its schema: each a column and what must hold of it."""

    tests: tuple[tuple[str, Predicate], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that filters are about."""
        return tuple(column for column, _ in self.tests)

    def keep(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that pass, in order; the batch itself if there are no filters."""
        if not self.tests or batch.num_rows == 0:
            return batch
        mask = None
        for column, predicate in self.tests:
            passes = predicate.mask(batch.column(column))
            mask = passes if mask is None else pc.and_kleene(mask, passes)
        return batch.filter(mask)

    def may_keep(self, bounds: Bounds) -> bool:
        """Return False only if no row can pass whose columns lie within `bounds`, both included.

        Columns without bounds may hold anything.
        """
        return all(
            predicate.may_hold(*bounds[column])
            for column, predicate in self.tests
            if column in bounds
        )


def compile_filters(filters: Sequence[Filter], schema: pa.Schema) -> RowFilter:
    """Type filters by the columns they are about.

    Raises:
        UnknownColumn: a column that is not there; the message names the nearest.
        InvalidFilter: an operator or a value that the column's type does not take.
    """
    return RowFilter(tuple((each.column, _predicate(each, schema)) for each in filters))


def filter_faults(
    filters: Sequence[Filter], schema: pa.Schema
) -> tuple[tuple[int, KallaError], ...]:
    """Return what `compile_filters` would raise for each filter alone, with its index."""
    faults: list[tuple[int, KallaError]] = []
    for index, each in enumerate(filters):
        try:
            _predicate(each, schema)
        except (UnknownColumn, InvalidFilter) as fault:
            faults.append((index, fault))
    return tuple(faults)


def _predicate(each: Filter, schema: pa.Schema) -> Predicate:
    if each.column not in schema.names:
        raise UnknownColumn(
            f"A filter is about the column `{each.column}`, which is not there."
            f" {suggestion(each.column, schema.names)}",
            column=each.column,
        )
    domain = domain_of(each.column, schema.field(each.column).type)
    match each.op:
        case FilterOp.BETWEEN:
            low, high = _values(each, exactly=2)
            return AllOf((domain.test(FilterOp.GTE, low), domain.test(FilterOp.LTE, high)))
        case FilterOp.IN:
            return one_of([domain.test(FilterOp.EQ, value) for value in _values(each)])
        case _:
            return domain.test(each.op, _value(each))


def _value(each: Filter) -> Scalar:
    if isinstance(each.value, tuple):
        raise InvalidFilter(
            f"The filter `{each.op.value}` on `{each.column}` takes one value, not a list.",
            column=each.column,
        )
    return each.value


def _values(each: Filter, exactly: int | None = None) -> tuple[Scalar, ...]:
    if not isinstance(each.value, tuple):
        raise InvalidFilter(
            f"The filter `{each.op.value}` on `{each.column}` takes a list of values.",
            column=each.column,
        )
    if exactly is not None and len(each.value) != exactly:
        raise InvalidFilter(
            f"The filter `{each.op.value}` on `{each.column}` takes {exactly} values, not"
            f" {len(each.value)}.",
            column=each.column,
        )
    if not each.value:
        raise InvalidFilter(
            f"The filter `{each.op.value}` on `{each.column}` needs at least one value.",
            column=each.column,
        )
    return each.value
