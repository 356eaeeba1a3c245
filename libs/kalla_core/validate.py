"""A recipe held against its sources: everything that is wrong with it, as one list.

Each source is pinned, as a run would pin it, and its columns are compared with those the recipe
names; its first rows are read, to see that they can be; then the match SQL is planned over all of
them. A fault of one source hides none of another's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from kalla_core.errors import (
    ConnectorMissing,
    Fault,
    InvalidSql,
    KallaError,
    RecipeInvalid,
    UnknownColumn,
)
from kalla_core.matching.planned import Planned, plan_match
from kalla_core.matching.query import MatchQuery, Side, TableShape
from kalla_core.matching.statement import check_statement
from kalla_core.recipe.checks import missing_uri
from kalla_core.recipe.model import Recipe, SourceSpec
from kalla_core.recipe.nearest import nearest, suggestion
from kalla_core.recipe.paths import Location, path_text
from kalla_core.sources.filters import filter_faults
from kalla_core.sources.protocol import EVERYTHING, PinnedSource, SourceAccess
from kalla_core.sources.registry import connector_for

_LEFT: Location = ("sources", "left")
_RIGHT: Location = ("sources", "right")
_SQL: Location = ("match_sql",)
_FIRST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Validation:
    """What was found out about a recipe.

    Attributes:
        faults: why it cannot be run, in the order of the document; empty if it can.
        warnings: sentences about what will run, but perhaps not as meant.
        sources: what is known of each source that could be pinned, by alias. The pins themselves
            are gone.
        planned: the match SQL, planned; None if it could not be.
    """

    faults: tuple[Fault, ...]
    warnings: tuple[str, ...]
    sources: Mapping[str, PinnedSource]
    planned: Planned | None

    def demand(self) -> Planned:
        """Return the planned match SQL of a recipe without faults.

        Raises:
            RecipeInvalid: with all faults.
        """
        if self.faults or self.planned is None:
            raise RecipeInvalid(self.faults)
        return self.planned


def validate_recipe(
    recipe: Recipe,
    started_at: datetime | None = None,
    access: SourceAccess = EVERYTHING,
) -> Validation:
    """Check a recipe against its sources.

    Args:
        recipe: as `parse_recipe` returned it.
        started_at: what `now()` means in the match SQL; the present by default.
        access: what sources may be reached.
    """
    with ExitStack() as pins:
        looked = [_look(spec, location, pins, access) for location, spec in _sources(recipe)]
    faults = [fault for source in looked for fault in source.faults]
    planned, sql_faults = _plan(recipe, looked, started_at or datetime.now(UTC))
    return Validation(
        faults=(*faults, *sql_faults),
        warnings=() if planned is None else planned.warnings,
        sources={one.pinned.spec.alias: one.pinned for one in looked if one.pinned is not None},
        planned=planned,
    )


@dataclass(frozen=True, slots=True)
class _Looked:
    """A source after a look at it."""

    spec: SourceSpec
    pinned: PinnedSource | None
    faults: tuple[Fault, ...]

    def shape(self, schema: pa.Schema) -> TableShape:
        # A key column that is not there is a fault already; planning goes on with the others.
        key = tuple(column for column in self.spec.primary_key if column in schema.names)
        return TableShape(self.spec.alias, schema, key)


def _sources(recipe: Recipe) -> Iterator[tuple[Location, SourceSpec]]:
    yield _LEFT, recipe.left
    yield _RIGHT, recipe.right
    for index, extra in enumerate(recipe.extras):
        yield ("extras", index), extra


def _look(spec: SourceSpec, location: Location, pins: ExitStack, access: SourceAccess) -> _Looked:
    pinned, faults = _pin(spec, location, pins, access)
    if pinned is None:
        return _Looked(spec, None, faults)
    faults += tuple(_column_faults(spec, location, pinned.schema))
    unreadable = _first_rows_fault(pinned, location, access)
    if unreadable is None:
        faults += tuple(_filter_faults(spec, location, pinned.schema))
        return _Looked(spec, pinned, faults)
    # What could not be read was not typed either: nothing else is to be said about it.
    return _Looked(spec, None, (*faults, unreadable))


def _pin(
    spec: SourceSpec, location: Location, pins: ExitStack, access: SourceAccess
) -> tuple[PinnedSource | None, tuple[Fault, ...]]:
    """Pin a source; a `types` entry it does not take is a fault, and the rest goes on without."""
    if spec.uri is None:
        return None, (missing_uri(path_text(location)),)
    try:
        return pins.enter_context(connector_for(spec, access).pin(spec)), ()
    except KallaError as error:
        column = error.details.get("column")
        if column not in spec.types:
            return None, (_source_fault(error, location),)
        rest = {name: word for name, word in spec.types.items() if name != column}
        pinned, faults = _pin(replace(spec, types=rest), location, pins, access)
        return pinned, (_fault(error, (*location, "types", str(column))), *faults)


def _first_rows_fault(
    pinned: PinnedSource, location: Location, access: SourceAccess
) -> Fault | None:
    unfiltered = replace(pinned, spec=replace(pinned.spec, filters=()))
    try:
        connector_for(pinned.spec, access).preview(unfiltered, _FIRST_ROWS)
    except KallaError as error:
        return _source_fault(error, location)
    return None


def _source_fault(error: KallaError, location: Location) -> Fault:
    about = "type" if isinstance(error, ConnectorMissing) else "uri"
    return _fault(error, (*location, about))


def _column_faults(spec: SourceSpec, location: Location, schema: pa.Schema) -> Iterator[Fault]:
    yield from _unknown_columns(spec.primary_key, (*location, "primary_key"), schema)
    yield from _unknown_columns(spec.columns, (*location, "schema"), schema)


def _filter_faults(spec: SourceSpec, location: Location, schema: pa.Schema) -> Iterator[Fault]:
    for index, error in filter_faults(spec.filters, schema):
        about = "column" if isinstance(error, UnknownColumn) else "value"
        yield _fault(error, (*location, "filters", index, about))


def _unknown_columns(
    columns: Sequence[str], location: Location, schema: pa.Schema
) -> Iterator[Fault]:
    for index, column in enumerate(columns):
        if column not in schema.names:
            close = nearest(column, schema.names)
            message = f"There is no column `{column}`. {suggestion(column, schema.names)}"
            path = path_text((*location, index))
            yield Fault(UnknownColumn.code, path, message, {"column": column, "nearest": close})


def _plan(
    recipe: Recipe, looked: Sequence[_Looked], started_at: datetime
) -> tuple[Planned | None, tuple[Fault, ...]]:
    """Plan the match SQL; where a source is not known, check at least what the text tells."""
    shapes = [one.shape(one.pinned.schema) for one in looked if one.pinned is not None]
    try:
        if len(shapes) < len(looked):
            names = [side.value for side in Side] + [one.spec.alias for one in looked]
            check_statement(recipe.match_sql, names)
            return None, ()
        left, right, *extras = shapes
        query = MatchQuery(recipe.match_sql, left, right, tuple(extras), started_at)
        return plan_match(query), ()
    except KallaError as error:
        return None, (_fault(error, _SQL),)


def _fault(error: KallaError, location: Location) -> Fault:
    details = dict(error.details)
    if isinstance(error, InvalidSql) and error.line is not None:
        details |= {"line": error.line, "column": error.column}
    return Fault(error.code, path_text(location), error.message, details)
