"""The first rows of a sheet as text, for whoever has to find out where its header is."""

from __future__ import annotations

from dataclasses import replace

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.csv.glance import Glance
from kalla_core.sources.formats import FileSource
from kalla_core.sources.sheets.ods import ODS
from kalla_core.sources.sheets.xlsx import XLSX
from kalla_core.sources.transcripts.cells import DELIMITER
from kalla_core.sources.transcripts.format import UntranscribedError
from kalla_core.sources.uri import FileFormat

_MOST_BYTES = 1 << 20
_NO_HEADER = "\0"
"""What no line begins with, so that all rows are as wide as they are."""


def sheet_glance(source: FileSource, kind: FileFormat) -> Glance:
    """Look at the sheet of a source's first file that its `format` means.

    Raises:
        SourceUnreadable: it is no workbook, or no whole one.
    """
    head, whole = b"", True
    path = source.files[0].path
    found = replace(source.format, header=_NO_HEADER)
    try:
        with source.open(0) as raw:
            for piece in (ODS if kind is FileFormat.ODS else XLSX).pieces(raw, path, found):
                head += piece
                if len(head) > _MOST_BYTES:
                    whole = False
                    break
    except UntranscribedError as cause:
        raise SourceUnreadable(f"`{path}` {cause}", file=path) from cause
    return Glance(_filled_up(head), (), whole)


def _filled_up(head: bytes) -> bytes:
    """Return rows behind the first of the widest as wide as it, where half of their cells are.

    A sheet says nothing of empty cells at the end of a row.
    """
    sign = DELIMITER.encode()
    lines = head.split(b"\n")
    counts = [line.count(sign) for line in lines]
    width = max(counts)
    first = counts.index(width)
    return b"\n".join(
        line + sign * (width - count) if number > first and 2 * count >= width > 0 else line
        for number, (line, count) in enumerate(zip(lines, counts, strict=True))
    )
