"""Files in S3 and stores that speak its language: a byte store, and the connector over it.

A file is pinned by its ETag (and its version, where the bucket keeps them and one file is asked
for): every read asks for that state only, so an object that is replaced while it is read is
`SourceChanged`, never a mixture. Only ranges are read, a few MiB ahead; nothing is kept on disk.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from kalla_core.errors import (
    KallaError,
    SourceChanged,
    SourceNotFound,
    SourceUnavailable,
    SourceUnreadable,
)
from kalla_core.s3.bucket import S3Object, bucket
from kalla_core.s3.location import S3Location
from kalla_core.s3.ranges import RangeReader
from kalla_core.s3.troubles import S3Error, Trouble
from kalla_core.sources.file_formats import FileFormats
from kalla_core.sources.files import FileConnector
from kalla_core.sources.paths import (
    DEEPEST,
    STAR,
    fixed_start,
    is_partition,
    matches,
    segments_of,
)
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.read_through import PythonFile
from kalla_core.sources.store import HIDDEN, NO_PROMISE, Promise, StoredFile, is_data


class S3Store:
    """Objects as files; a folder is what lies between a prefix and the next `/`."""

    def list(self, location: str) -> tuple[StoredFile, ...]:
        """Return the object at an address, or the objects right below it (see `ByteStore`)."""
        where = S3Location.parse(location)
        with _source_errors(where):
            if not where.is_folder:
                found = _object_at(where)
                if found is not None:
                    return (_stored(where, found),)
            if STAR in where.key:
                return self._meant(where)
            return self._listed(where)

    def open(self, file: StoredFile, promise: Promise = NO_PROMISE) -> pa.NativeFile:
        """Open an object; that it has changed is found out by reading (see `ByteStore`)."""
        where = S3Location.parse(file.path)
        pinned = _pinned(where, file)
        with _source_errors(where):
            store = bucket(where.bucket)
        stop = threading.Event()

        def fetch(start: int, end: int) -> bytes:
            with _source_errors(where):
                return store.read(pinned, start, end, stop)

        reader = RangeReader(file.size_bytes, fetch, promise.ranges, promise.turns)
        return PythonFile(reader, mode="r")

    def changed(self, file: StoredFile) -> bool:
        """Return whether an object is gone, or is another one by now."""
        where = S3Location.parse(file.path)
        with _source_errors(where):
            found = _object_at(where)
        pinned = _pinned(where, file)
        if found is None or (found.etag, found.size_bytes) != (pinned.etag, pinned.size_bytes):
            return True
        return pinned.version is not None and pinned.version != found.version

    def _meant(self, where: S3Location) -> tuple[StoredFile, ...]:
        """Return the objects that a key with stars means."""
        base, segments = fixed_start(f"/{where.key}")[1:], segments_of(f"/{where.key}")
        found = []
        for one in bucket(where.bucket).list(base).objects:
            names = one.key[len(base) :].split("/")
            hidden = any(name.startswith(HIDDEN) for name in names)
            if not hidden and is_data(names[-1]) and names[-1] and matches(names, segments):
                found.append(_stored(S3Location(where.bucket, one.key), one))
        return tuple(sorted(found, key=lambda file: file.path))

    def _listed(self, where: S3Location, depth: int = 0) -> tuple[StoredFile, ...]:
        folder = where.as_folder()
        listing = bucket(where.bucket).list(folder.key, "/")
        if not listing.objects and not listing.folders:
            raise SourceNotFound(
                f"There is neither an object `{where}` nor a folder `{folder}`.", path=str(where)
            )
        names = [prefix[len(folder.key) :].rstrip("/") for prefix in listing.folders]
        within = [name for name in names if not name.startswith(HIDDEN)]
        said = [name for name in within if is_partition(name) and depth < DEEPEST]
        if within := [name for name in within if name not in said]:
            raise SourceUnreadable(
                f"`{folder}` has a folder in it, `{within[0]}`; a source is one folder of files.",
                path=str(folder),
            )
        files = [
            _stored(S3Location(where.bucket, one.key), one)
            for one in listing.objects
            if one.key != folder.key and is_data(one.key[len(folder.key) :])
        ]
        for name in said:
            files += self._listed(S3Location(where.bucket, f"{folder.key}{name}/"), depth + 1)
        return tuple(sorted(files, key=lambda file: file.path))


def s3_files(_access: SourceAccess) -> FileConnector:
    """Return the connector for files in S3."""
    return FileConnector("s3", S3Store(), FileFormats())


def _object_at(where: S3Location) -> S3Object | None:
    """Return the object at an address; None if only the key is missing."""
    try:
        return bucket(where.bucket).head(where.key)
    except S3Error as error:
        if error.trouble is Trouble.NO_KEY:
            return None
        raise


def _stored(where: S3Location, found: S3Object) -> StoredFile:
    version = {} if found.version is None else {"version": found.version}
    return StoredFile(str(where), found.size_bytes, {"etag": found.etag, **version})


def _pinned(where: S3Location, file: StoredFile) -> S3Object:
    version = file.stamp.get("version")
    return S3Object(
        key=where.key,
        size_bytes=file.size_bytes,
        etag=str(file.stamp["etag"]),
        version=None if version is None else str(version),
    )


@contextmanager
def _source_errors(where: S3Location) -> Iterator[None]:
    """Turn an `S3Error` of the block into the error of a source, naming its address."""
    try:
        yield
    except S3Error as error:
        raise _source_error(error, where) from error


def _source_error(error: S3Error, where: S3Location) -> KallaError:
    message = f"`{where}` {error.sentence}"
    match error.trouble:
        case Trouble.NO_BUCKET:
            return SourceNotFound(message, path=str(where))
        case Trouble.NO_KEY:
            return SourceChanged(f"`{where}` is gone.", path=str(where))
        case Trouble.CHANGED:
            return SourceChanged(f"`{where}` has changed since it was pinned.", path=str(where))
        case Trouble.BUSY | Trouble.CONFLICT:
            return SourceUnavailable(message, path=str(where))
        case _:
            return SourceUnreadable(message, path=str(where))
