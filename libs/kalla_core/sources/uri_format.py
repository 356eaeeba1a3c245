"""A source's `format` as far as it stands in a URI: one option for each field. Pure.

Fields that take a list may be given again; `amount` and `columns`, which take objects, have no
option. What the URI does not say the recipe's `format` may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from kalla_core.errors import InvalidFormat
from kalla_core.recipe.format_written import NAMES
from kalla_core.recipe.source_format import AS_USUAL, SourceFormat

_OBJECTS = ("amount", "columns")
FIELDS = tuple(name for name in NAMES.values() if name not in _OBJECTS)
LISTED = frozenset(NAMES[name] for name in NAMES if isinstance(getattr(AS_USUAL, name), tuple))
_COUNTS = ("skip_first", "skip_last")
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def formatted(options: Mapping[str, Sequence[str]]) -> tuple[SourceFormat, str]:
    """Return the format that options say, and what is wrong with them, empty for nothing."""
    if not options:
        return AS_USUAL, ""
    from kalla_core.recipe.format_document import FormatDocument, format_of  # few URIs need it
    from kalla_core.recipe.parse import checked

    said = {name: _value(name, given) for name, given in options.items()}
    document, faults = checked(said, FormatDocument)
    wrong = " ".join(f"`{fault.path}`: {fault.message}" for fault in faults)
    return format_of(document), wrong


def merged(uri: SourceFormat, recipe: SourceFormat) -> SourceFormat:
    """Return what a URI and a recipe say together; words for NULL of both.

    Raises:
        InvalidFormat: they contradict each other.
    """
    found: dict[str, Any] = {}
    for field in fields(SourceFormat):
        one, other = getattr(uri, field.name), getattr(recipe, field.name)
        usual = getattr(AS_USUAL, field.name)
        if field.name == "nulls":
            found[field.name] = (*one, *other)
        elif usual not in (one, other) and one != other:
            name = NAMES[field.name]
            raise InvalidFormat(
                f"The URI says one `{name}` and `format` another; say it once.", field=name
            )
        else:
            found[field.name] = other if one == usual else one
    return replace(AS_USUAL, **found)


def _value(name: str, given: Sequence[str]) -> object:
    (*_, text) = given
    if name in LISTED:
        return "all" if list(given) == ["all"] else list(given)
    if name == "trailing_delimiter" or (name == "header" and text.lower() in _FLAGS):
        return _FLAGS.get(text.lower(), text)
    if name in (*_COUNTS, "header", "sheet") and text.isascii() and text.isdigit():
        return int(text)
    return text
