"""Changing one field of a document from outside: `--set options.buckets=7`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kalla_core.errors import InvalidSetting
from kalla_core.recipe.document import RecipeDocument
from kalla_core.recipe.faults import json_kind
from kalla_core.recipe.nearest import suggestion
from kalla_core.recipe.paths import Location, parse_path, path_text
from kalla_core.recipe.shape import fields_at, node_at

# A quoted name may hold the sign that ends the path.
_ASSIGNMENT = re.compile(r"""(?P<path>(?:[^="]|"(?:[^"\\]|\\.)*")*)=(?P<value>.*)""", re.DOTALL)


def override(document: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """Return the document with one field changed; what leads to it is made where it is missing.

    The value is JSON if it reads as JSON, else text. Whether it suits the field is for
    `parse_recipe` to say. In a list, the place after the last one may be set too.

    Args:
        document: a recipe's document; it stays as it is.
        assignment: `PATH=VALUE`.

    Raises:
        InvalidSetting: no `=`, a path that no recipe has, or one through something else than
            the objects and lists it names.
    """
    found = _ASSIGNMENT.fullmatch(assignment)
    if found is None:
        raise InvalidSetting(f"--set takes PATH=VALUE, as options.buckets=7, not `{assignment}`.")
    location = _location(found["path"].strip())
    changed = _with(document, location, _value(found["value"]), location)
    return dict(changed)


def _location(path: str) -> Location:
    try:
        location = parse_path(path)
    except ValueError as error:
        raise InvalidSetting(f"--set {path}: {error}", path=path) from error
    for end in range(1, len(location) + 1):
        if node_at(RecipeDocument, location[:end]) is None:
            raise _no_field(path, location[: end - 1], location[end - 1])
    return location


def _no_field(path: str, parent: Location, step: str | int) -> InvalidSetting:
    known = fields_at(RecipeDocument, parent)
    where = path_text(parent) if parent else "a recipe"
    hint = suggestion(str(step), known) if known else "It takes no fields."
    return InvalidSetting(f"--set {path}: there is no `{step}` in {where}. {hint}", path=path)


def _with(container: Any, rest: Location, value: object, whole: Location) -> Any:
    """Return `container` with `value` at the end of `rest`; `whole` is for messages."""
    if not rest:
        return value
    step = rest[0]
    if isinstance(step, int):
        return _with_item(container, step, rest, value, whole)
    if container is not None and not isinstance(container, Mapping):
        raise _not_a_container(container, rest, whole, "an object")
    inside: Mapping[str, Any] = container or {}
    return {**inside, step: _with(inside.get(step), rest[1:], value, whole)}


def _with_item(container: Any, step: int, rest: Location, value: object, whole: Location) -> Any:
    if container is not None and not isinstance(container, list):
        raise _not_a_container(container, rest, whole, "a list")
    items = list(container or [])
    if step > len(items):
        where, path = path_text(whole[: len(whole) - len(rest)]), path_text(whole)
        message = f"--set {path}: {where} has {len(items)} items, so the next is [{len(items)}]."
        raise InvalidSetting(message, path=path)
    old = items[step] if step < len(items) else None
    items[step : step + 1] = [_with(old, rest[1:], value, whole)]
    return items


def _not_a_container(value: object, rest: Location, whole: Location, wanted: str) -> InvalidSetting:
    where, path = path_text(whole[: len(whole) - len(rest)]), path_text(whole)
    return InvalidSetting(f"--set {path}: {where} is {json_kind(value)}, not {wanted}.", path=path)


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refused)
    except ValueError:
        return text


def _refused(word: str) -> object:
    raise ValueError(word)
