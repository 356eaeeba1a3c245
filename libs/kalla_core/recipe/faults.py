"""What pydantic found wrong with a document, in the words of Kalla."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kalla_core.errors import Fault
from kalla_core.recipe.nearest import MOST_SUGGESTED, listed, nearest, suggestion
from kalla_core.recipe.paths import Location, path_text
from kalla_core.recipe.shape import fields_at

_EXPECTED = {
    "string_type": "text",
    "string_unicode": "text in Unicode",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_OWN_CODES = frozenset(
    {
        "invalid_filter",
        "invalid_format",
        "invalid_passes",
        "invalid_type",
        "invalid_uri",
        "invalid_run_id",
        "empty",
        "out_of_range",
    }
)


def faults_of(error: ValidationError, model: type[BaseModel]) -> tuple[Fault, ...]:
    """Return a fault per error, in the order of the document's fields."""
    found = error.errors(include_url=False)
    return tuple(_fault(one, model, i < MOST_SUGGESTED) for i, one in enumerate(found))


def _fault(error: ErrorDetails, model: type[BaseModel], suggests: bool) -> Fault:
    kind, location = error["type"], tuple(step for step in error["loc"] if step != "[key]")
    if kind == "extra_forbidden" and not suggests:
        message = f"There is no field `{location[-1]}` here."
        return Fault("unknown_field", path_text(location), message)
    if kind == "extra_forbidden":
        return _unknown_field(location, model)
    code, message = _describe(kind, error)
    return Fault(code, path_text(location), message)


def _unknown_field(location: Location, model: type[BaseModel]) -> Fault:
    name, known = str(location[-1]), fields_at(model, location[:-1])
    message = f"There is no field `{name}` here. {suggestion(name, known)}"
    return Fault("unknown_field", path_text(location), message, {"nearest": nearest(name, known)})


def _describe(kind: str, error: ErrorDetails) -> tuple[str, str]:
    context, value = error.get("ctx", {}), error["input"]
    if kind in _EXPECTED:
        return "wrong_type", f"Must be {_EXPECTED[kind]}, not {json_kind(value)}."
    if kind in _OWN_CODES:
        return kind, error["msg"]
    if kind in _SENTENCES:
        code, sentence = _SENTENCES[kind]
        return code, sentence(context, value)
    return "invalid", f"{error['msg']}."


def _choice(context: Mapping[str, Any], value: object) -> str:
    expected = context["expected"].replace("'", "").replace(" or ", ", ")
    if not isinstance(value, str):
        return f"Must be one of {expected}, not {json_kind(value)}."
    close = nearest(value, expected.split(", "))
    meant = f" Did you mean {listed(close)}?" if close else ""
    return f"Must be one of {expected}, not `{value}`.{meant}"


_SENTENCES: Mapping[str, tuple[str, Callable[[Mapping[str, Any], object], str]]] = {
    "missing": ("missing", lambda _context, _value: "This field is missing."),
    "too_short": ("empty", lambda context, _: _at_least(context["min_length"])),
    "string_too_long": (
        "out_of_range",
        lambda context, value: (
            f"Takes {context['max_length']} characters at most, not {len(str(value))}."
        ),
    ),
    "too_long": ("out_of_range", lambda context, _: f"Takes {context['max_length']} at most."),
    "greater_than_equal": (
        "out_of_range",
        lambda context, value: f"Must be at least {context['ge']}, not {value}.",
    ),
    "less_than_equal": (
        "out_of_range",
        lambda context, value: f"Must be at most {context['le']}, not {value}.",
    ),
    "enum": ("invalid_choice", _choice),
    "literal_error": ("invalid_choice", _choice),
}


def _at_least(count: int) -> str:
    return "Needs at least one." if count == 1 else f"Needs {count}."


def json_kind(value: object) -> str:
    """Return what a value is in JSON, for a sentence: `a list`, `the number 5`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return f"the number {value}"
        case str():
            return "text"
        case Mapping():
            return "an object"
        case Sequence():
            return "a list"
        case _:
            return type(value).__name__
