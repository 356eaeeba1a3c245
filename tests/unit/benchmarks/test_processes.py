"""A command is measured with all the processes below it, and none of them outlives a deadline."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.processes import Memory, run_measured
from tests.support.machine import stretched

MIB = 2**20

BUSY = "import time\nwhile time.process_time() < {seconds}: pass"
CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"


def ended(pid: int) -> bool:
    """Return whether a process is gone, or dead and only waiting for its new parent."""
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or process.wait(timeout=5) is None
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("memory", Memory)
def test_memory_of_a_child_is_counted(memory: Memory, tmp_path: Path) -> None:
    holds = f"block = b'x' * {150 * MIB}\n{BUSY.format(seconds=0.5)}"
    code = CHILD.format(code=holds)

    measured = run_measured([sys.executable, "-c", code], tmp_path / "log", memory)

    assert measured.exit_code == 0, measured.stderr
    assert measured.peak_bytes is not None
    assert 150 * MIB < measured.peak_bytes < 250 * MIB


def test_time_is_that_of_the_command(tmp_path: Path) -> None:
    code = BUSY.format(seconds=0.3)

    measured = run_measured([sys.executable, "-c", code], tmp_path / "log")

    assert measured.cpu_seconds >= 0.3
    assert measured.seconds >= 0.3


def test_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"

    measured = run_measured([sys.executable, "-c", code], tmp_path / "log")

    assert (measured.exit_code, measured.stdout, measured.stderr) == (3, "out\n", "err\n")


def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    wait = (
        "import os, pathlib, threading\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n"
        "threading.Event().wait()"
    )

    measured = run_measured(
        [sys.executable, "-c", CHILD.format(code=wait)], tmp_path / "log", timeout_seconds=1.5
    )

    assert measured.exit_code == -9
    assert measured.seconds < stretched(10)
    assert ended(int(pid_file.read_text()))
