"""The only ways from the name of a column to its place.

Arrow answers -1 for a name that is not there, or there twice, and Python takes the last column for
that; so nobody asks it.
"""

from __future__ import annotations

from collections.abc import Sequence

from kalla_core.errors import UnknownColumn


def place_of(name: str, names: Sequence[str]) -> int:
    """Return the place, from 0, of the one column of this name.

    Raises:
        UnknownColumn: there is none, or there are several.
    """
    count = names.count(name)
    if count != 1:
        there = "is no column" if count == 0 else f"are {count} columns"
        raise UnknownColumn(
            f"There {there} `{name}` among {', '.join(names) or 'none at all'}.", column=name
        )
    return names.index(name)


def first_place_of(name: str, names: Sequence[str]) -> int | None:
    """Return the place, from 0, of the first column of this name; None if there is none."""
    return names.index(name) if name in names else None
