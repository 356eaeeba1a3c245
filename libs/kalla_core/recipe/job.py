"""A recipe as a job request, and back.

A request carries the recipe's parts under the names of the job API, or the recipe itself. What
the job API's first parts have no field for (`recipe_id`, `types`, ...) is added only
where the recipe says something there. The first source is the left one, and each keeps the alias
that the match SQL may use; `left_src` and `right_src` always name them too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from kalla_core.errors import Fault, InvalidSetting, RecipeInvalid
from kalla_core.ids import RunId, parse_run_id
from kalla_core.recipe.carry_document import CarryDocument, carry_of
from kalla_core.recipe.checks import (
    InDocument,
    alias_faults,
    extra_places,
    missing_uri,
    repeated_columns,
    source_faults,
    value_at,
)
from kalla_core.recipe.document import (
    ExtraDocument,
    Groups,
    Kind,
    OptionsDocument,
    TableDocument,
)
from kalla_core.recipe.fields import (
    MAX_EXTRAS,
    MAX_TEXT,
    PrimaryKey,
    Prose,
    Strict,
    Text,
    Uri,
    at_most,
)
from kalla_core.recipe.jsontext import read_json
from kalla_core.recipe.model import GroupForm, Recipe, SourceSpec
from kalla_core.recipe.nearest import MOST_SUGGESTED, suggestion
from kalla_core.recipe.open_amounts import over_open_amounts
from kalla_core.recipe.parse import checked, extra_specs, options_of, parse_document, spec_of
from kalla_core.recipe.pass_checks import rule_faults
from kalla_core.recipe.passes_document import ReconcilingDocument, rules_of
from kalla_core.recipe.paths import DOCUMENT, path_text
from kalla_core.recipe.uris import type_of
from kalla_core.recipe.write import filled, filter_documents, source_document, to_document

_TABLES = ("left_src", "right_src")
_PLACES = tuple(InDocument(("sources", index), table) for index, table in enumerate(_TABLES))


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a coordinator is asked to do.

    Attributes:
        output_path: where the evidence goes; None leaves it to the coordinator.
        callback_url: who is told; None for nobody.
    """

    run_id: RunId
    recipe: Recipe
    output_path: str | None = None
    callback_url: str | None = None


def job_request(
    recipe: Recipe,
    run_id: RunId,
    output_path: str | None = None,
    callback_url: str | None = None,
) -> dict[str, Any]:
    """Return the request that runs a recipe, as JSON.

    Raises:
        RecipeInvalid: a source has no URI yet.
    """
    _demand_uris(recipe)
    document = to_document(recipe)
    sources = [_source_part(recipe.left), _source_part(recipe.right)]
    keys = {spec.alias: list(spec.primary_key) for spec in (recipe.left, recipe.right)}
    named = {**document, "run_id": run_id, "output_path": output_path, "callback_url": callback_url}
    return filled({**named, "sources": sources, "primary_keys": keys})


def parse_job_request(request: str | bytes | Mapping[str, object]) -> JobRequest:
    """Read a request in either form; local paths in it stay as they are.

    A request that names no recipe is a recipe named after its run.

    Raises:
        RecipeInvalid: with all faults; paths are those of the request.
    """
    document, repeated = read_json(request) if isinstance(request, str | bytes) else (request, ())
    whole = isinstance(document, Mapping) and "recipe" in document
    return _from_whole(document, repeated) if whole else _from_parts(document, repeated)


def _run_id(text: str) -> str:
    try:
        return parse_run_id(text)
    except InvalidSetting as error:
        raise PydanticCustomError(
            "invalid_run_id", "{reason}", {"reason": error.message}
        ) from error


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PydanticCustomError("invalid_uri", "Must be an address like http://host/path.")
    return text


class _RequestDocument(Strict):
    run_id: Annotated[str, AfterValidator(_run_id)]
    output_path: Uri | None = None
    callback_url: (
        Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_web_address)] | None
    ) = None


class _WholeDocument(_RequestDocument):
    recipe: Any


class _SourcePart(TableDocument):
    uri: Uri
    type: Kind | None = None
    carry: CarryDocument | None = None


class _PartsDocument(_RequestDocument, ReconcilingDocument):
    recipe_id: Text | None = None
    name: Text | None = None
    description: Prose | None = None
    match_description: Prose | None = None
    sources: Annotated[list[_SourcePart], Field(min_length=2, max_length=2)]
    primary_keys: dict[Text, PrimaryKey]
    extras: Annotated[list[ExtraDocument] | None, at_most(MAX_EXTRAS)] = None
    groups: Groups | None = None
    options: OptionsDocument | None = None


