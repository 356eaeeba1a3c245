"""What of this machine's files a source may be: roots, closed folders, and files that are secret.

A path is judged by where it leads, links followed; a secret file by its device and inode, so that
another name of it is refused as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kalla_core.errors import InvalidUri, NotAllowed
from kalla_core.held import HeldFile, open_at
from kalla_core.sources.protocol import SourceAccess


def check_reachable(path: Path, access: SourceAccess) -> Path:
    """Return where a path leads, which may be read if it is there.

    Raises:
        InvalidUri: it lies outside the folders that may be read, or leads in a circle.
        NotAllowed: it lies in a closed folder, or is secret.
        OSError: it cannot be looked at.
    """
    real = real_path(path)
    _demand_root(path, real, access)
    _demand_open(path, real, access)
    with suppress(FileNotFoundError, NotADirectoryError):
        _demand_no_secret(path, os.stat(real), access)
    return real


def open_reachable(path: Path, access: SourceAccess) -> HeldFile:
    """Open a file that may be read: what was checked is what is open.

    Raises:
        InvalidUri, NotAllowed: see `check_reachable`.
        OSError: it is not there, or is no regular file.
    """
    file = open_at(check_reachable(path, access))
    try:
        _demand_no_secret(path, file.status, access)
    except NotAllowed:
        file.close()
        raise
    return file


def real_path(path: Path) -> Path:
    """Return where a path leads, whether or not something is there.

    Raises:
        InvalidUri: in a circle.
        OSError: it cannot be followed.
    """
    try:
        return path.resolve()
    except RuntimeError:
        raise InvalidUri(f"`{path}` leads in a circle.", path=str(path)) from None


def _demand_root(path: Path, real: Path, access: SourceAccess) -> None:
    roots = access.allowed_roots
    if roots is not None and not any(real.is_relative_to(root.resolve()) for root in roots):
        raise InvalidUri(
            f"`{path}` lies outside the folders that may be read here.", path=str(path)
        )


def _demand_open(path: Path, real: Path, access: SourceAccess) -> None:
    if any(real.is_relative_to(folder.resolve()) for folder in access.opened):
        return
    if any(real.is_relative_to(folder.resolve()) for folder in access.closed):
        raise NotAllowed(f"`{path}` lies in a folder that is no source.", path=str(path))


def _demand_no_secret(path: Path, status: os.stat_result, access: SourceAccess) -> None:
    secret = any(os.path.samestat(status, other) for other in _there(access.secrets))
    if secret or (status.st_nlink > 1 and status.st_ino in _closed_files(status.st_dev, access)):
        raise NotAllowed(f"`{path}` is a file of this service's own.", path=str(path))


def _there(paths: tuple[Path, ...]) -> Iterator[os.stat_result]:
    for path in paths:
        with suppress(OSError):
            yield path.stat()


def _closed_files(device: int, access: SourceAccess) -> Iterator[int]:
    """Yield the inodes of what lies on a device in closed folders and is not opened."""
    opened = {str(folder.resolve()) for folder in access.opened}
    for folder in access.closed:
        with suppress(OSError):
            if folder.stat().st_dev == device:
                yield from _below(str(folder.resolve()), opened)


def _below(folder: str, opened: set[str]) -> Iterator[int]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.path in opened:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, opened)
            else:
                yield entry.inode()
