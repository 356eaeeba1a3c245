"""What becomes of a process that is asked to end, once or many times."""

import subprocess
import sys
import textwrap

import pytest

HEAD = """
import os, signal, sys, time
from kalla_core.cli import interrupts
from kalla_core.cli.failures import ExitCode, guarded
def ask(number): os.kill(os.getpid(), number)
"""


def ended(script: str) -> tuple[int, str]:
    """Run a script; return its exit code and what it said on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("SIGINT", (130, "Interrupted: nothing was left behind.\n")),
        ("SIGTERM", (143, "Terminated: nothing was left behind.\n")),
        ("SIGHUP", (143, "Terminated: nothing was left behind.\n")),
    ],
)
def test_a_request_before_anything_began_is_answered_at_once(
    name: str, answer: tuple[int, str]
) -> None:
    script = f"interrupts.heed(); ask(signal.{name}); time.sleep(30)"

    assert ended(script) == answer


def test_what_is_cleaned_up_is_cleaned_up_whatever_comes_meanwhile() -> None:
    script = """
        def action():
            try:
                ask(signal.SIGINT)
            finally:
                for number in interrupts.SIGNALS * 20:
                    ask(number)
                print("cleaned up", file=sys.stderr)
        sys.exit(guarded(action, debug=False))
    """

    assert ended(script) == (130, "cleaned up\nInterrupted: nothing was left behind.\n")


def test_one_that_does_not_come_to_an_end_is_ended_by_a_later_request() -> None:
    script = """
        interrupts.UNWINDING_S = 0.05
        def action():
            try:
                ask(signal.SIGTERM)
            finally:
                time.sleep(0.1)
                ask(signal.SIGTERM)
                time.sleep(30)
        guarded(action, debug=False)
    """

    code, said = ended(script)

    assert code == 143
    assert said.startswith("Terminated: it did not come to an end")


def test_a_request_after_the_work_is_done_changes_nothing() -> None:
    script = """
        interrupts.heed()
        code = guarded(lambda: ExitCode.SUCCEEDED, debug=False)
        ask(signal.SIGTERM)
        sys.exit(code)
    """

    assert ended(script) == (0, "")


def test_what_nohup_ignores_is_ignored_on() -> None:
    script = """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        interrupts.heed()
        def action():
            ask(signal.SIGHUP)
            return ExitCode.SUCCEEDED
        sys.exit(guarded(action, debug=False))
    """

    assert ended(script) == (0, "")
