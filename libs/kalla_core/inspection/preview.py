"""Columns, types and first rows of a source, without a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kalla_core.errors import Fault, RecipeInvalid
from kalla_core.recipe.document import ExtraDocument
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.parse import checked, extra_specs
from kalla_core.recipe.uris import type_of
from kalla_core.sources.csv.guess.found import Guess
from kalla_core.sources.naming import NAMELESS
from kalla_core.sources.protocol import EVERYTHING, PinnedSource, SourceAccess
from kalla_core.sources.registry import connector_for

MAX_ROWS = 10_000
DEFAULT_ROWS = 10


@dataclass(frozen=True, slots=True)
class Preview:
    """What a source holds: what is known of it, and the first rows that pass its filters.

    Attributes:
        guess: how it seems to be written, where it was read so.
        failure: why it could not be read as it is said to be.
    """

    pinned: PinnedSource
    rows: pa.Table
    guess: Guess | None = None
    failure: str | None = None


def source_of(
    uri: str,
    types: Mapping[str, object],
    filters: Sequence[object],
    written: object = None,
) -> tuple[SourceSpec | None, tuple[Fault, ...]]:
    """Return the source that a preview is of, or what is wrong with it.

    Args:
        uri: as in a recipe, its path resolved.
        types: column to type word.
        filters: documents, as in a recipe.
        written: the document of its `format`, as in a recipe; None for none.
    """
    document = {
        "alias": NAMELESS,
        "type": type_of(uri).value,
        "uri": uri,
        "types": dict(types),
        "filters": list(filters),
        "format": written,
    }
    shaped, faults = checked(document, ExtraDocument)
    return (None, faults) if shaped is None else (extra_specs([shaped])[0], ())


def demand_source(
    uri: str,
    types: Mapping[str, object],
    filters: Sequence[object],
    written: object = None,
) -> SourceSpec:
    """Return the source that a preview is of; its arguments are those of `source_of`.

    Raises:
        RecipeInvalid: with everything that is wrong.
    """
    spec, faults = source_of(uri, types, filters, written)
    if spec is None:
        raise RecipeInvalid(faults, "request")
    return spec


def preview(
    spec: SourceSpec,
    rows: int,
    access: SourceAccess = EVERYTHING,
) -> Preview:
    """Look at a source.

    Raises:
        KallaError: the source, a type or a filter is wrong.
    """
    connector = connector_for(spec, access)
    with connector.pin(spec) as pinned:
        return Preview(pinned, connector.preview(pinned, rows))
