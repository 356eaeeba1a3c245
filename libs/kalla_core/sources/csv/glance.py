"""The first and last bytes of a file, for whoever has to find out how it is written."""

from __future__ import annotations

from dataclasses import dataclass

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.csv.packed import NotUnpackedError, unpacked
from kalla_core.sources.formats import FileSource
from kalla_core.sources.uri import FileFormat

_HEAD_BYTES = 1 << 20
_TAIL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Glance:
    """The beginning of a file and, where that is not all of it, its last lines.

    Attributes:
        tail: none for a file that has to be unpacked, whose end is far away.
        whole: whether `head` is all of it.
        kind: what the file is, by its URI or its first bytes; `said` is what URI and ending say.
        shown: what in the bytes shows the kind; empty where nothing does.
    """

    head: bytes
    tail: tuple[bytes, ...]
    whole: bool
    kind: FileFormat = FileFormat.CSV
    said: FileFormat | None = None
    shown: str = ""


def glance_at(source: FileSource, index: int) -> Glance:
    """Look at one of a source's files.

    Raises:
        SourceUnreadable: it cannot be unpacked.
    """
    file = source.files[index]
    try:
        with source.open(index) as raw, unpacked(raw, file.path) as stream:
            head = bytes(stream.read(_HEAD_BYTES))
            whole = not stream.read(1)
            if whole or stream is not raw:
                return Glance(head, (), whole)
            raw.seek(max(file.size_bytes - _TAIL_BYTES, 0))
            return Glance(head, tuple(bytes(raw.read()).split(b"\n")[1:]), whole)
    except NotUnpackedError as cause:
        source.check_unchanged(index)
        raise SourceUnreadable(f"`{file.path}` {cause}", file=file.path) from cause
