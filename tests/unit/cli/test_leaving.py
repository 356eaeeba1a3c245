import subprocess
import sys
import textwrap

import pytest


def ended(script: str, *, stdout: int | None = subprocess.PIPE) -> tuple[int, str, str]:
    """Run a script that leaves; return its exit code and what it printed."""
    head = "import atexit, sys\nfrom kalla_core.cli.leaving import leaving\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(script)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout or "", done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("lambda: None", 0),
        ("lambda: sys.exit()", 0),
        ("lambda: sys.exit(3)", 3),
        ("lambda: sys.exit('why')", 1),
        ("lambda: 1 / 0", 1),
        ("lambda: (_ for _ in ()).throw(KeyboardInterrupt)", 130),
    ],
)
def test_the_exit_code_is_that_of_the_command(command: str, code: int) -> None:
    assert ended(f"leaving({command}, 130)")[0] == code


def test_an_error_that_nobody_expected_is_told() -> None:
    _, _, told = ended("leaving(lambda: 1 / 0, 130)")

    assert "ZeroDivisionError" in told


def test_exit_handlers_run_and_what_was_printed_arrives() -> None:
    script = """
        atexit.register(print, "handled")
        leaving(lambda: print("done", end=""), 130)
    """

    assert ended(script)[1] == "donehandled\n"


def test_nothing_is_finalised_once_the_handlers_have_run() -> None:
    script = """
        import os
        class Held:
            def __del__(self):
                os.write(2, b"finalised")
        held = Held()
        leaving(lambda: None, 130)
    """

    assert ended(script) == (0, "", "")


READING_AHEAD = """
    import io, time
    import pyarrow as pa, pyarrow.csv
    class Slow(io.RawIOBase):
        def readable(self):
            return True
        def readinto(self, buffer):
            time.sleep(0.05)
            data = b"12345\\n" * (len(buffer) // 6)
            buffer[: len(data)] = data
            return len(data)
    def command():
        options = pa.csv.ReadOptions(block_size=6000)
        pa.csv.open_csv(pa.PythonFile(Slow(), mode="r"), read_options=options).read_next_batch()
"""


def test_a_file_that_slow_threads_of_arrow_still_read_does_not_abort_the_process() -> None:
    code, _, told = ended(f"{READING_AHEAD}\n    leaving(command, 130)")

    assert (code, told) == (0, "")
