"""Lines of a log that cannot be written."""

from __future__ import annotations

import io

from kalla_core.observe.logs import configure_logs, get_logger
from kalla_core.observe.steady import Steady
from kalla_core.settings import LogFormat, LogLevel


class Disk(io.StringIO):
    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_a_line_without_room_hurts_nobody_and_is_counted_in_the_next_that_has_room():
    disk = Disk()
    stream = Steady(disk)

    stream.write("one\n")
    stream.write("two\n")
    disk.full = False
    stream.write("three\n")
    stream.write("four\n")

    assert disk.getvalue() == '{"event": "log_lines_lost", "lines": 2}\nthree\nfour\n'


def test_a_log_into_a_stream_that_is_closed_is_no_error_of_whoever_tells():
    disk = Disk()
    configure_logs(LogLevel.INFO, LogFormat.JSON, disk)
    disk.close()

    get_logger().error("said_to_nobody")

    assert disk.closed
