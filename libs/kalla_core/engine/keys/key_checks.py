"""What is said of primary keys that are null or not unique."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.errors import DuplicateKeys
from kalla_core.fragments.crowd import Crowd, KeyCount, foreseen, telling
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side, TableShape

Shapes = Mapping[Side, TableShape]

_PLACEHOLDER = " looks like a placeholder"
_HARDLY = " hardly tells rows apart"
_REMEDY = "Keep it out of the key, for example with nullif or a filter."


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


def several_warnings(shapes: Shapes, found: Mapping[Side, Several]) -> list[str]:
    """Return sentences for the user about rows that are in two matches or more."""
    return [
        f"{_rows(found[side].rows, shape.alias)} in two or more matches, for example "
        f"{', '.join(shape.primary_key)} = {found[side].example}."
        for side, shape in shapes.items()
        if found[side].rows
    ]


def crowd_warnings(shapes: Shapes, crowds: Iterable[Crowd], matches: int) -> list[str]:
    """Return sentences for the user about keys that too many rows share.

    Args:
        matches: rows of `matched` in the whole run.
    """
    return [_crowd_warning(shapes, crowd) for crowd in telling(crowds, matches)]


def foreseen_warnings(
    shapes: Shapes, counted: Mapping[Side, Iterable[KeyCount]], rows: int
) -> tuple[str, ...]:
    """Return sentences for the user about such keys before their rows are joined.

    Args:
        counted: of each side, as far as its rows were looked at.
        rows: of both sides.
    """
    return tuple(_foreseen(shapes, crowd) for crowd in foreseen(counted, rows))


def same_key(warning: str, others: Iterable[str]) -> bool:
    """Whether one of some warnings is about the same key, with other counts."""
    about = _about(warning)
    return bool(about) and any(_about(other) == about for other in others)


def _about(warning: str) -> str:
    found = next((words for words in (_PLACEHOLDER, _HARDLY) if words in warning), None)
    return "" if found is None else warning.partition(found)[0]


def _foreseen(shapes: Shapes, crowd: Crowd) -> str:
    said = (
        f"at least {crowd.left:,} rows of {shapes[Side.LEFT].alias} and {crowd.right:,} rows of "
        f"{shapes[Side.RIGHT].alias} have it, which makes {crowd.pairs:,} pairs"
    )
    if crowd.placeholder:
        return f"The key {crowd.key}{_PLACEHOLDER}: {said}. {_REMEDY}"
    return f"The key {crowd.key}{_HARDLY}: {said}."


def _crowd_warning(shapes: Shapes, crowd: Crowd) -> str:
    rows = " and ".join(
        f"{count:,} rows of {shapes[side].alias}"
        for side, count in ((Side.LEFT, crowd.left), (Side.RIGHT, crowd.right))
    )
    if crowd.placeholder:
        return (
            f"The key {crowd.key}{_PLACEHOLDER}: {rows} have it and are in two or more matches. "
            f"{_REMEDY}"
        )
    return (
        f"The key {crowd.key}{_HARDLY}: {rows} have it and are in two or more "
        "matches, a good part of all matches."
    )


def _rows(count: int, alias: str) -> str:
    return f"1 row of {alias} is" if count == 1 else f"{count:,} rows of {alias} are"
