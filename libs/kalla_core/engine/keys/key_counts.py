"""What a census of primary keys comes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """Rows of one side whose primary key is not good.

    Attributes:
        duplicates: rows beyond the first of each key; null keys are not compared.
        nulls: rows with a null in any column of the key.
    """

    duplicates: int
    nulls: int
