"""What the files and folders of evidence are called."""

from __future__ import annotations

from collections.abc import Iterable

from kalla_core.matching.sql.query import Side

MATCHED = "matched.parquet"
UNMATCHED = {Side.LEFT: "unmatched_left.parquet", Side.RIGHT: "unmatched_right.parquet"}
SUGGESTED = "suggested.parquet"
AMBIGUOUS = "ambiguous.parquet"
ATTEMPTS = "attempts.parquet"
PARTLY = {Side.LEFT: "partly_matched_left.parquet", Side.RIGHT: "partly_matched_right.parquet"}
METADATA = "metadata.json"

ALWAYS = (MATCHED, *UNMATCHED.values())
SOMETIMES = (SUGGESTED, AMBIGUOUS, *PARTLY.values(), ATTEMPTS)
"""Outputs of recipes that can fill them."""

OF_EVERY_RUN = (*ALWAYS, METADATA)

FINAL_NAMES = (*ALWAYS, *SOMETIMES, METADATA)
"""Everything that evidence may consist of; what makes it complete comes last."""


def check_outputs(names: Iterable[str]) -> None:
    """Demand that files, by their names below the output folder, are whole evidence.

    Raises:
        ValueError: an output is missing, or there is one that evidence does not have.
    """
    found = {name.partition("/")[0] for name in names}
    if not set(ALWAYS) <= found <= {*ALWAYS, *SOMETIMES}:
        raise ValueError(f"to be committed are {sorted(found)}, which is not what evidence has")


def unmatched_names(side: Side, names: Iterable[str]) -> list[str]:
    """Return the file of the unmatched rows of a side, or the parts in the folder of that name."""
    name = UNMATCHED[side]
    return [one for one in names if one == name or one.startswith(f"{name}/")]
