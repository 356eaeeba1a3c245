"""What is said of primary keys that are null or not unique."""

from __future__ import annotations

from collections.abc import Mapping

from kalla_core.engine.census import KeyCounts
from kalla_core.errors import DuplicateKeys
from kalla_core.matching.query import Side, TableShape

Shapes = Mapping[Side, TableShape]


def check_keys(shapes: Shapes, counts: Mapping[Side, KeyCounts]) -> None:
    """Check keys that rows are told apart by.

    Raises:
        DuplicateKeys: one of them is not unique.
    """
    for side, found in counts.items():
        if found.duplicates or found.nulls:
            shape = shapes[side]
            raise DuplicateKeys(
                f"This match SQL tells rows apart by their primary key, but "
                f"{', '.join(shape.primary_key)} of {shape.alias} is not unique: "
                f"{found.duplicates} rows repeat a key, {found.nulls} have none.",
                source=shape.alias,
            )


def key_warnings(shapes: Shapes, counts: Mapping[Side, KeyCounts]) -> list[str]:
    """Return sentences for the user about keys that rows are not told apart by."""
    warnings = []
    for side, found in counts.items():
        shape = shapes[side]
        key = ", ".join(shape.primary_key)
        if found.duplicates:
            warnings.append(
                f"The primary key ({key}) of {shape.alias} is not unique: "
                f"{found.duplicates} rows repeat the key of an earlier row."
            )
        if found.nulls:
            warnings.append(
                f"The primary key ({key}) of {shape.alias} is null in {found.nulls} rows."
            )
    return warnings