def _from_whole(document: object, repeated: tuple[Fault, ...]) -> JobRequest:
    shaped, faults = checked(document, _WholeDocument)
    recipe: Recipe | None = None
    try:
        recipe = parse_document(value_at(document, ("recipe",)))
    except RecipeInvalid as error:
        faults += tuple(_inside("recipe", fault) for fault in error.faults)
    if shaped is None or recipe is None or faults or repeated:
        raise RecipeInvalid([*repeated, *faults], "request")
    return _request(shaped, recipe)


def _from_parts(document: object, repeated: tuple[Fault, ...]) -> JobRequest:
    shaped, shape_faults = checked(document, _PartsDocument)
    places = [*_PLACES, *extra_places(document)]
    faults = [
        *repeated,
        *shape_faults,
        *(fault for place in places for fault in source_faults(document, place.location)),
        *alias_faults(document, places),
        *rule_faults(document),
        *_key_faults(document),
    ]
    if shaped is None or faults:
        raise RecipeInvalid(faults, "request")
    return _request(shaped, _recipe(shaped))


def _request(document: _RequestDocument, recipe: Recipe) -> JobRequest:
    run_id = RunId(document.run_id)
    return JobRequest(run_id, recipe, document.output_path, document.callback_url)


def _recipe(document: _PartsDocument) -> Recipe:
    left, right = (_spec(document, index) for index in range(len(_TABLES)))
    recipe = Recipe(
        recipe_id=document.recipe_id or document.run_id,
        name=document.name or document.recipe_id or document.run_id,
        **rules_of(document),
        left=left,
        right=right,
        extras=extra_specs(document.extras),
        description=document.description or "",
        match_description=document.match_description or "",
        groups=document.groups or GroupForm.PAIRS,
        options=options_of(document.options),
    )
    return over_open_amounts(recipe)


def _spec(document: _PartsDocument, index: int) -> SourceSpec:
    part = document.sources[index]
    keys = document.primary_keys
    key = keys[part.alias] if part.alias in keys else keys[_TABLES[index]]
    amounts = document.amounts
    amount = None if amounts is None else (amounts.left, amounts.right)[index]
    carry = carry_of(part.carry, amount)
    return spec_of(part, part.type or type_of(part.uri), part.uri, key, carry)


def _source_part(spec: SourceSpec) -> dict[str, Any]:
    part = source_document(spec)
    del part["primary_key"]
    if spec.type is type_of(str(spec.uri)):
        del part["type"]
    return {**part, "filters": filter_documents(spec.filters)}


def _demand_uris(recipe: Recipe) -> None:
    named = [("sources.left", recipe.left), ("sources.right", recipe.right)]
    named += [(path_text(("extras", index)), one) for index, one in enumerate(recipe.extras)]
    faults = [missing_uri(path) for path, spec in named if spec.uri is None]
    if faults:
        raise RecipeInvalid(faults)


def _key_faults(document: object) -> Iterator[Fault]:
    """Yield what is wrong with the names of `primary_keys`, which are aliases or table names."""
    keys = value_at(document, ("primary_keys",))
    if not isinstance(keys, Mapping):
        return
    sides = [_names(document, place) for place in _PLACES]
    known = [one for side in sides for one in side]
    strange = 0
    for name, columns in keys.items():
        yield from repeated_columns(columns, ("primary_keys", name))
        if name not in known:
            strange += 1
            meant = suggestion(str(name), known) if strange <= MOST_SUGGESTED else ""
            message = f"There is no source `{name}`. {meant}".rstrip()
            yield Fault("unknown_field", path_text(("primary_keys", name)), message)
    for side in sides:
        if not any(name in keys for name in side):
            yield Fault("missing", path_text(("primary_keys", side[0])), "This field is missing.")


def _names(document: object, place: InDocument) -> tuple[str, ...]:
    alias = value_at(document, (*place.location, "alias"))
    names = (alias, place.table)
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def _inside(parent: str, fault: Fault) -> Fault:
    dot = "" if fault.path.startswith("[") else "."
    path = parent if fault.path == DOCUMENT else f"{parent}{dot}{fault.path}"
    return replace(fault, path=path)
