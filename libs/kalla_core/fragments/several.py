"""Rows that are in two matches or more: how many, and one of them for people to look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Several:
    """Of one side of a run, or of those of its rows that a join looked at.

    Attributes:
        rows: source rows that are in two rows or more of `matched`.
        example: primary key of one, as `record_key` has it: the first as texts are ordered, so
            that it is the same however the rows were divided; None if there is none.
    """

    rows: int = 0
    example: str | None = None


def together(parts: Iterable[Several]) -> Several:
    """Return what is true of different rows together."""
    listed = list(parts)
    examples = [part.example for part in listed if part.example is not None]
    return Several(sum(part.rows for part in listed), min(examples, default=None))
