import errno
import io
import os

import pytest
from rich.padding import Padding

from kalla_core.cli.console import write_line
from kalla_core.cli.pipe_console import PipeConsole


def _pipe_without_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_a_line_to_a_reader_that_has_gone_is_dropped() -> None:
    with os.fdopen(_pipe_without_reader(), "w") as stream:
        write_line(stream, "first")
        write_line(stream, "second")

    assert stream.closed


@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_whose_reader_has_gone_falls_silent(terminal: bool) -> None:
    with os.fdopen(_pipe_without_reader(), "w") as stream:
        console = PipeConsole(file=stream, force_terminal=terminal)
        console.print("first")
        console.print("second")

    assert stream.closed


def test_off_a_terminal_no_line_ends_in_blanks() -> None:
    screen = io.StringIO()

    PipeConsole(file=screen, width=40).print(Padding("a few words", (1, 3)))

    assert screen.getvalue() == "\n   a few words\n\n"


class FullDisk(io.StringIO):
    """A stream into a file that cannot grow."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_faults_of_a_stream_are_not_hidden() -> None:
    stream = FullDisk()

    with pytest.raises(OSError, match="No space left"):
        write_line(stream, "x")
