"""Which files of a store an address means: stars, and folders named as `year=2026`. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

STAR = "*"
ANY_DEPTH = "**"
DEEPEST = 32
"""How many folders may lie in one another."""

_PARTITION = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_NULL = "__HIVE_DEFAULT_PARTITION__"


def is_partition(folder: str) -> bool:
    """Return whether the name of a folder says a column and its value, as `year=2026`."""
    return _PARTITION.fullmatch(folder) is not None


def partition_values(root: str, path: str) -> dict[str, str | None]:
    """Return what the folders say between the address of a source and one of its files.

    Args:
        root: of the source; what has a star is no part of it.
        path: of the file.
    """
    base = fixed_start(root)
    within = path[len(base) :].split("/")[:-1]
    found: dict[str, str | None] = {}
    for folder in within:
        if said := _PARTITION.fullmatch(folder):
            value = unquote(said[2])
            found[unquote(said[1])] = None if value == _NULL else value
    return found


def fixed_start(address: str) -> str:
    """Return the folder, with its slash, that everything lies in which an address can mean."""
    before, star, _ = address.partition(STAR)
    return f"{before.rpartition('/')[0]}/" if star else f"{address.rstrip('/')}/"


def segments_of(address: str) -> list[str]:
    """Return what an address with stars says of each folder below `fixed_start`, and of files."""
    pattern = address[len(fixed_start(address)) :]
    return [*filter(None, pattern.split("/")), *([STAR] if pattern.endswith("/") else [])]


def matches(names: Sequence[str], segments: Sequence[str]) -> bool:
    """Return whether the names of folders and of a file, in this order, are meant."""
    if not segments:
        return not names
    first, rest = segments[0], segments[1:]
    if first == ANY_DEPTH:
        return any(matches(names[at:], rest) for at in range(len(names) + 1))
    return bool(names) and matches_name(names[0], first) and matches(names[1:], rest)


def may_mean(folder: Sequence[str], ending: str, segments: Sequence[str]) -> bool:
    """Return whether a file right in a folder can be meant, of whose name only the end is known.

    Args:
        folder: names of the folders from `fixed_start` to it.
        segments: see `segments_of`; none for an address without stars, which means the files of a
            folder and of those in it that are named as `year=2026`.
    """
    return _ends(folder, ending, segments) if segments else all(map(is_partition, folder))


def _ends(folder: Sequence[str], ending: str, segments: Sequence[str]) -> bool:
    if not segments:
        return False
    first, rest = segments[0], segments[1:]
    if first == ANY_DEPTH:
        return not rest or any(_ends(folder[at:], ending, rest) for at in range(len(folder) + 1))
    if not folder:
        said = first.rpartition(STAR)[2]
        return not rest and (said.endswith(ending) or (STAR in first and ending.endswith(said)))
    return matches_name(folder[0], first) and _ends(folder[1:], ending, rest)


def matches_name(name: str, segment: str) -> bool:
    """Return whether a name is meant by one segment, in which a star stands for anything."""
    pattern = ".*".join(re.escape(piece) for piece in segment.split(STAR))
    return re.fullmatch(pattern, name, re.DOTALL) is not None
