"""What a run left open on a side: rows without a partner, and what is left of rows that have one.

A row that is matched in part is open by its rest: the amount that its match does not settle.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from kalla_app.evidence.asked import Asked
from kalla_app.evidence.files import sets_of
from kalla_app.evidence.rows import RowSet
from kalla_app.evidence.wanted import KEY
from kalla_core.evidence.schema import UNMATCHED_FIELDS
from kalla_core.recipe.open_amounts import AGE_DAYS, FIRST_OPEN_RUN

RESTS = "partly_matched_"
OURS = frozenset({*UNMATCHED_FIELDS.names, "rule_name", "match_group", "settled_amount"}) | {
    FIRST_OPEN_RUN,
    AGE_DAYS,
}
"""Columns of open rows that no source has, but for what is open of them."""

REST = "rest"
"""Stands where rows without a partner have a reason."""


def open_sets(folder: Path, side: str) -> tuple[str, ...]:
    """Return the sets that have open rows of a side, in their order. Blocking.

    Raises:
        OSError: there is no evidence.
    """
    rests = f"{RESTS}{side}"
    return (f"unmatched_{side}", *((rests,) if rests in sets_of(folder) else ()))


def open_keys(folder: Path, side: str, keys: Collection[str]) -> set[str]:
    """Return which of some rows of a side a run has left open. Blocking.

    Raises:
        KallaError: they cannot be read.
    """
    found: set[str] = set()
    if keys:
        for name in open_sets(folder, side):
            with RowSet(folder, name) as rows:
                page = rows.page(Asked(name, keys=tuple(keys)), 0, len(keys))
                found.update(page.rows.column(KEY).to_pylist())
    return found


def rests_of(folder: Path) -> dict[str, int]:
    """Return how many rows each set of rests has; none where no pass leaves any. Blocking.

    Raises:
        KallaError: they cannot be read.
    """
    found = {}
    for name in sets_of(folder):
        if is_rest(name):
            with RowSet(folder, name) as rows:
                found[name] = rows.count
    return found


def is_rest(name: str) -> bool:
    """Whether the rows of a set are matched in part."""
    return name.startswith(RESTS)


def side_of(name: str) -> str | None:
    """Return the side that a set has open rows of; None if it has none."""
    for beginning in ("unmatched_", RESTS):
        if name.startswith(beginning):
            return name.removeprefix(beginning)
    return None
