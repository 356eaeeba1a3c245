import os
import signal
import subprocess
import sys
import textwrap

import pytest

HEAD = """
import os, signal, sys, time
from kalla_core.cli import INTERRUPTED
from kalla_core.cli.apart import apart
from kalla_core.cli.failures import ExitCode, guarded
from kalla_core.cli.leaving import leaving

def main(action):
    leaving(lambda: sys.exit(guarded(lambda: apart(action), debug=False)), INTERRUPTED)
"""


def started(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(script: str) -> tuple[int, str, str]:
    process = started(script)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_what_a_command_prints_and_its_exit_code_are_those_of_the_whole() -> None:
    script = """
        def action():
            print("rows")
            return ExitCode.UNMATCHED
        main(action)
    """

    assert ended(script) == (1, "rows\n", "")


@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV"])
def test_a_file_that_brings_its_reader_down_is_told_of_as_damaged(name: str) -> None:
    code, _, told = ended(f"main(lambda: os.kill(os.getpid(), signal.{name}))")

    assert code == 2
    assert told.startswith("Error (source_unreadable): ")
    assert name in told


def test_a_file_that_takes_all_memory_is_stopped() -> None:
    code, _, told = ended("main(lambda: (b'x' * (1500 << 20), time.sleep(60)))")

    assert code == 3
    assert told.startswith("Error (out_of_memory): ")


def test_a_command_that_somebody_stopped_is_not_waited_for() -> None:
    script = """
        from kalla_core.engine.processes import vitals
        vitals.MOST_STILL_S = 0.5
        main(lambda: (os.kill(os.getpid(), signal.SIGSTOP), time.sleep(60)))
    """

    code, _, told = ended(script)

    assert code == 3
    assert "SIGSTOP" in told


def test_ctrl_c_is_told_once_and_leaves_no_process_behind() -> None:
    process = started("main(lambda: (print('begun', flush=True), time.sleep(60)))")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"

    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)

    assert process.returncode == 130
    assert told.count("Interrupted") == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
