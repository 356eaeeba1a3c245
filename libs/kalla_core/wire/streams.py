"""Generators that Flight streams from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def begun(generator: Iterator[T | None]) -> Iterator[T]:
    """Take a generator to its first yield, which is of None, and return the rest.

    Flight drops the stream of a caller who went away before the first record without having
    asked for one. What a generator holds is only let go of at its end if it has begun.
    """
    next(generator)
    return generator  # type: ignore[return-value] # None came first, and only then
