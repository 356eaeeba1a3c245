"""Sentences about a place in a file."""

from __future__ import annotations

from pathlib import PurePath

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.csv.records import BrokenRecordError

SHOWN = 60
"""How much of a text is shown."""


def at_line(path: str, line: int, what: str, **details: object) -> SourceUnreadable:
    """Return the error for what is wrong in a line of a file, counted from 1."""
    return SourceUnreadable(
        f"line {line} of {PurePath(path).name}: {what}", file=path, line=line, **details
    )


def short(text: str) -> str:
    """Return a text as one line, fit to be shown."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def broken_record(
    path: str, line: int, broken: BrokenRecordError, at: int = 0, text: bytes = b""
) -> SourceUnreadable:
    """Return the error for a record without an end.

    Args:
        path: of the file.
        line: in which the record begins.
        broken: what is wrong with it.
        at: the line that shows it, where `broken.at` tells a byte; `text` is what stands there.
    """
    what = f"the record that begins here {broken.why}"
    if broken.at is not None:
        shown = short((text.decode(errors="replace").splitlines() or [""])[0])
        what += f" in line {at}: `{shown}`; a quote within quotes is written twice,"
        what += ' and where quotes mean nothing, "format": {"quote": "none"} says so'
    return at_line(path, line, what if what.endswith("?") else f"{what}.")
