"""A child process as its parent holds it, and the plain way to get one: a new interpreter.

What else can start one (`fork_pool`) offers the same, so that `children` need not know which it is.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol, cast

from kalla_core.machine import sorts_slowly_in_wide_registers

if TYPE_CHECKING:
    import subprocess


def _numpy_variables() -> Mapping[str, str]:
    """Return what lets NumPy sort fast, by the names that 2.4 has, unless somebody chose."""
    chosen = any(f"NPY_{what}_CPU_FEATURES" in os.environ for what in ("ENABLE", "DISABLE"))
    if chosen or not sorts_slowly_in_wide_registers():
        return {}
    return {"NPY_DISABLE_CPU_FEATURES": "X86_V4"}


ENVIRONMENT: Mapping[str, str] = {
    "OPENBLAS_NUM_THREADS": "1",  # numpy's linear algebra is not used; its threads cost memory
    "OMP_NUM_THREADS": "1",
    "MIMALLOC_PURGE_DELAY": "1000",  # ms; pages given back soon are faulted in again soon
    "MIMALLOC_ALLOW_THP": "0",  # a huge page is cleared and held whole for the few KiB asked for
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # it is not used, and would make a thread
    "MALLOC_ARENA_MAX": "2",  # glibc's arenas otherwise keep memory per thread
    **_numpy_variables(),
}
"""Variables that every process which works with rows is started with."""

ALIVE: set[int] = set()
"""The children of this process that were not waited for."""

_LITTLE_BYTES = 1 << 30
_MUCH_BYTES = 2 << 30
_WITH_MUCH: Mapping[str, str] = {
    "MIMALLOC_PURGE_DELAY": "4000",
    # NumPy's arrays: without this each is mapped and unmapped for itself, which a fifth of the
    # pages were that a run over millions of pairs touched.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}


def environment_within(limit_bytes: int) -> Mapping[str, str]:
    """Return the variables that a child has beside them because it has little memory, or much.

    Pages that are kept for a second, for they may be wanted again, add up to 110 MiB; for four
    seconds, to 250, and then a twentieth of the work is not done again. What the C library keeps
    of its own adds up to 128 for each of two arenas.
    """
    if limit_bytes < _LITTLE_BYTES:
        return {"MIMALLOC_PURGE_DELAY": "10"}
    return _WITH_MUCH if limit_bytes >= _MUCH_BYTES else {}


class ChildProcess(Protocol):
    """A process with three pipes, in a process group of its own. Not thread-safe.

    Attributes:
        pid: its number, and that of its group.
        holders: how many had it before, and let it rest.
        stdin, stdout, stderr: our ends of its pipes, unbuffered.
    """

    pid: int
    holders: int
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def has_ended(self) -> bool:
        """Look whether it has ended, without waiting."""
        ...

    def wait(self) -> int | None:
        """End what it left behind and return its exit code, negative for a signal.

        Only to be called once it has ended. None where nobody knows any more.
        """
        ...

    def end(self) -> None:
        """Kill it and whatever it started, if they still run, and close the pipes."""
        ...

    def rest(self) -> None:
        """Leave it, unharmed and idle, to whoever starts one like it; or end it."""
        ...


Start = Callable[[Sequence[str], Mapping[str, str]], ChildProcess]
"""Starts a process for a command, with variables beside those of this process.

Raises `Crashed` when it cannot.
"""


class Spawned:
    """A process that this one has started itself."""

    holders = 0

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        ALIVE.add(self.pid)
        pipes = (process.stdin, process.stdout, process.stderr)  # all three were asked for
        self.stdin, self.stdout, self.stderr = cast("tuple[IO[bytes], ...]", pipes)

    def has_ended(self) -> bool:
        """Look without waiting for it, which would set its number free."""
        if self._process.returncode is not None:
            return True
        return is_over(self.pid)

    def wait(self) -> int:
        """Return the exit code, after the whole group was ended."""
        if self._process.returncode is None:
            end_group(self.pid)  # before it is waited for, while the number is its own
            self._process.wait()
            ALIVE.discard(self.pid)
        return self._process.wait()

    def end(self) -> None:
        """Kill the group, if it still runs."""
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()

    def rest(self) -> None:
        """End it: nobody asks for it again."""
        self.end()


def spawn(command: Sequence[str], environment: Mapping[str, str]) -> Spawned:
    """Start a new program."""
    import subprocess  # who forks needs none of it

    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **ENVIRONMENT, **environment},
        start_new_session=True,
    )
    return Spawned(process)


def is_over(pid: int) -> bool:
    """Look whether a child has ended; it is still to be waited for, and its number not free."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end_group(leader: int) -> None:
    """Kill a process and whatever it started and left behind, even if they are stopped.

    A fork that had no time yet to lead a group is killed as well, by its own number, and first:
    none comes to be after that.

    Args:
        leader: was not waited for, so that the number is still its own.
    """
    for kill in (os.kill, os.killpg):
        with suppress(ProcessLookupError, PermissionError):  # some systems refuse for the dead
            kill(leader, signal.SIGKILL)


def end_children() -> None:
    """Kill all children of this process; one whose start was interrupted has no other to end it."""
    for pid in tuple(ALIVE):
        end_group(pid)


atexit.register(end_children)
os.register_at_fork(after_in_child=ALIVE.clear)
