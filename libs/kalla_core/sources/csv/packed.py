"""Files that are packed, by the ending of their names: gzip, zstd, and zip archives of one file."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from kalla_core.sources.read_through import CompressedInputStream, PythonFile

_ENDINGS = {".gz": "gzip", ".zst": "zstd", ".zip": "zip"}
_OTHER = ("__MACOSX/", ".")
"""What names of members begin with that a system has put into an archive by itself."""


class NotUnpackedError(Exception):
    """What a file holds cannot be had; the message is a sentence without its subject."""


def packing_of(path: str) -> str | None:
    """Return what a file is packed with; None where it is not."""
    name = path.lower()
    return next((how for ending, how in _ENDINGS.items() if name.endswith(ending)), None)


@contextmanager
def unpacked(raw: pa.NativeFile, path: str) -> Iterator[pa.NativeFile]:
    """Open what a file holds; the file itself where it is not packed.

    Raises:
        NotUnpackedError: on opening or in the context.
    """
    how = packing_of(path)
    try:
        if how is None:
            yield raw
        elif how == "zip":
            with archive(raw) as held, held.open(_only(held)) as member:
                yield PythonFile(member, mode="r")
        else:
            with CompressedInputStream(raw, how) as stream:
                yield stream
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as cause:
        raise NotUnpackedError(f"is no whole zip archive: {cause}.") from cause
    except (pa.ArrowInvalid, struct.error, ValueError) as cause:
        if how != "zip":
            raise
        raise NotUnpackedError(f"is no whole zip archive: {cause}.") from cause
    except OSError as cause:
        if how is None:
            raise
        raise NotUnpackedError(f"is no whole {how} file: {cause}.") from cause


def archive(raw: pa.NativeFile) -> zipfile.ZipFile:
    """Open a zip archive; raises `zipfile.BadZipFile` also where it is too short."""
    try:
        return zipfile.ZipFile(raw)
    except pa.ArrowInvalid as cause:  # it looks for the directory before the file's start
        raise zipfile.BadZipFile("it is too short") from cause


def _only(packed: zipfile.ZipFile) -> zipfile.ZipInfo:
    held = [
        one for one in packed.infolist()
        if not one.is_dir() and not one.filename.startswith(_OTHER)
    ]  # fmt: skip
    if len(held) != 1:
        names = ", ".join(f"`{one.filename}`" for one in held[:3])
        holds = f"{len(held)} files, {names}" if held else "no file"
        raise NotUnpackedError(f"holds {holds}; an archive is read that holds one.")
    if held[0].flag_bits & 1:
        raise NotUnpackedError(f"is encrypted: `{held[0].filename}` cannot be read.")
    return held[0]
