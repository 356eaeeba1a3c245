"""Writes what makes looking through many rows quick, beside a copy of evidence. Blocking.

python -m kalla_app.evidence.lookup_file    # does what standard input asks for

The texts go through memory a row group at a time; to put a column in order takes the column and
sixteen bytes a row, and no more than the process is given. What was used longest ago makes room.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import sys
from pathlib import Path

import pyarrow as pa

from kalla_app.evidence.rows import RowSet

_MOST_MEMORY_BYTES = 4 << 30
_POLITENESS = 10


def write_lookup(
    evidence: Path, name: str, beside: Path, column: str | None, most_bytes: int
) -> None:
    """Write the order of a column of a set, or for None its texts; others wait for it.

    Args:
        beside: folder for it, in one that holds those of all runs.
        most_bytes: that all of them may take; the one that is written stays in any case.

    Raises:
        KallaError: the rows cannot be read.
        OSError: it cannot be written.
    """
    beside.mkdir(parents=True, exist_ok=True)
    with (
        (beside.parent / ".lock").open("wb") as lock,
        RowSet(evidence, name, beside) as rows,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows.write_lookup(column)
        make_room(beside.parent, most_bytes, rows.lookup(column))


def make_room(folder: Path, most_bytes: int, kept: Path | None) -> None:
    """Remove what was used longest ago, until the rest is no more than so much.

    So goes what one that was killed has left unfinished: nobody else writes at this time.
    """
    for path in folder.glob("*/.*.arrow.*"):
        path.unlink(missing_ok=True)
    found = sorted(
        ((path.stat().st_atime, path.stat().st_size, path) for path in folder.glob("*/*.arrow")),
        reverse=True,
    )
    left = most_bytes - (kept.stat().st_size if kept is not None else 0)
    for _, size, path in found:
        if path != kept:
            left -= size
            if left < 0:
                path.unlink(missing_ok=True)


def request_of(
    evidence: Path, name: str, beside: Path, column: str | None, most_bytes: int
) -> bytes:
    """Return what the process reads from standard input; arguments as of `write_lookup`."""
    return json.dumps([str(evidence), name, str(beside), column, most_bytes]).encode()


def be_modest() -> None:
    """Let this process give way to those that answer people, and take no more than it may."""
    os.nice(_POLITENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def main() -> None:
    """Do what standard input asks for."""
    be_modest()
    evidence, name, beside, column, most_bytes = json.loads(sys.stdin.buffer.read())
    write_lookup(Path(evidence), name, Path(beside), column, most_bytes)


if __name__ == "__main__":
    main()
