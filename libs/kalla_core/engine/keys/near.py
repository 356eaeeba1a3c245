"""Keys that would be the same but for how they are written: blanks, case, zeros, dashes, form.

Rows are cut into buckets by the loose form of their keys, so that whoever looks for a key that
nobody has finds those that come near in the same bucket, whatever way a run takes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.keys.visible import is_text
from kalla_core.engine.rows import Bools, one_chunk

_UNSEEN = (
    r"[\x00-\x08\x0e-\x1b\x7f\p{Cc}\p{Cf}\x{34f}\x{115f}\x{1160}\x{3164}"
    r"\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]+"
)
_DASHES = r"[\p{Pd}\x{2212}\x{2d7}\x{2796}]"
_BLANKS = r"[\s\v\x1c-\x1f\x{85}\p{Z}]+"

_ZERO = 0x30
_LOOKED_AT_ONCE = 1 << 15
"""Texts: what is computed of so many stays in the caches."""


class Spelling(StrEnum):
    """In what two keys may differ that are the same; the value is what a sentence calls it."""

    FORM = "Unicode normal form"
    BLANKS = "blanks"
    UNSEEN = "invisible characters"
    DASHES = "dashes"
    CASE = "case"
    ZEROS = "leading zeros"


def loose(column: pa.Array | pa.ChunkedArray, minding: Collection[Spelling] = ()) -> pa.Array:
    """Return text without what spelling adds, as string; null stays null, other types as they are.

    Args:
        minding: what is left in nevertheless.
    """
    return _loosened(one_chunk(column), minding)[0]


def are_plain(columns: Sequence[pa.ChunkedArray]) -> bool:
    """Tell whether `loose` leaves all columns as they are; now and then wrongly that not."""
    chunks = [chunk for one in columns if is_text(one.type) for chunk in one.chunks]
    return all(_is_plain(chunk.cast(pa.string())) for chunk in chunks)


def _is_plain(text: pa.Array) -> bool:
    octets = _octets(text)
    if not len(octets):
        return True
    low, high = int(octets.min()), int(octets.max())
    if high >= 0x80:
        return False
    needed = {one for one, _ in _STEPS if not _goes_without(one, octets, low, high)}
    return not needed or (needed == {Spelling.ZEROS} and not _any_begins_with_zero(text))


def loose_keys(*tables: Sequence[pa.Array | pa.ChunkedArray]) -> list[list[pa.Array]] | None:
    """Return the columns of some keys as `loose` does; None if none of them is written otherwise.

    Keys that are the same by their loose forms are then the same as they stand.
    """
    found = [[_loosened(one_chunk(column)) for column in columns] for columns in tables]
    if not any(changed for columns in found for _, changed in columns):
        return None
    return [[column for column, _ in columns] for columns in found]


def _loosened(values: pa.Array, minding: Collection[Spelling] = ()) -> tuple[pa.Array, bool]:
    """Return the loose form of a column, and whether any step was taken for it."""
    if not is_text(values.type):
        return values, False
    text = as_written = values.cast(pa.string())
    octets = _octets(text)
    low, high = (int(octets.min()), int(octets.max())) if len(octets) else (0x31, 0x31)
    for spelling, step in _STEPS:
        plain = high < 0x80 and _goes_without(spelling, octets, low, high)
        if spelling not in minding and not plain:
            text = step(text)
    return text, text is not as_written


def differences(some: Sequence[pa.Array], others: Sequence[pa.Array]) -> dict[Spelling, Bools]:
    """Return in what the keys of pairs differ, for keys of one loose form.

    Args:
        some: the columns of the keys; `others` likewise.
    """
    found = {}
    for spelling in Spelling:
        differs: Bools = np.zeros(len(some[0]), dtype=np.bool_)
        for a, b in zip(some, others, strict=True):
            if is_text(a.type):
                unlike = pc.not_equal(loose(a, {spelling}), loose(b, {spelling}))
                differs |= np.asarray(unlike.fill_null(False))
        found[spelling] = differs
    return found


def _octets(text: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    _, offsets, data = text.buffers()
    if offsets is None or data is None or len(text) == 0:
        return np.zeros(0, dtype=np.uint8)
    ends = np.frombuffer(offsets, dtype=np.int32)
    low, high = ends[text.offset], ends[text.offset + len(text)]
    return np.frombuffer(data, dtype=np.uint8)[low:high]


def _goes_without(
    spelling: Spelling, octets: np.ndarray[tuple[int], np.dtype[np.uint8]], low: int, high: int
) -> bool:
    """Whether a step leaves ASCII text as it is; `octets`, from `low` to `high`, all occur."""
    match spelling:
        case Spelling.FORM | Spelling.DASHES:
            return True
        case Spelling.BLANKS | Spelling.UNSEEN:
            return low > 0x20 and (high < 0x7F or not bool((octets == 0x7F).any()))
        case Spelling.CASE:
            return high < 0x61 or not bool(((octets >= 0x61) & (octets <= 0x7A)).any())
        case Spelling.ZEROS:
            return low > 0x30 or high < 0x30


def _composed(text: pa.Array) -> pa.Array:
    return pc.utf8_normalize(text, "NFKC")


def _without(pattern: str) -> Callable[[pa.Array], pa.Array]:
    return lambda text: pc.replace_substring_regex(text, pattern, "")


def _without_zeros(text: pa.Array) -> pa.Array:
    """Drop the zeros that a text begins with; one that is all zeros keeps one."""
    if not _any_begins_with_zero(text):
        return text
    short = pc.utf8_ltrim(text, "0")
    return pc.if_else(pc.and_(pc.equal(short, ""), pc.not_equal(text, "")), "0", short)


def _any_begins_with_zero(text: pa.Array) -> bool:
    """Whether a text may begin with a zero; now and then wrongly so, where one is empty."""
    _, offsets, _ = text.buffers()
    octets = _octets(text)
    if not len(octets) or offsets is None:
        return False
    ends = np.frombuffer(offsets, dtype=np.int32)[text.offset : text.offset + len(text)]
    return any(
        bool((octets.take(some - ends[0], mode="clip") == _ZERO).any())
        for some in np.split(ends, range(_LOOKED_AT_ONCE, len(ends), _LOOKED_AT_ONCE))
    )


_STEPS: Sequence[tuple[Spelling, Callable[[pa.Array], pa.Array]]] = (
    (Spelling.FORM, _composed),
    (Spelling.BLANKS, _without(_BLANKS)),
    (Spelling.UNSEEN, _without(_UNSEEN)),
    (Spelling.DASHES, lambda text: pc.replace_substring_regex(text, _DASHES, "-")),
    (Spelling.CASE, pc.utf8_upper),
    (Spelling.FORM, _composed),  # what stood between two characters is gone
    (Spelling.ZEROS, _without_zeros),
)
