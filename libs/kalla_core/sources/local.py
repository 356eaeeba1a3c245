"""Files of this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pyarrow as pa

from kalla_core.errors import SourceChanged, SourceNotFound, SourceUnavailable, SourceUnreadable
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.store import NO_PROMISE, Promise, StoredFile
from kalla_core.sources.uri import check_allowed

_HIDDEN = (".", "_")


class LocalStore:
    """Local files; what counts as a change is another size or modification time."""

    def __init__(self, access: SourceAccess) -> None:
        self._access = access

    def list(self, location: str) -> tuple[StoredFile, ...]:
        """Return the file at the path, or the files right in that folder (see `ByteStore`)."""
        path = Path(location).absolute()
        check_allowed(path, self._access.allowed_roots)
        try:
            if path.is_dir():
                return self._listed(path)
            return (_pinned(path),)
        except (FileNotFoundError, NotADirectoryError):
            raise SourceNotFound(f"There is no file or folder `{path}`.", path=str(path)) from None
        except PermissionError:
            raise SourceUnreadable(f"`{path}` may not be read.", path=str(path)) from None
        except OSError as cause:
            raise _unavailable(str(path), cause) from cause

    def open(self, file: StoredFile, promise: Promise = NO_PROMISE) -> pa.NativeFile:
        """Open a file that is still as it was pinned (see `ByteStore`)."""
        check_allowed(Path(file.path), self._access.allowed_roots)
        try:
            handle = pa.OSFile(file.path, "rb")
        except FileNotFoundError:
            raise SourceChanged(f"`{file.path}` is gone.", path=file.path) from None
        except PermissionError:
            raise SourceUnreadable(f"`{file.path}` may not be read.", path=file.path) from None
        except OSError as cause:
            raise _unavailable(file.path, cause) from cause
        if self.changed(file):
            handle.close()
            raise SourceChanged(f"`{file.path}` has changed since it was pinned.", path=file.path)
        return handle

    def changed(self, file: StoredFile) -> bool:
        """Return whether size or modification time are no longer those of `file`."""
        try:
            return _pinned(Path(file.path)) != file
        except OSError:
            return True

    def _listed(self, folder: Path) -> tuple[StoredFile, ...]:
        files = []
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.startswith(_HIDDEN):
                continue
            check_allowed(entry, self._access.allowed_roots)
            if entry.is_dir():
                raise SourceUnreadable(
                    f"`{folder}` has a folder in it, `{entry.name}`; a source is one folder of"
                    " files.",
                    path=str(folder),
                )
            files.append(_pinned(entry))
        return tuple(files)


def _pinned(path: Path) -> StoredFile:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise SourceUnreadable(f"`{path}` is neither a file nor a folder.", path=str(path))
    return StoredFile(str(path), status.st_size, {"mtime_ns": status.st_mtime_ns})


def _unavailable(path: str, cause: OSError) -> SourceUnavailable:
    return SourceUnavailable(f"`{path}` cannot be read: {cause.strerror or cause}.", path=path)
