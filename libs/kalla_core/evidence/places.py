"""Where evidence is read from: a folder or a prefix in S3, as files by name."""

from __future__ import annotations

import os
import threading
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from kalla_core.errors import KallaError, OutputUnavailable, SourceNotFound, SourceUnreadable
from kalla_core.evidence.schema import METADATA
from kalla_core.s3.bucket import bucket
from kalla_core.s3.location import S3Location, is_s3
from kalla_core.s3.ranges import RangeReader
from kalla_core.s3.troubles import S3Error, Trouble

_MISSING = (Trouble.NO_KEY, Trouble.NO_BUCKET)


class Place(Protocol):
    """A place that evidence was written to."""

    def path(self, name: str) -> str:
        """Return a file's name as messages show it."""
        ...

    def document(self) -> bytes:
        """Return metadata.json.

        Raises:
            SourceNotFound: there is none.
            SourceUnreadable, OutputUnavailable: it cannot be read, for good or now.
        """
        ...

    def open(self, name: str) -> tuple[BufferedReader | RangeReader, int]:
        """Open a file; return it and its size. It stays what it was, or reading it fails.

        Raises:
            SourceUnreadable, OutputUnavailable: it cannot be read, for good or now.
        """
        ...


def place_of(location: str | Path) -> Place:
    """Return the place that a path or an address in S3 names.

    Raises:
        InvalidUri: an address in S3 that is none.
    """
    if isinstance(location, str) and is_s3(location):
        return _Prefix(S3Location.parse(location).as_folder())
    return _Folder(Path(location))


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> str:
        return str(self._folder / name)

    def document(self) -> bytes:
        try:
            return (self._folder / METADATA).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _nothing(str(self._folder)) from error
        except OSError as error:
            path = self.path(METADATA)
            raise OutputUnavailable(
                f"The evidence {path} cannot be read now ({error.strerror}).", path=path
            ) from error

    def open(self, name: str) -> tuple[BufferedReader, int]:
        try:
            file = (self._folder / name).open("rb")
        except OSError as error:
            raise unreadable(self.path(name), str(error.strerror)) from error
        return file, os.fstat(file.fileno()).st_size


class _Prefix:
    def __init__(self, prefix: S3Location) -> None:
        self._prefix = prefix

    def path(self, name: str) -> str:
        return str(self._prefix.below(name))

    def document(self) -> bytes:
        try:
            return bucket(self._prefix.bucket).get(self._prefix.below(METADATA).key).body
        except S3Error as error:
            if error.trouble in _MISSING:
                raise _nothing(str(self._prefix)) from error
            raise self._failed(METADATA, error) from error

    def open(self, name: str) -> tuple[RangeReader, int]:
        store = bucket(self._prefix.bucket)
        try:
            found = store.head(self._prefix.below(name).key)
        except S3Error as error:
            raise self._failed(name, error) from error
        stop = threading.Event()

        def fetch(start: int, end: int) -> bytes:
            try:
                return store.read(found, start, end, stop)
            except S3Error as error:
                raise self._failed(name, error) from error

        promised = ((0, found.size_bytes),)
        return RangeReader(found.size_bytes, fetch, promised), found.size_bytes

    def _failed(self, name: str, error: S3Error) -> KallaError:
        path = self.path(name)
        if error.trouble is Trouble.BUSY:
            return OutputUnavailable(f"The evidence {path} {error.sentence}", path=path)
        return unreadable(path, error.sentence.rstrip("."))


def unreadable(path: str, why: str) -> SourceUnreadable:
    """Return the error for a file that is not there or may not be read."""
    return SourceUnreadable(
        f"The evidence file {path} is damaged: it cannot be read ({why}).", path=path
    )


def _nothing(where: str) -> SourceNotFound:
    return SourceNotFound(f"There is no complete evidence in {where}.")
