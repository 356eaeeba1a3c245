"""From an error to one readable paragraph and an exit code."""

from __future__ import annotations

import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from enum import IntEnum

from kalla_core.cli.console import write_line
from kalla_core.cli.interrupts import Terminated, unwinding
from kalla_core.errors import Fault, KallaError, OutputExists, RecipeInvalid, SystemFailure
from kalla_core.evidence.disk import is_full
from kalla_core.observe.secrets import mask_text
from kalla_core.recipe.paths import DOCUMENT

_WIDEST = 100
_REMEDIES = {OutputExists.code: "--overwrite replaces it."}


class ExitCode(IntEnum):
    """What the process tells its caller; the first four are a promise (manual, exit codes)."""

    SUCCEEDED = 0
    UNMATCHED = 1
    USER_ERROR = 2
    SYSTEM_FAILURE = 3
    INTERRUPTED = 130
    TERMINATED = 143


def guarded(action: Callable[[], ExitCode], *, debug: bool) -> ExitCode:
    """Carry out a command; whatever it raises becomes a paragraph on standard error.

    With `debug` the traceback comes before it.
    """
    try:
        with unwinding():
            return action()
    except KeyboardInterrupt as stop:
        ended = isinstance(stop, Terminated)
        done = " ".join(getattr(stop, "__notes__", ()))
        _say("Terminated" if ended else "Interrupted", done or "nothing was left behind.")
        return ExitCode.TERMINATED if ended else ExitCode.INTERRUPTED
    except Exception as error:
        if debug:
            write_line(sys.stderr, mask_text("".join(traceback.format_exception(error))))
        code, message, exit_code = _account(error)
        _say(f"Error ({code})", message)
        return exit_code


def _account(error: Exception) -> tuple[str, str, ExitCode]:
    """Return the code, the sentence and the exit code of an error."""
    if isinstance(error, RecipeInvalid) and error.faults:
        return _faults(error.faults)
    if isinstance(error, KallaError):
        sentences = [str(error), *filter(None, [_REMEDIES.get(error.code)])]
        return error.code, " ".join(sentences), _exit_code(error.code)
    if isinstance(error, MemoryError):
        message = "There is not enough memory; a lower --memory-limit makes Kalla use the disk."
        return "out_of_memory", message, ExitCode.SYSTEM_FAILURE
    if isinstance(error, OSError) and is_full(error):
        return "out_of_disk", f"No space is left: {error}", ExitCode.SYSTEM_FAILURE
    message = (
        f"Kalla failed in a way it does not know ({type(error).__name__}: {error}). "
        "That is a fault of Kalla; --debug shows where it happened."
    )
    return "internal", message, ExitCode.SYSTEM_FAILURE


def _faults(faults: Sequence[Fault]) -> tuple[str, str, ExitCode]:
    """Return one fault as an error of its own, and several as a list."""
    codes = {_exit_code(fault.code) for fault in faults}
    exit_code = ExitCode.USER_ERROR if ExitCode.USER_ERROR in codes else ExitCode.SYSTEM_FAILURE
    if len(faults) == 1 and faults[0].path == DOCUMENT:
        return RecipeInvalid.code, faults[0].message, exit_code
    if len(faults) == 1:
        return faults[0].code, f"{faults[0].path}: {faults[0].message}", exit_code
    lines = [f"  {fault.path} ({fault.code}): {fault.message}" for fault in faults]
    head = f"The recipe has {len(faults)} faults:"
    return RecipeInvalid.code, "\n".join([head, *lines]), exit_code


def _exit_code(code: str) -> ExitCode:
    """Return whose turn it is; a code without an error of its own is a recipe's."""
    system = {error.code for error in SystemFailure.__subclasses__()}
    return ExitCode.SYSTEM_FAILURE if code in system else ExitCode.USER_ERROR


def _say(head: str, message: str) -> None:
    text = mask_text(f"{head}: {message}")
    if sys.stderr.isatty():
        text = "\n".join(_wrapped(line) for line in text.splitlines())
    write_line(sys.stderr, text)


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(line, _WIDEST, subsequent_indent=indent, break_long_words=False)
