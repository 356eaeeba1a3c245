"""Spool files that other processes read: with their index at the end, under their final name.

    messages | index, a record of 40 bytes per message | records u64 | crc32 of index u32 | magic

A file under its final name is whole: it was written under another name and renamed.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kalla_core.engine.spool.spool import Segment, SpoolFile
from kalla_core.evidence.disk import disk_errors

_RECORD = np.dtype(
    [
        ("bucket", "<u4"),
        ("checksum", "<u4"),
        ("offset", "<u8"),
        ("length", "<u8"),
        ("rows", "<u8"),
        ("raw_bytes", "<u8"),
    ]
)
_TRAILER = struct.Struct("<QI4s")
_MAGIC = b"KSP2"


class NotSpooled(Exception):
    """There is no such spool file, or it is not whole."""


def publish(file: SpoolFile, path: Path) -> SpoolFile:
    """Add the index to a finished file and give it its final name, on the same file system.

    Raises:
        OutOfDisk: no room for the index.
    """
    index = pack(file.segments)
    trailer = _TRAILER.pack(len(file.segments), zlib.crc32(index), _MAGIC)
    with disk_errors(path):
        with file.path.open("ab") as end:
            end.write(index + trailer)
        os.rename(file.path, path)
    return SpoolFile(path, file.segments)


def open_published(path: Path) -> SpoolFile:
    """Return a published file with its index.

    Raises:
        NotSpooled: there is none, or it was cut short or damaged.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - _TRAILER.size, 0))
            count, crc32, magic = _TRAILER.unpack(file.read())
            start = end - _TRAILER.size - count * _RECORD.itemsize
            if magic != _MAGIC or start < 0:
                raise NotSpooled(f"{path.name} is no spool file")
            file.seek(start)
            index = file.read(count * _RECORD.itemsize)
    except (OSError, struct.error) as error:
        raise NotSpooled(f"{path.name}: {error}") from error
    if zlib.crc32(index) != crc32:
        raise NotSpooled(f"{path.name} has a damaged index")
    return SpoolFile(path, unpack(index))


def pack(segments: tuple[Segment, ...]) -> bytes:
    """Return an index as bytes."""
    records: npt.NDArray[np.void] = np.array(
        [(s.bucket, s.checksum, s.offset, s.length, s.rows, s.raw_bytes) for s in segments], _RECORD
    )
    return records.tobytes()


def unpack(index: bytes) -> tuple[Segment, ...]:
    """Return the index that `pack` made these bytes of.

    Raises:
        ValueError: they are no whole number of records.
    """
    records = np.frombuffer(index, _RECORD)
    columns = [records[name].tolist() for name in _RECORD.names or ()]
    return tuple(
        Segment(bucket, offset, length, rows, raw_bytes, checksum)
        for bucket, checksum, offset, length, rows, raw_bytes in zip(*columns, strict=True)
    )
