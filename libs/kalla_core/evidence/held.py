"""Files of evidence held open, also while evidence takes the place of older.

A folder of evidence may lie where others can write: see `kalla_core.held`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from kalla_core.evidence.publish import CURRENT, INSIDE
from kalla_core.held import HeldFile, open_below, opened_folder

_TRIES = 100
_MOVED = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)


def open_held(folder: Path, name: str) -> HeldFile:
    """Open a file below a folder, as `matched.parquet` or `matched.parquet/join-0-1.parquet`.

    Args:
        folder: without symbolic links in it.
        name: relative, its parts divided by `/`.

    Raises:
        OSError: it is not there, lies behind a link, or is no regular file.
    """
    parts = PurePosixPath(name).parts
    before: tuple[object, ...] = ()
    for _ in range(_TRIES):
        with opened_folder(folder) as top:
            now, way = _settled(top, parts)
            try:
                return HeldFile(open_below(top, way[:-1], way[-1]))
            except OSError as error:
                seen = (os.fstat(top).st_ino, now)
                if seen == before or error.errno not in _MOVED:
                    raise
                before = seen  # evidence may be taking the place of older: look once more
    raise OSError(errno.EAGAIN, "it is replaced all the time")


def _settled(top: int, parts: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return what a final name is, and where it leads while it is replaced (see `publish`)."""
    try:
        link = os.readlink(parts[0], dir_fd=top)
        if link != f"{INSIDE}/{CURRENT}/{parts[0]}":
            return link, parts
        folder = os.readlink(f"{INSIDE}/{CURRENT}", dir_fd=top)
    except OSError:
        return "", parts
    if "/" in folder or folder == "..":
        return folder, parts
    return folder, (INSIDE, folder, *parts)
