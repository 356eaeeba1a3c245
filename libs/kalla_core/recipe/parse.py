"""From a JSON document to the frozen recipe, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kalla_core.errors import Fault, RecipeInvalid
from kalla_core.recipe.carry_document import carry_of
from kalla_core.recipe.checks import InDocument, alias_faults, extra_places, source_faults
from kalla_core.recipe.document import (
    ExtraDocument,
    FilterDocument,
    OptionsDocument,
    RecipeDocument,
    SourceDocument,
    TableDocument,
)
from kalla_core.recipe.faults import faults_of
from kalla_core.recipe.format_document import format_of
from kalla_core.recipe.jsontext import read_json
from kalla_core.recipe.model import (
    Carry,
    EngineChoice,
    Filter,
    GroupForm,
    Options,
    Recipe,
    SourceSpec,
    SourceType,
)
from kalla_core.recipe.open_amounts import over_open_amounts
from kalla_core.recipe.pass_checks import rule_faults
from kalla_core.recipe.passes_document import rules_of
from kalla_core.recipe.paths import DOCUMENT
from kalla_core.recipe.sql_files import with_files
from kalla_core.recipe.uris import resolve

_SIDES = (
    InDocument(("sources", "left"), "left_src"),
    InDocument(("sources", "right"), "right_src"),
)

Document = TypeVar("Document", bound=BaseModel)


def load_document(path: Path) -> tuple[object, tuple[Fault, ...]]:
    """Read the JSON of a recipe file, as `read_json` does.

    Raises:
        RecipeInvalid: there is no such file, it cannot be read, or it holds no JSON.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _unreadable("not_found", f"There is no file {path}.") from error
    except OSError as error:
        raise _unreadable("not_readable", f"{path} cannot be read: {error.strerror}.") from error
    return read_json(content)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file; relative paths in it start from its folder.

    Raises:
        RecipeInvalid: with every fault that can be found without looking at the sources.
    """
    document, repeated = load_document(path)
    return parse_document(document, repeated, path.absolute().parent)


def parse_recipe(recipe: str | bytes | Mapping[str, object], base: Path | None = None) -> Recipe:
    """Return the recipe of a JSON text, or of the object that was read from one.

    Args:
        recipe: the document.
        base: the folder that relative paths start from; None leaves them as they are.

    Raises:
        RecipeInvalid: with every fault that can be found without looking at the sources.
    """
    if isinstance(recipe, str | bytes):
        document, repeated = read_json(recipe)
        return parse_document(document, repeated, base)
    return parse_document(recipe, base=base)


def resolve_paths(recipe: Recipe, base: Path) -> Recipe:
    """Return the recipe with its relative local paths starting from `base`."""
    return replace(
        recipe,
        left=_resolved(recipe.left, base),
        right=_resolved(recipe.right, base),
        extras=tuple(_resolved(extra, base) for extra in recipe.extras),
    )


def checked(document: object, model: type[Document]) -> tuple[Document | None, tuple[Fault, ...]]:
    """Return the document as its model has it, or what is wrong with its shape."""
    try:
        return model.model_validate(document), ()
    except ValidationError as error:
        return None, faults_of(error, model)


def spec_of(
    table: TableDocument,
    source_type: SourceType,
    uri: str | None,
    primary_key: Sequence[str] = (),
    carry: Carry | None = None,
) -> SourceSpec:
    """Return one source of a document."""
    return SourceSpec(
        alias=table.alias,
        type=source_type,
        uri=uri,
        primary_key=tuple(primary_key),
        columns=tuple(table.columns or ()),
        filters=tuple(_filter(one) for one in table.filters or ()),
        types=dict(table.types or {}),
        format=format_of(table.format, table.amount),
        carry=carry,
    )


def parse_source(document: object) -> SourceSpec:
    """Return one source by itself, as `source_document` wrote it; with a primary key or without.

    Raises:
        RecipeInvalid: with all the faults of its shape.
    """
    keyed = isinstance(document, Mapping) and "primary_key" in document
    shaped, faults = checked(document, SourceDocument if keyed else ExtraDocument)
    if shaped is None or faults:
        raise RecipeInvalid(faults, "source")
    return _source_spec(shaped) if isinstance(shaped, SourceDocument) else extra_specs([shaped])[0]


def extra_specs(extras: Sequence[ExtraDocument] | None) -> tuple[SourceSpec, ...]:
    """Return the extras of a document."""
    return tuple(spec_of(extra, extra.type, extra.uri) for extra in extras or ())


def options_of(document: OptionsDocument | None) -> Options:
    """Return the options of a document; what it leaves out has its default."""
    if document is None:
        return Options()
    seconds = document.timeout_s
    return Options(
        engine=document.engine or EngineChoice.AUTO,
        partitions=document.partitions,
        buckets=document.buckets,
        timeout=None if seconds is None else timedelta(seconds=seconds),
        overwrite=bool(document.overwrite),
        single_file=bool(document.single_file),
        max_pairs_per_row=document.max_pairs_per_row,
    )


def parse_document(
    document: object, repeated: Sequence[Fault] = (), base: Path | None = None
) -> Recipe:
    """Return the recipe of what `read_json` returned.

    Raises:
        RecipeInvalid: with all its faults, those that `read_json` found included.
    """
    file_faults: list[Fault] = []
    if base is not None:
        document, file_faults = with_files(document, base)
    places = [*_SIDES, *extra_places(document)]
    shaped, shape_faults = checked(document, RecipeDocument)
    faults = [
        *repeated,
        *file_faults,
        *shape_faults,
        *(fault for place in places for fault in source_faults(document, place.location)),
        *alias_faults(document, places),
        *rule_faults(document),
    ]
    if shaped is None or faults:
        raise RecipeInvalid(faults)
    recipe = _recipe(shaped)
    return recipe if base is None else resolve_paths(recipe, base)


def _recipe(document: RecipeDocument) -> Recipe:
    amounts = document.amounts
    recipe = Recipe(
        recipe_id=document.recipe_id,
        name=document.name,
        **rules_of(document),
        left=_source_spec(document.sources.left, None if amounts is None else amounts.left),
        right=_source_spec(document.sources.right, None if amounts is None else amounts.right),
        extras=extra_specs(document.extras),
        description=document.description or "",
        match_description=document.match_description or "",
        groups=document.groups or GroupForm.PAIRS,
        options=options_of(document.options),
    )
    return over_open_amounts(recipe)


def _source_spec(source: SourceDocument, amount: str | None = None) -> SourceSpec:
    carry = carry_of(source.carry, amount)
    return spec_of(source, source.type, source.uri, source.primary_key, carry)


def _filter(document: FilterDocument) -> Filter:
    return Filter(document.column, document.op, document.value)


def _resolved(spec: SourceSpec, base: Path) -> SourceSpec:
    carry = spec.carry
    if carry is not None:
        carry = replace(carry, evidence=resolve(carry.evidence, base))
    uri = None if spec.uri is None else resolve(spec.uri, base)
    return replace(spec, uri=uri, carry=carry)


def _unreadable(code: str, message: str) -> RecipeInvalid:
    return RecipeInvalid([Fault(code, DOCUMENT, message)])
