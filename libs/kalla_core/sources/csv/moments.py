"""Dates and timestamps as a source's `format` writes them, rewritten as ISO 8601 has them.

A text that fits none of the formats becomes null; one that fits and names a day that does not exist
is left for the cast to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.recipe.moment_formats import directives_of, regex_of

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH_NAMES = pa.array([*_MONTHS, *(name[:3] for name in _MONTHS if name != "may")])
_MONTH_NUMBERS = pa.array(
    [f"{number:02}" for number in range(1, 13)]
    + [f"{n:02}" for n, name in enumerate(_MONTHS, 1) if name != "may"]
)
_PIVOT = "69"

Part = Callable[[str], pa.Array]


def rewritten(texts: pa.Array, formats: Sequence[str]) -> pa.Array:
    """Return texts as `2026-03-31` or `2026-03-31T10:00:00.5+02:00`; the first format that fits.

    Args:
        texts: strings.
        formats: checked by `check_format`, all of dates or all of timestamps.
    """
    return pc.coalesce(*(_in_format(texts, one) for one in formats))


def is_zoned(formats: Sequence[str]) -> bool:
    """Return whether timestamps of these formats have a zone."""
    return all("z" in directives_of(one) for one in formats)


def _in_format(texts: pa.Array, form: str) -> pa.Array:
    found = pc.extract_regex(texts, regex_of(form))
    parts = dict(zip([field.name for field in found.type], found.flatten(), strict=True))
    fits = pc.is_valid(found)
    parts = {name: pc.if_else(fits, values, None) for name, values in parts.items()}
    date = _joined([_year(parts), _month(parts), _two(parts["d"])], "-")
    if "H" not in parts and "I" not in parts:
        return date
    zero = pc.if_else(fits, "00", None)
    minute = _two(parts["M"]) if "M" in parts else zero
    second = _two(parts["S"]) if "S" in parts else zero
    clock = _joined([_hour(parts), minute, second], ":")
    if "f" in parts:
        clock = _joined([clock, parts["f"]], ".")
    if "z" in parts:
        clock = pc.binary_join_element_wise(clock, parts["z"], "")
    return _joined([date, clock], "T")


def _year(parts: dict[str, pa.Array]) -> pa.Array:
    if "Y" in parts:
        return parts["Y"]
    short = parts["y"]
    century = pc.if_else(pc.greater_equal(short, _PIVOT), "19", "20")
    return pc.binary_join_element_wise(century, short, "")


def _month(parts: dict[str, pa.Array]) -> pa.Array:
    if "m" in parts:
        return _two(parts["m"])
    name = parts["b"] if "b" in parts else parts["B"]
    return _MONTH_NUMBERS.take(pc.index_in(pc.utf8_lower(name), _MONTH_NAMES))


def _hour(parts: dict[str, pa.Array]) -> pa.Array:
    if "H" in parts:
        return _two(parts["H"])
    shown = pc.cast(parts["I"], pa.int8())
    good = pc.and_(pc.greater_equal(shown, 1), pc.less_equal(shown, 12))
    of_twelve = pc.if_else(pc.equal(shown, 12), pa.scalar(0, pa.int8()), shown)
    afternoon = pc.equal(pc.utf8_lower(parts["p"]), "pm")
    hour = pc.add(
        of_twelve, pc.if_else(afternoon, pa.scalar(12, pa.int8()), pa.scalar(0, pa.int8()))
    )
    return _two(pc.cast(pc.if_else(good, hour, None), pa.string()))


def _two(numbers: pa.Array) -> pa.Array:
    return pc.utf8_lpad(numbers, 2, "0")


def _joined(pieces: Sequence[pa.Array], sign: str) -> pa.Array:
    return reduce(lambda a, b: pc.binary_join_element_wise(a, b, sign), pieces)
