"""Where a page of a list ended, as one opaque word."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from kalla_core.errors import InvalidSetting

MOST = (1 << 63) - 1
"""The greatest number that a database knows."""


def cursor(*place: object) -> str:
    """Return the word for a place: text, whole numbers and null."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(word: str, kinds: Sequence[type]) -> list[object]:
    """Return the place of a word.

    Args:
        kinds: of its parts, in order; a part may be null besides.

    Raises:
        InvalidSetting: no page gave this word.
    """
    try:
        place = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _foreign() from error
    fits = isinstance(place, list) and len(place) == len(kinds)
    if not fits or not all(
        part is None or (type(part) is kind and _is_possible(part))
        for part, kind in zip(place, kinds, strict=True)
    ):
        raise _foreign()
    return list(place)


def offset_of(word: str | None) -> int:
    """Return how many rows come before those of a page; none before the first, which has no word.

    Raises:
        InvalidSetting: no page gave this word.
    """
    place = 0 if word is None else place_of(word, (int,))[0]
    if not isinstance(place, int):
        raise _foreign()
    return place


def _is_possible(part: object) -> bool:
    return not isinstance(part, int) or 0 <= part <= MOST


def _foreign() -> InvalidSetting:
    return InvalidSetting("The cursor is none that a page of this list gave.")
