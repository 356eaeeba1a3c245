"""Where evidence is read from: a folder or a prefix in S3, as files by name."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kalla_core.errors import KallaError, OutputUnavailable, SourceNotFound, SourceUnreadable
from kalla_core.evidence.held import open_held
from kalla_core.evidence.names import METADATA
from kalla_core.s3.bucket import bucket
from kalla_core.s3.location import S3Location, is_s3
from kalla_core.s3.ranges import RangeReader
from kalla_core.s3.troubles import S3Error, Trouble

MAX_METADATA_BYTES = 64 << 20
"""More than any run writes: a thousand part files take a quarter of a megabyte."""

_HASHED_BYTES = 1 << 20
_NEVER = (errno.ELOOP, errno.ENXIO)
"""Behind a link, no regular file: that does not mend itself."""

_MISSING = (Trouble.NO_KEY, Trouble.NO_BUCKET)


class StoredFile(Protocol):
    """A file of evidence, held open: its bytes stay what they are, or reading them fails."""

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        ...

    def arrow(self) -> Any:
        """Return what `pyarrow.parquet.ParquetFile` reads."""
        ...

    def reader(self) -> io.BufferedReader | RangeReader:
        """Return its bytes from the start, for as long as it is held."""
        ...

    def sha256(self) -> str:
        """Return the SHA-256 of all bytes, in hexadecimal."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


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

    def open(self, name: str) -> StoredFile:
        """Open a file; the caller closes it.

        Raises:
            SourceUnreadable, OutputUnavailable: it cannot be read, for good or now.
        """
        ...


def place_of(location: str | Path, *, settled: bool = False) -> Place:
    """Return the place that a path or an address in S3 names.

    Args:
        location: of a run's evidence.
        settled: the path has no links in it; if it has some now, somebody else put them there,
            and there is no evidence.

    Raises:
        InvalidUri: an address in S3 that is none.
    """
    if isinstance(location, str) and is_s3(location):
        return _Prefix(S3Location.parse(location).as_folder())
    return _Folder(Path(location) if settled else Path(os.path.realpath(location)))


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> str:
        return str(self._folder / name)

    def document(self) -> bytes:
        path = self.path(METADATA)
        try:
            file = open_held(self._folder, METADATA)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _nothing(str(self._folder)) from error
        except OSError as error:
            if error.errno in _NEVER:
                raise unreadable(path, _said(error)) from error
            raise OutputUnavailable(
                f"The evidence {path} cannot be read now ({error.strerror}).", path=path
            ) from error
        try:
            _check_length(path, file.size_bytes)
            return file.reader().read(MAX_METADATA_BYTES)
        finally:
            file.close()

    def open(self, name: str) -> StoredFile:
        try:
            return open_held(self._folder, name)
        except OSError as error:
            raise unreadable(self.path(name), _said(error)) from error


class _Prefix:
    def __init__(self, prefix: S3Location) -> None:
        self._prefix = prefix

    def path(self, name: str) -> str:
        return str(self._prefix.below(name))

    def document(self) -> bytes:
        key, store = self._prefix.below(METADATA).key, bucket(self._prefix.bucket)
        try:
            found = store.head(key)
            _check_length(self.path(METADATA), found.size_bytes)
            return store.read(found, 0, found.size_bytes, threading.Event())
        except S3Error as error:
            if error.trouble in _MISSING:
                raise _nothing(str(self._prefix)) from error
            raise self._failed(METADATA, error) from error

    def open(self, name: str) -> StoredFile:
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

        return _Object(found.size_bytes, fetch, stop)

    def _failed(self, name: str, error: S3Error) -> KallaError:
        path = self.path(name)
        if error.trouble is Trouble.BUSY:
            return OutputUnavailable(f"The evidence {path} {error.sentence}", path=path)
        return unreadable(path, error.sentence.rstrip("."))


@dataclass(frozen=True, slots=True)
class _Object:
    """One state of an object in S3, read by ranges."""

    size_bytes: int
    _fetch: Callable[[int, int], bytes]
    _stop: threading.Event

    def arrow(self) -> RangeReader:
        return self.reader()

    def reader(self) -> RangeReader:
        return RangeReader(self.size_bytes, self._fetch, ((0, self.size_bytes),))

    def sha256(self) -> str:
        digest = hashlib.sha256()
        with self.reader() as bytes_of:
            while data := bytes_of.read(_HASHED_BYTES):
                digest.update(data)
        return digest.hexdigest()

    def close(self) -> None:
        self._stop.set()


def unreadable(path: str, why: str) -> SourceUnreadable:
    """Return the error for a file that is not there or may not be read."""
    return SourceUnreadable(
        f"The evidence file {path} is damaged: it cannot be read ({why}).", path=path
    )


def _nothing(where: str) -> SourceNotFound:
    return SourceNotFound(f"There is no complete evidence in {where}.")


def _said(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a symbolic link lies in its place"
    return error.strerror or str(error)


def _check_length(path: str, size_bytes: int) -> None:
    if size_bytes > MAX_METADATA_BYTES:
        raise unreadable(path, f"it has {size_bytes} bytes, more than any run writes")
