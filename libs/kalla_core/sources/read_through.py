"""Files of Python and packed files as Arrow has them, of which a reading that fails keeps nothing.

Where reading raises, `pyarrow.NativeFile.read` never frees the bytes that it made room for, some
MiB each time: a process that looks at damaged files again and again would lose its address space.
"""

from __future__ import annotations

import pyarrow as pa


class PythonFile(pa.PythonFile):  # type: ignore[misc]
    """A file of Python."""

    def read(self, nbytes: int | None = None) -> bytes:
        """Return up to so many bytes, all that are left for None."""
        if nbytes is None or nbytes < 0:
            return bytes(super().read())
        return bytes(self.read_buffer(nbytes))


class CompressedInputStream(pa.CompressedInputStream):  # type: ignore[misc]
    """What is packed in a file."""

    def read(self, nbytes: int | None = None) -> bytes:
        """Return up to so many bytes, all that are left for None."""
        if nbytes is None or nbytes < 0:
            return bytes(super().read())
        return bytes(self.read_buffer(nbytes))
