"""Commands that read other people's files, in a process of their own.

A damaged Parquet file can bring down the process that reads it, or have it take all memory. The
process that was started does not read any; it says what became of the one that did.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from kalla_core.cli import INTERRUPTED
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.leaving import leaving
from kalla_core.engine.processes.forked import die_with, heed_by_default, requests_held
from kalla_core.engine.processes.spawned import is_over
from kalla_core.engine.processes.vitals import MOST_STILL_S, Standstill, private_bytes
from kalla_core.errors import Crashed, OutOfMemory, SourceUnreadable
from kalla_core.machine import memory_bytes

MOST_BYTES = 1 << 30
_LOOK_INTERVAL_S = 0.02
_LAST_BREATH_S = 0.001
"""From when a child lets go of all it holds to its end, and what a loop takes at least."""


def apart(action: Callable[[], ExitCode]) -> ExitCode:
    """Carry out a command in a fork of this process, which has to be of one thread.

    Raises:
        SourceUnreadable: what it read brought it down.
        OutOfMemory: it took more memory than any answer needs.
        Crashed: it was stopped from outside and did not go on.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    with ExitStack() as ending:
        over, held = os.pipe()  # the child holds one end of it as long as it lives
        ending.callback(os.close, over)
        with requests_held():
            child = os.fork()
            if child == 0:
                os.close(over)
                die_with(parent)
                heed_by_default()
                # The one that waits is told, and tells.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                leaving(lambda: sys.exit(action()), INTERRUPTED)
            ending.callback(_end, child)
        os.close(held)
        return _watched(child, min(MOST_BYTES, memory_bytes()), over)


def _end(child: int) -> None:
    with suppress(ChildProcessError):  # it was waited for, and its number may be another's
        if not is_over(child):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _watched(child: int, most_bytes: int, over: int) -> ExitCode:
    standstill = Standstill(child)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if private_bytes(child) > most_bytes:
            raise OutOfMemory(
                f"Looking at the source took more than {most_bytes >> 20} MiB, and was stopped: "
                "the file is damaged, or its rows are too large to be shown."
            )
        if standstill.too_long():
            raise Crashed(
                f"The process that looked at the source was stopped (SIGSTOP) for {MOST_STILL_S:g} "
                "seconds, and did not go on."
            )
        if select.select([over], [], [], _LOOK_INTERVAL_S)[0]:
            time.sleep(_LAST_BREATH_S)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return ExitCode(code)
    name = signal.Signals(-code).name
    raise SourceUnreadable(
        f"The process that looked at the source was brought down by {name}: the file is damaged."
    )
