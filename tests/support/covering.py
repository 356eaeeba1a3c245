"""A small set of runs in which every two settings of any two parameters meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

Row = tuple[Any, ...]


def pairwise_rows(parameters: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return settings of all parameters, greedily, until every pair of settings has met."""
    names = list(parameters)
    rows = list(product(*parameters.values()))
    missing = {
        (a, b, row[a], row[b]) for row in rows for a, b in combinations(range(len(names)), 2)
    }
    chosen: list[Row] = []
    while missing:
        best = max(rows, key=lambda row: len(missing & _meetings(row)))
        chosen.append(best)
        missing -= _meetings(best)
    return [dict(zip(names, row, strict=True)) for row in chosen]


def every_row(parameters: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the full product of the settings."""
    return [dict(zip(parameters, row, strict=True)) for row in product(*parameters.values())]


def _meetings(row: Row) -> set[tuple[int, int, Any, Any]]:
    return {(a, b, row[a], row[b]) for a, b in combinations(range(len(row)), 2)}
