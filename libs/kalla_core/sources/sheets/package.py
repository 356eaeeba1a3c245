"""The files that a workbook is packed of, and the XML in them."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyarrow as pa

from kalla_core.sources.csv.packed import archive
from kalla_core.sources.foreign_xml import FAULTS, local, parser
from kalla_core.sources.transcripts.format import UntranscribedError

CHUNK_BYTES = 1 << 20
_OLD_OR_LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@contextmanager
def packed_book(raw: pa.NativeFile) -> Iterator[zipfile.ZipFile]:
    """Open what a workbook is packed of.

    Raises:
        UntranscribedError: on opening or in the context, what is not whole.
    """
    try:
        head = bytes(raw.read(len(_OLD_OR_LOCKED)))
        raw.seek(0)
        if head == _OLD_OR_LOCKED:
            raise UntranscribedError(
                "is an old .xls workbook, or one with a password; save it as .xlsx without one."
            )
        with archive(raw) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as cause:
        raise UntranscribedError(f"is no whole workbook: {cause}.") from cause
    except FAULTS as cause:
        raise UntranscribedError(f"is no whole workbook: {cause}.") from cause
    except (pa.ArrowInvalid, struct.error, ValueError) as cause:  # where offsets lead nowhere
        raise UntranscribedError(f"is no whole workbook: {cause}.") from cause
    except RuntimeError as cause:  # of zipfile, where a password is wanted
        raise UntranscribedError(f"cannot be unpacked: {cause}.") from cause


def member(book: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open a file of a workbook.

    Raises:
        UntranscribedError: it is not there.
    """
    try:
        return book.open(name)
    except KeyError:
        raise UntranscribedError(f"is no whole workbook: it has no `{name}`.") from None


def elements(book: zipfile.ZipFile, name: str) -> list[tuple[str, dict[str, str]]]:
    """Return the elements of a small file in order, with their attributes; no prefixes."""
    found: list[tuple[str, dict[str, str]]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        found.append((local(tag), {local(key): value for key, value in attributes.items()}))

    made = parser(start, lambda _: None)
    with member(book, name) as file:
        made.ParseFile(file)
    return found
