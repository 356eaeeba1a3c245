"""What files are by their first bytes, whatever they are called."""

from __future__ import annotations

import re
from collections.abc import Callable

from kalla_core.sources.uri import FileFormat

_WHITE = b" \t\r\n\xef\xbb\xbf"
_CAMT = re.compile(rb"<(?:\w+:)?Document[^>]*urn:iso:std:iso:20022:tech:xsd:camt\.05[234]")
_MT940 = re.compile(rb"(?:\A|[\r\n{])\s*:20:[^\r\n]*[\s\S]{0,400}?[\r\n]:(?:25|60F|60M|28C):")
_BAI2 = re.compile(rb"\A01,[^\r\n]*,2\s*/?\s*[\r\n]+02,")
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_OBJECT = re.compile(rb'\A(?:\[\s*)?\{\s*(?:"(?:[^"\\]|\\.)*"\s*:|\})')


def _begins(*letters: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(letters)


_KINDS: tuple[tuple[FileFormat, Callable[[bytes], object], str], ...] = (
    (FileFormat.PARQUET, _begins(b"PAR1"), "it begins with PAR1, as Parquet does"),
    (FileFormat.AVRO, _begins(b"Obj\x01"), "it begins with Obj, as Avro does"),
    (FileFormat.SQLITE, _begins(b"SQLite format 3\0"), "it says that it is an SQLite database"),
    (FileFormat.DUCKDB, lambda head: head[8:12] == b"DUCK", "it has the mark of DuckDB"),
    (
        FileFormat.ODS,
        lambda head: head.startswith(b"PK\3\4") and _ODS in head[:200],
        "it is an archive that says that it is a workbook",
    ),
    (
        FileFormat.XLSX,
        lambda head: head.startswith(b"PK\3\4") and b"xl/" in head,
        "it is an archive with the parts of a workbook",
    ),
    (FileFormat.CAMT053, _CAMT.search, "its document is of the namespace of camt statements"),
    (
        FileFormat.BAI2,
        lambda head: _BAI2.match(head.lstrip(_WHITE)),
        "its first records are 01 and 02",
    ),
    (FileFormat.MT940, _MT940.search, "it has lines with :20: and :25: or :60F:"),
    (FileFormat.JSON, lambda head: _OBJECT.match(head.lstrip(_WHITE)), "it begins with an object"),
)


def recognised(head: bytes) -> tuple[FileFormat, str] | None:
    """Return what a file with these first bytes is, and what shows it; None for plain text.

    Args:
        head: the first bytes, unpacked; for a workbook all of a small file, or its first MiB.
    """
    for kind, is_it, shown in _KINDS:
        if is_it(head):
            return kind, shown
    return None
