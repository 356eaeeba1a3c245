"""Sentences about a place in a file."""

from __future__ import annotations

import re
from pathlib import PurePath

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.csv.records import BrokenRecordError

SHOWN = 60
"""How much of a text is shown."""
BEFORE = 2
"""How many bytes before a text tell how it came about: the quote there, and the one before."""
_BLANKS_ONLY = re.compile(rb"[ \t]+(?:[,;|\t\r\n]|\Z)")


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
    path: str,
    line: int,
    broken: BrokenRecordError,
    at: int = 0,
    before: bytes = b"",
    text: bytes = b"",
) -> SourceUnreadable:
    """Return the error for a record without an end.

    Args:
        path: of the file.
        line: in which the record begins.
        broken: what is wrong with it.
        at: the line that shows it, where `broken.at` tells a byte; `before` are the bytes before
            it, `text` is what stands there.
    """
    what = f"the record that begins here {broken.why}"
    if broken.at is not None:
        shown = short((text.decode(errors="replace").splitlines() or [""])[0])
        what += f" in line {at}: `{shown}`; {_quoting(before, text)}"
    return at_line(path, line, what if what.endswith("?") else f"{what}.")


def _quoting(before: bytes, text: bytes) -> str:
    """Say what would read a text behind a quote."""
    if before[:-1].endswith(b"\\"):
        return (
            "a quote behind a backslash is a part of the text where"
            ' "format": {"escape": "\\\\"} says so'
        )
    if _BLANKS_ONLY.match(text):
        return (
            "no blank may stand between a quote and the delimiter, so take it out of the file; or"
            ' let quotes mean nothing by "format": {"quote": "none"}, and take them off with'
            " trim(...) in the match SQL"
        )
    return (
        "a quote within quotes is written twice, and where quotes mean nothing,"
        ' "format": {"quote": "none"} says so'
    )
