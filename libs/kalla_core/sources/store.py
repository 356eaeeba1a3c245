"""What a place that keeps files offers, and the values that name a file in it.

A byte store lists, opens and checks files; formats (`csv`, `parquet`) do the rest, so that a new
place is one class with these three methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import pyarrow as pa

from kalla_core.sources.protocol import JsonObject


@dataclass(frozen=True, slots=True)
class Promise:
    """Which bytes of a file will be read, so that a store far away can fetch them ahead.

    Attributes:
        ranges: offsets `[start, end)`, ascending and disjoint, each read from start to end.
        turns: how many of them are read at the same time, taking turns.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    turns: int = 1


NO_PROMISE = Promise()

HIDDEN = (".", "_")
"""What the names of files and folders begin with that are passed over."""

_NO_DATA_ENDS = ("~", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".swp", ".lock")
_LITTER = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
"""What systems leave in folders that people look at."""


def is_data(name: str) -> bool:
    """Return whether a file of a folder is data by its name: not hidden, locked or half written."""
    low = name.lower()
    if name.startswith((*HIDDEN, "~$")) or low in _LITTER:
        return False
    return not low.endswith(_NO_DATA_ENDS)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it was when the source was pinned.

    Attributes:
        path: what the store opens it by; also what messages call it.
        stamp: what changes when the content does, beside the size: `mtime_ns` or `etag`.
    """

    path: str
    size_bytes: int
    stamp: Mapping[str, str | int]

    @property
    def name(self) -> str:
        """The last piece of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def as_json(self) -> JsonObject:
        """Return the file as it goes into a pin."""
        return {"path": self.path, "size_bytes": self.size_bytes, **self.stamp}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> StoredFile:
        """Return the file that `as_json` wrote."""
        stamp = {k: v for k, v in document.items() if k not in ("path", "size_bytes")}
        return StoredFile(
            path=cast("str", document["path"]),
            size_bytes=cast("int", document["size_bytes"]),
            stamp=stamp,
        )


class ByteStore(Protocol):
    """A place that keeps files. Safe to use from several threads."""

    def list(self, location: str) -> tuple[StoredFile, ...]:
        """Return the file at `location`, or the files right in that folder, sorted by path.

        Files that are no data (see `is_data`) are left out of folders.

        Raises:
            SourceNotFound: nothing is there.
            SourceUnreadable: it may not be read, or the folder has folders in it.
            SourceUnavailable: the store does not answer.
        """
        ...

    def open(self, file: StoredFile, promise: Promise = NO_PROMISE) -> pa.NativeFile:
        """Open for reading at any position.

        Args:
            file: as it was listed.
            promise: what will be read; other reads are possible as well.

        Raises:
            SourceChanged: it is not, or no longer, what was listed; reading may raise it too,
                and so the others.
            SourceUnreadable: it may not be read.
            SourceUnavailable: the store does not answer.
        """
        ...

    def changed(self, file: StoredFile) -> bool:
        """Return whether the file is gone or is no longer what was listed."""
        ...
