import errno
import io
import os

import pytest

from kalla_core.cli.console import PipeConsole, write_line


def _pipe_without_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_a_line_to_a_reader_that_has_gone_is_dropped() -> None:
    with os.fdopen(_pipe_without_reader(), "w") as stream:
        write_line(stream, "first")
        write_line(stream, "second")

    assert stream.closed


def test_a_console_whose_reader_has_gone_falls_silent() -> None:
    with os.fdopen(_pipe_without_reader(), "w") as stream:
        console = PipeConsole(file=stream)
        console.print("first")
        console.print("second")

    assert console.quiet


class FullDisk(io.StringIO):
    """A stream into a file that cannot grow."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_faults_of_a_stream_are_not_hidden() -> None:
    stream = FullDisk()

    with pytest.raises(OSError, match="No space left"):
        write_line(stream, "x")
