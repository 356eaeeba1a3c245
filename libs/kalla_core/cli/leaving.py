"""The end of a process that has used Arrow.

Arrow's threads may still hold the last reference to a Python object, a file in a bucket say, when
the interpreter is taken down; a destructor that runs then aborts the process, after all work is
done. So the process ends by itself once all that has to happen has happened: exit handlers have
run and the standard streams are flushed. Nothing is finalised.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from kalla_core.cli.interrupts import SIGNALS


def leaving(command: Callable[[], object], interrupted: int) -> NoReturn:
    """Carry out a command and end the process with its exit code.

    Args:
        command: ends by `SystemExit`, as typer's do.
        interrupted: the code if Ctrl-C comes before or after what the command says of it itself.
    """
    try:
        command()
        code = 0
    except SystemExit as end:
        code = _code(end)
    except KeyboardInterrupt:
        code = interrupted
    except OSError as error:  # what is said without a command, like the help, finds no room
        with suppress(OSError):
            print(f"Error: the output takes no more: {error.strerror}.", file=sys.stderr)
        code = 3
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads any more, or it is closed
            stream.flush()
    os._exit(code)


def leave_within(seconds: float, event: str) -> None:
    """End this process after so long with exit code 1 and this event in its log.

    For one that is told to end, and may hang in a thread that nothing reaches.
    """
    from kalla_core.observe.logs import get_logger  # heavy, and `kalla --help` needs none of it

    def leave() -> None:
        get_logger().error(event, seconds=seconds)
        os._exit(1)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def _code(end: SystemExit) -> int:
    """Return the exit code as the interpreter would."""
    if isinstance(end.code, int):
        return end.code & 0xFF
    if end.code is None:
        return 0
    print(end.code, file=sys.stderr)
    return 1
