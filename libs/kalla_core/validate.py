"""A recipe held against its sources: everything that is wrong with it, as one list.

Each source is pinned, as a run would pin it, and its columns are compared with those the recipe
names; its first rows are read, to see that they can be; then the match SQL is planned over all of
them. A fault of one source hides none of another's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kalla_core.engine.passes.plan import plan_passes
from kalla_core.engine.run.demands import (
    SQL,
    column_faults,
    fault_of,
    located,
    plan_over,
    source_faults,
    without_unseen,
)
from kalla_core.errors import ConnectorMissing, Fault, InvalidFormat, KallaError, RecipeInvalid
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.statement import check_statement
from kalla_core.matching.strategy.planned import Planned
from kalla_core.recipe.checks import missing_uri
from kalla_core.recipe.model import Recipe, SourceSpec
from kalla_core.recipe.paths import Location, path_text
from kalla_core.sources.pins import dated
from kalla_core.sources.protocol import EVERYTHING, PinnedSource, SourceAccess
from kalla_core.sources.registry import connector_for

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
    at = started_at or datetime.now(UTC)
    with ExitStack() as pins:
        looked = [
            _look(spec, location, pins, access)
            for location, named in located(recipe)
            for spec in dated((named,), at)
        ]
    faults = [fault for source in looked for fault in source.faults]
    planned, sql_faults = _plan(recipe, looked, at)
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


def _look(spec: SourceSpec, location: Location, pins: ExitStack, access: SourceAccess) -> _Looked:
    pinned, faults = _pin(spec, location, pins, access)
    if pinned is None:
        return _Looked(spec, None, faults)
    unreadable = _first_rows_fault(pinned, location, access)
    if unreadable is None:
        faults += tuple(source_faults(pinned, location))
        return _Looked(spec, pinned, faults)
    # What could not be read was not typed either: its filters are not judged by its types.
    faults += tuple(column_faults(spec, location, pinned.schema))
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
        return pinned, (fault_of(error, (*location, "types", str(column))), *faults)


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
    about = "format" if isinstance(error, InvalidFormat) else about
    return fault_of(error, (*location, about))


def _plan(
    recipe: Recipe, looked: Sequence[_Looked], started_at: datetime
) -> tuple[Planned | None, tuple[Fault, ...]]:
    """Plan the match SQL; where a source is not known, check at least what the text tells."""
    pinned = [one.pinned for one in looked if one.pinned is not None]
    try:
        if len(pinned) < len(looked):
            names = [side.value for side in Side] + [one.spec.alias for one in looked]
            for sql in [one.sql for one in recipe.passes] or [recipe.match_sql]:
                check_statement(sql, names)
            return None, ()
        fitting = without_unseen(recipe.match_sql, pinned, started_at)
        if recipe.reconciles:
            planned = plan_passes(recipe, fitting, started_at)
            return planned.as_one(), ()
        return plan_over(recipe.match_sql, fitting, started_at), ()
    except RecipeInvalid as error:
        return None, error.faults
    except KallaError as error:
        return None, (fault_of(error, SQL),)
