"""What a recipe demands of its sources once they are pinned, and its match SQL planned over them.

Whatever carries out a run asks this before it reads a row: the local engine, and the process that
holds a cluster run's sources. So a recipe means the same through every door, whether or not
somebody validated it before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from kalla_core.errors import (
    Fault,
    InvalidSql,
    KallaError,
    RecipeInvalid,
    TypesNotComparable,
    UnknownColumn,
)
from kalla_core.evidence.schema import matched_layout, unmatched_layout
from kalla_core.matching.row_ids.identity import unfit_key
from kalla_core.matching.sql.query import MatchQuery, TableShape
from kalla_core.matching.strategy.planned import Planned, plan_match
from kalla_core.recipe.model import Recipe, SourceSpec
from kalla_core.recipe.nearest import nearest, suggestion
from kalla_core.recipe.paths import Location, path_text
from kalla_core.sources.filters import filter_faults
from kalla_core.sources.protocol import PinnedSource

SQL: Location = ("match_sql",)
_SHOWN_REASONS = 3


def planned_over(recipe: Recipe, pinned: Sequence[PinnedSource], started_at: datetime) -> Planned:
    """Check a recipe against its sources and plan its match SQL.

    Args:
        pinned: the left source, the right one and the extras, with the specs of the recipe.
        started_at: what `now()` means in the match SQL, zoned.

    Raises:
        RecipeInvalid: with every fault of the sources, and that of the match SQL.
        KallaError: as `plan_over` does, where nothing but the match SQL is wrong.
    """
    places = [location for location, _ in located(recipe)]
    faults = [
        fault
        for location, source in zip(places, pinned, strict=True)
        for fault in source_faults(source, location)
    ]
    try:
        planned = plan_over(recipe.match_sql, pinned, started_at)
    except KallaError as error:
        if not faults:
            raise
        raise RecipeInvalid([*faults, fault_of(error, SQL)]) from error
    if faults:
        raise RecipeInvalid(faults)
    return planned


def located(recipe: Recipe) -> Iterator[tuple[Location, SourceSpec]]:
    """Yield all sources with their places in the document: left, right, extras."""
    yield ("sources", "left"), recipe.left
    yield ("sources", "right"), recipe.right
    for index, extra in enumerate(recipe.extras):
        yield ("extras", index), extra


def plan_over(sql: str, pinned: Sequence[PinnedSource], started_at: datetime) -> Planned:
    """Plan match SQL over pinned sources: left, right, extras; their notes are warnings as well.

    Raises:
        InvalidSql: a column of the result has a type that Parquet cannot hold.
        KallaError: as `plan_match` does. Where types do not go together, it says what made the
            columns text that the SQL names.
    """
    try:
        planned = plan_match(query_over(sql, pinned, started_at))
    except TypesNotComparable as error:
        reasons = [one for source in pinned for one in _text_reasons(sql, source)]
        if not reasons:
            raise
        message = " ".join([error.message, *reasons[:_SHOWN_REASONS]])
        raise TypesNotComparable(message, **error.details) from error
    matched_layout(planned.output, planned.output_sides)
    notes = tuple(note for source in pinned for note in source.notes)
    return replace(planned, warnings=(*notes, *planned.warnings)) if notes else planned


def without_unseen(
    sql: str, pinned: Sequence[PinnedSource], started_at: datetime
) -> list[PinnedSource]:
    """Return sources whose columns of no value in the sample have no type, where the SQL needs it.

    Text goes with all that may follow, so that is what they are otherwise. A column without a type
    is NULL in every row: reading the source raises at the first value.
    """
    unseen = [_named(sql, source.unseen) for source in pinned]
    if not any(unseen):
        return list(pinned)
    try:
        plan_match(query_over(sql, pinned, started_at))
        return list(pinned)
    except KallaError:
        loose = [_untyped(source, names) for source, names in zip(pinned, unseen, strict=True)]
    try:
        plan_match(query_over(sql, loose, started_at))
    except KallaError:
        return list(pinned)  # these columns are not what is wrong
    return loose


def _untyped(source: PinnedSource, columns: Collection[str]) -> PinnedSource:
    fields = [pa.field(f.name, pa.null()) if f.name in columns else f for f in source.schema]
    return replace(source, schema=pa.schema(fields))


def _named(sql: str, columns: Iterable[str]) -> list[str]:
    """Return the columns whose names stand in the SQL."""
    return [
        column
        for column in columns
        if re.search(rf"(?<!\w){re.escape(column)}(?!\w)", sql, re.IGNORECASE)
    ]


def query_over(sql: str, pinned: Sequence[PinnedSource], started_at: datetime) -> MatchQuery:
    """Return the match SQL over the shapes of its sources: left, right, extras."""
    left, right, *extras = map(_shape, pinned)
    return MatchQuery(sql, left, right, tuple(extras), started_at)


def source_faults(source: PinnedSource, location: Location) -> Iterator[Fault]:
    """Yield what a source has not, or has otherwise than the recipe says."""
    spec, schema = source.spec, source.schema
    yield from column_faults(spec, location, schema)
    for index, error in filter_faults(spec.filters, schema):
        about = "column" if isinstance(error, UnknownColumn) else "value"
        fault = fault_of(error, (*location, "filters", index, about))
        reason = source.texts.get(spec.filters[index].column)
        yield fault if reason is None else replace(fault, message=f"{fault.message} Now {reason}")


def column_faults(spec: SourceSpec, location: Location, schema: pa.Schema) -> Iterator[Fault]:
    """Yield the columns that the source has not, and those of types that will not do."""
    yield from _unknown_columns(spec.primary_key, (*location, "primary_key"), schema)
    yield from _unfit_keys(spec.primary_key, (*location, "primary_key"), schema)
    yield from _unknown_columns(spec.columns, (*location, "schema"), schema)
    if spec.primary_key:  # of an extra no row is written
        yield from _unstorable(location, schema)


def fault_of(error: KallaError, location: Location) -> Fault:
    """Return an error as what is wrong at a place of the document."""
    details = dict(error.details)
    if isinstance(error, InvalidSql) and error.line is not None:
        details |= {"line": error.line, "column": error.column}
    return Fault(error.code, path_text(location), error.message, details)


def _text_reasons(sql: str, source: PinnedSource) -> Iterator[str]:
    """Yield what made columns text that the SQL names and that look like something else."""
    for column in _named(sql, source.texts):
        yield f"In `{source.spec.alias}`, {source.texts[column]}"


def _shape(source: PinnedSource) -> TableShape:
    spec, schema = source.spec, source.schema
    # A key column that is not there, or can be none, is a fault already; planning goes on without.
    key = tuple(
        column
        for column in spec.primary_key
        if column in schema.names and unfit_key(column, schema.field(column).type) is None
    )
    return TableShape(spec.alias, schema, key, source.texts)


def _unknown_columns(
    columns: Sequence[str], location: Location, schema: pa.Schema
) -> Iterator[Fault]:
    for index, column in enumerate(columns):
        if column not in schema.names:
            from kalla_core.sources.csv.header import delimiter_remedy  # brings all that reads CSV

            close = nearest(column, schema.names)
            remedy = delimiter_remedy(schema.names)
            message = f"There is no column `{column}`. {suggestion(column, schema.names)}{remedy}"
            path = path_text((*location, index))
            yield Fault(UnknownColumn.code, path, message, {"column": column, "nearest": close})


def _unfit_keys(columns: Sequence[str], location: Location, schema: pa.Schema) -> Iterator[Fault]:
    for index, column in enumerate(columns):
        unfit = unfit_key(column, schema.field(column).type) if column in schema.names else None
        if unfit is not None:
            yield fault_of(unfit, (*location, index))


def _unstorable(location: Location, schema: pa.Schema) -> Iterator[Fault]:
    try:
        unmatched_layout(schema)
    except KallaError as error:
        yield fault_of(error, (*location, "uri"))
