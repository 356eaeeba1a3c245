"""JSON as people write it: where it breaks, what stands in it twice, numbers no float can hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from kalla_core.errors import Fault, RecipeInvalid
from kalla_core.recipe.paths import DOCUMENT, Location, path_text

# Half of a character that is written as two; whether the other half follows, only a look tells.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


MOST_FIELDS = 10_000
"""Fields of one object: a table has no more columns."""


class _Object(dict[str, object]):
    """A JSON object that remembers the names it was given more than once."""

    repeated: tuple[str, ...] = ()


def read_json(text: str | bytes) -> tuple[object, tuple[Fault, ...]]:
    """Return the document and a fault for every field that is there twice (the last one counts).

    Numbers that a float would change arrive as `Decimal`, so that what checks the document can
    refuse them by name.

    Raises:
        RecipeInvalid: the text is no JSON; the fault has line and column, counted from 1.
    """
    try:
        decoded = (
            text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        )
        document = json.loads(decoded, object_pairs_hook=_object, parse_float=_number)
        if _SURROGATE.search(decoded) or isinstance(text, str):
            _demand_characters(document)
    except json.JSONDecodeError as error:
        raise _broken(
            f"{error.msg} at line {error.lineno}, column {error.colno}.",
            line=error.lineno,
            column=error.colno,
        ) from error
    except UnicodeDecodeError as error:
        raise _broken(f"byte {error.start + 1} is not UTF-8.") from error
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise _broken(f"{half} is half of a character.") from error
    except (RecursionError, ValueError, ArithmeticError) as error:  # depth or a number without end
        raise _broken(f"{error}.") from error
    return document, tuple(_repeated(document, ()))


def _broken(reason: str, **details: object) -> RecipeInvalid:
    return RecipeInvalid([Fault("invalid_json", DOCUMENT, f"This is not JSON: {reason}", details)])


def _object(pairs: list[tuple[str, object]]) -> _Object:
    if len(pairs) > MOST_FIELDS:
        message = f"An object has {len(pairs)} fields; {MOST_FIELDS} are the most that one takes."
        raise RecipeInvalid([Fault("out_of_range", DOCUMENT, message)])
    result = _Object(pairs)
    if len(result) < len(pairs):
        times = Counter(name for name, _ in pairs)
        result.repeated = tuple(name for name in result if times[name] > 1)
    return result


def _number(text: str) -> float | Decimal:
    exact, value = Decimal(text), float(text)
    return value if exact == Decimal(repr(value)) else exact


def _demand_characters(value: object) -> None:
    """Raise `UnicodeEncodeError` for text that no file and no database could keep."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        for name, item in value.items():
            name.encode()
            _demand_characters(item)
    elif isinstance(value, list):
        for item in value:
            _demand_characters(item)


def _repeated(value: object, location: Location) -> Iterator[Fault]:
    if isinstance(value, _Object):
        for name in value.repeated:
            path = path_text((*location, name))
            yield Fault("duplicate_field", path, "This field is there more than once.")
        for name, item in value.items():
            yield from _repeated(item, (*location, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _repeated(item, (*location, index))
