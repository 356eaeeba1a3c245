"""Files of this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from kalla_core.errors import SourceChanged, SourceNotFound, SourceUnavailable, SourceUnreadable
from kalla_core.held import NotRegularError
from kalla_core.sources.doors import check_reachable, open_reachable
from kalla_core.sources.paths import (
    ANY_DEPTH,
    DEEPEST,
    STAR,
    fixed_start,
    is_partition,
    matches_name,
    segments_of,
)
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.store import HIDDEN, NO_PROMISE, Promise, StoredFile, is_data


class LocalStore:
    """Local files; what counts as a change is another size or modification time."""

    def __init__(self, access: SourceAccess) -> None:
        self._access = access

    def list(self, location: str) -> tuple[StoredFile, ...]:
        """Return the file at the path, or the files right in that folder (see `ByteStore`)."""
        path = Path(location).absolute()
        try:
            if STAR in location and not path.exists():
                base = Path(fixed_start(str(path)))
                check_reachable(base, self._access)
                return tuple(self._meant(base, segments_of(_kept_slash(location, path))))
            real = check_reachable(path, self._access)
            if real.is_dir():
                return self._listed(path)
            return (_pinned(path, os.stat(path)),)
        except (FileNotFoundError, NotADirectoryError):
            raise SourceNotFound(f"There is no file or folder `{path}`.", path=str(path)) from None
        except PermissionError:
            raise SourceUnreadable(f"`{path}` may not be read.", path=str(path)) from None
        except OSError as cause:
            raise _unavailable(str(path), cause) from cause

    def open(self, file: StoredFile, promise: Promise = NO_PROMISE) -> pa.NativeFile:
        """Open a file that is still as it was pinned (see `ByteStore`)."""
        try:
            with closing(open_reachable(Path(file.path), self._access)) as held:
                if _pinned(Path(file.path), held.status) != file:
                    raise SourceChanged(
                        f"`{file.path}` has changed since it was pinned.", path=file.path
                    )
                return held.arrow()
        except FileNotFoundError:
            raise SourceChanged(f"`{file.path}` is gone.", path=file.path) from None
        except NotRegularError:
            raise SourceChanged(f"`{file.path}` is no file any more.", path=file.path) from None
        except PermissionError:
            raise SourceUnreadable(f"`{file.path}` may not be read.", path=file.path) from None
        except OSError as cause:
            raise _unavailable(file.path, cause) from cause

    def changed(self, file: StoredFile) -> bool:
        """Return whether size or modification time are no longer those of `file`."""
        path = Path(file.path)
        try:
            return _pinned(path, os.stat(path)) != file
        except OSError:
            return True

    def _meant(self, folder: Path, segments: Sequence[str], depth: int = 0) -> Iterator[StoredFile]:
        """Yield the files below a folder that segments with stars mean."""
        if depth > DEEPEST:
            raise SourceUnreadable(f"`{folder}` lies too deep.", path=str(folder))
        first, rest = segments[0], segments[1:]
        anywhere = first == ANY_DEPTH
        if anywhere and rest:
            yield from self._meant(folder, rest, depth + 1)
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.startswith(HIDDEN) or not matches_name(entry.name, first):
                continue
            if check_reachable(entry, self._access).is_dir():
                if anywhere:
                    yield from self._meant(entry, segments, depth + 1)
                elif rest:
                    yield from self._meant(entry, rest, depth + 1)
            elif not rest and is_data(entry.name):
                yield _pinned(entry, os.stat(entry))

    def _listed(self, folder: Path, depth: int = 0) -> tuple[StoredFile, ...]:
        files: list[StoredFile] = []
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.startswith(HIDDEN):
                continue
            if check_reachable(entry, self._access).is_dir():
                if is_partition(entry.name) and depth < DEEPEST:
                    files += self._listed(entry, depth + 1)
                    continue
                raise SourceUnreadable(
                    f"`{folder}` has a folder in it, `{entry.name}`; a source is one folder of"
                    " files.",
                    path=str(folder),
                )
            if is_data(entry.name):
                files.append(_pinned(entry, os.stat(entry)))
        return tuple(files)


def _kept_slash(location: str, path: Path) -> str:
    return f"{path}/" if location.endswith("/") else str(path)


def _pinned(path: Path, status: os.stat_result) -> StoredFile:
    if not stat.S_ISREG(status.st_mode):
        raise SourceUnreadable(f"`{path}` is neither a file nor a folder.", path=str(path))
    return StoredFile(str(path), status.st_size, {"mtime_ns": status.st_mtime_ns})


def _unavailable(path: str, cause: OSError) -> SourceUnavailable:
    return SourceUnavailable(f"`{path}` cannot be read: {cause.strerror or cause}.", path=path)
