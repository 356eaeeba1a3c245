"""A child that is a fork of this process.

It need not start an interpreter, and the earlier it is forked the more of its modules load while
this process loads those of its own. Only a process of one thread may fork: what other threads hold
locked would stay so in the child.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, NoReturn

from kalla_core.engine.processes.spawned import (
    ALIVE,
    ENVIRONMENT,
    Spawned,
    end_group,
    is_over,
    spawn,
)

_OOM_SCORE = "300"  # when memory runs out, the kernel shall take a run and not who waits for it
_MALLOC = {  # as malloc.h has them
    "MALLOC_TRIM_THRESHOLD_": -1,
    "MALLOC_MMAP_THRESHOLD_": -3,
    "MALLOC_ARENA_MAX": -8,
}
_OF_THE_PARENT: list[object] = []
"""Streams of whoever forked this process, which are not to be closed here."""

_TOLD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # as linux/prctl.h has it


class Forked:
    """A process that was forked from this one; see `ChildProcess`."""

    holders = 0

    def __init__(self, pid: int, pipes: Sequence[int]) -> None:
        self.pid = pid
        ALIVE.add(pid)
        self._code: int | None = None
        self.stdin: IO[bytes] = io.FileIO(pipes[0], "w")
        self.stdout: IO[bytes] = io.FileIO(pipes[1])
        self.stderr: IO[bytes] = io.FileIO(pipes[2])

    def has_ended(self) -> bool:
        """Look without waiting for it, which would set its number free."""
        if self._code is not None:
            return True
        return is_over(self.pid)

    def wait(self) -> int:
        """Return the exit code, after the whole group was ended."""
        if self._code is None:
            end_group(self.pid)  # before it is waited for, while the number is its own
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            ALIVE.discard(self.pid)
        return self._code

    def end(self) -> None:
        """Kill the group, if it still runs."""
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()

    def rest(self) -> None:
        """End it: nobody asks for it again."""
        self.end()


def fork(command: Sequence[str], environment: Mapping[str, str]) -> Forked | Spawned:
    """Start a child for a command `(interpreter, "-m", MODULE)`; where forking will not do, spawn.

    This process gets the variables of the child as well, for what it loads after that.
    """
    _, _, module = command
    if "pyarrow" in sys.modules or not _is_single_threaded():  # it read variables as it was loaded
        return spawn(command, environment)
    os.environ.update({**ENVIRONMENT, **environment})
    hide_unneeded()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where it was closed
        stream.flush()
    ours, theirs = zip(*_pipes(), strict=True)
    parent = os.getpid()
    with requests_held():
        pid = os.fork()
        if pid == 0:
            for pipe in ours:
                os.close(pipe)
            die_with(parent)
            heed_by_default()
            gc.disable()  # there is nothing to collect while modules load, and much to look through
            live(module, {}, theirs)
        child = Forked(pid, ours)
    for pipe in theirs:
        os.close(pipe)
    return child


@contextmanager
def requests_held() -> Iterator[None]:
    """Hold requests to end back while this process forks.

    One that came in between would unwind, in the parent, before anybody knows of the child; and in
    the child what belongs to the parent.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heed_by_default() -> None:
    """In a child: let requests to end do what they do to any program, and hold none back."""
    for number in _TOLD:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)


def die_with(parent: int) -> None:
    """In a child: be killed when its parent is gone, even while this one is stopped.

    Before this, in its first instructions, a child that is stopped outlives a parent that is
    killed: nobody is left who knows of it.

    Args:
        parent: a process of one thread: the kernel means the thread that has forked.
    """
    with suppress(AttributeError):  # it is another C library
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def live(module: str, environment: Mapping[str, str], pipes: Sequence[int]) -> NoReturn:
    """In a fork: be the program that a module is, in a process group of its own.

    Args:
        pipes: what is to be its standard input, output and error.
    """
    code = 1
    try:
        os.setsid()
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
            os.close(pipe)
        _open_streams()
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_OOM_SCORE)
        os.environ.update(environment)
        _heed_variables()
        program = importlib.import_module(module)
        gc.freeze()  # what was loaded stays
        gc.enable()
        program.main()
        sys.stdout.flush()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


_UNNEEDED = frozenset(
    (
        "pandas",
        "pyarrow.dataset",  # Acero loads it in case it is given one
        *("arro3", "nanoarrow"),  # DataFusion looks for them on every path at every literal
        "cloudpickle",  # Arrow takes it for pickle where it is there
        *(f"pyarrow._{store}fs" for store in ("azure", "gcs", "hdfs", "s3")),
    )
)


class _Without:
    """Says of what nothing here needs that it is not installed."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name in _UNNEEDED:
            raise ModuleNotFoundError(f"Nothing here needs {name}.", name=name)


def hide_unneeded() -> None:
    """Keep Arrow and DataFusion from loading, and from looking for, what serves other programs.

    For processes that are ours alone.
    """
    sys.meta_path.insert(0, _Without())


def _heed_variables() -> None:
    """Do what variables of the C library do, which it reads when a program starts."""
    for name in _MALLOC.keys() & os.environ.keys():
        with suppress(AttributeError, ValueError):  # another C library, or a number of no kind
            ctypes.CDLL(None).mallopt(_MALLOC[name], int(os.environ[name]))


def _pipes() -> list[tuple[int, int]]:
    """Return our ends and the child's of its input, output and error, none of them a standard one.

    One whose number is 0, 1 or 2, because that was closed here, would be overwritten in the child.
    """
    (their_in, our_in), (our_out, their_out), (our_err, their_err) = (
        tuple(map(_above_standard, os.pipe())) for _ in range(3)
    )
    return [(our_in, their_in), (our_out, their_out), (our_err, their_err)]


def _above_standard(pipe: int) -> int:
    if pipe > 2:
        return pipe
    higher = fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(pipe)
    return higher


def _open_streams() -> None:
    """Let the standard streams of a fork be its pipes, whatever the parent had in their place.

    What it had stays: a stream that owns its number would close it when nobody refers to it.
    """
    _OF_THE_PARENT.extend((sys.stdin, sys.stdout, sys.stderr))
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115


def _is_single_threaded() -> bool:
    """Whether this process surely has one thread."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False
