import errno
import os
import signal

import pytest

from kalla_core.cli.failures import ExitCode, guarded
from kalla_core.cli.interrupts import SIGNALS
from kalla_core.errors import Fault, OutOfMemory, RecipeInvalid, UnknownColumn


def _raising(error: BaseException) -> ExitCode:
    raise error


@pytest.mark.parametrize(
    ("error", "exit_code", "word"),
    [
        (UnknownColumn("There is no column `amout`."), 2, "unknown_column"),
        (OutOfMemory("The sort needs more than 1 GiB."), 3, "out_of_memory"),
        (MemoryError(), 3, "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "out_of_disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 3, "out_of_disk"),
        (OSError(errno.EFBIG, "File too large"), 3, "out_of_disk"),
        (ZeroDivisionError("division by zero"), 3, "internal"),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ],
)
def test_an_error_is_one_paragraph_with_its_code(
    error: BaseException, exit_code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = guarded(lambda: _raising(error), debug=False)

    printed = capsys.readouterr()
    assert code == exit_code
    assert word in printed.err
    assert "Traceback" not in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_an_interrupt_that_came_when_all_was_done_does_not_say_that_nothing_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = KeyboardInterrupt()
    late.add_note("its evidence is complete, in out.")

    code = guarded(lambda: _raising(late), debug=False)

    assert code == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "Interrupted: its evidence is complete, in out.\n"


def test_all_faults_of_a_recipe_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [Fault("empty", "name", "is empty."), Fault("missing", "match_sql", "is missing.")]

    code = guarded(lambda: _raising(RecipeInvalid(faults)), debug=False)

    assert code == ExitCode.USER_ERROR
    assert capsys.readouterr().err.splitlines() == [
        "Error (invalid_recipe): The recipe has 2 faults:",
        "  name (empty): is empty.",
        "  match_sql (missing): is missing.",
    ]


@pytest.mark.parametrize(
    ("code", "exit_code"), [("source_not_found", 2), ("source_unavailable", 3), ("missing", 2)]
)
def test_a_single_fault_is_an_error_of_its_own(
    code: str, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault(code, "sources.left.uri", "It is not there.")

    ended = guarded(lambda: _raising(RecipeInvalid([fault])), debug=False)

    assert ended == exit_code
    assert capsys.readouterr().err == f"Error ({code}): sources.left.uri: It is not there.\n"


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code = guarded(lambda: _raising(OutOfMemory("Too big.")), debug=True)

    printed = capsys.readouterr().err
    assert code == ExitCode.SYSTEM_FAILURE
    assert "Traceback (most recent call last)" in printed
    assert printed.endswith("Error (out_of_memory): Too big.\n")


def test_passwords_are_masked_in_errors_and_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("cannot reach postgres://me:hunter2@db/books")

    guarded(lambda: _raising(error), debug=True)

    assert "hunter2" not in capsys.readouterr().err


def test_a_request_to_terminate_unwinds_what_is_running(capsys: pytest.CaptureFixture[str]) -> None:
    unwound = list[str]()

    def action() -> ExitCode:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            unwound.append("cleaned up")
        return ExitCode.SUCCEEDED

    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        code = guarded(action, debug=False)
    finally:  # the process of a command would end now
        for number, handler in before.items():
            signal.signal(number, handler)

    assert code == ExitCode.TERMINATED
    assert unwound == ["cleaned up"]
    assert "Terminated" in capsys.readouterr().err


def test_signals_are_as_before_when_a_command_has_ended() -> None:
    before = signal.getsignal(signal.SIGTERM)

    guarded(lambda: ExitCode.SUCCEEDED, debug=False)

    assert signal.getsignal(signal.SIGTERM) is before
