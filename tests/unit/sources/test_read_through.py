from __future__ import annotations

import gzip
import io
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from kalla_core.sources.read_through import CompressedInputStream, PythonFile

LARGE = 64 << 20


class Broken(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        raise ValueError("damaged")


def test_bytes_come_as_they_are_asked_for() -> None:
    plain = PythonFile(io.BytesIO(b"abcdef"), mode="r")
    packed = CompressedInputStream(io.BytesIO(gzip.compress(b"abcdef")), "gzip")

    assert [plain.read(2), plain.read(), plain.read(9)] == [b"ab", b"cdef", b""]
    assert [packed.read(2), packed.read(), packed.read(9)] == [b"ab", b"cdef", b""]


@pytest.mark.skipif(not Path("/proc").exists(), reason="address space is told by /proc")
@pytest.mark.parametrize("packed", [False, True])
def test_a_reading_that_fails_keeps_no_memory(packed: bool) -> None:
    data = gzip.compress(bytes(1 << 20))[:200]
    before = psutil.Process().memory_info().vms

    for _ in range(40):
        opened = (
            CompressedInputStream(io.BytesIO(data), "gzip")
            if packed
            else PythonFile(Broken(), mode="r")
        )
        with pytest.raises((ValueError, OSError, pa.ArrowException)):
            opened.read(LARGE)

    assert psutil.Process().memory_info().vms - before < 20 * LARGE
