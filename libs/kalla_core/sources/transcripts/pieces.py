"""Bytes that are made while they are read, as a stream."""

from __future__ import annotations

from collections.abc import Iterator


class PieceStream:
    """Reads pieces of bytes one after the other; what makes them raises through `read`.

    It is what `pyarrow.PythonFile` takes.
    """

    closed = False

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """Return up to so many bytes, all that are left for a negative size; none at the end."""
        if size < 0:
            return self._joined([self._rest, *(memoryview(piece) for piece in self._pieces)])
        found, missing = [], size
        while missing:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            found.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(found[-1])
        return b"".join(found)

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def writable(self) -> bool:
        """Return that it cannot be written."""
        return False

    def seekable(self) -> bool:
        """Return that it can only be read from its start."""
        return False

    def close(self) -> None:
        """Let go of what is left."""
        self.closed = True
        self._rest = memoryview(b"")

    def _joined(self, pieces: list[memoryview]) -> bytes:
        self._rest = memoryview(b"")
        return b"".join(pieces)
