"""Names that a flag takes: in lists with commas, or as JSON arrays where they have commas."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kalla_core.errors import InvalidSetting


def listed(given: Sequence[str], flag: str) -> tuple[str, ...]:
    """Return the names of a flag that may be repeated, in order.

    Raises:
        InvalidSetting: what begins like a JSON array is none of texts.
    """
    names: list[str] = []
    for one in given:
        if not one.lstrip().startswith("["):
            names += [name.strip() for name in one.split(",")]
            continue
        try:
            found = json.loads(one)
        except ValueError:
            found = [None]
        if not all(isinstance(name, str) for name in found):
            raise InvalidSetting(
                f'{flag} takes names, or a JSON array of names as ["a","b,c"], not {one}.',
                settings=[flag],
            )
        names += found
    return tuple(names)
