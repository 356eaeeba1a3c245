"""Child processes: a run works in one, so that it can be stopped at once and die alone.

A query that was cancelled may go on burning a core; a process that was killed does not. What a
child says comes as JSON lines; that it died, ran out of memory or out of time is a typed error.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kalla_core.errors import Crashed, DeadlineExceeded, OutOfMemory

_LOOK_INTERVAL_S = 0.2
_EXIT_PATIENCE_S = 2.0
_KEPT_ERROR_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a child that does not end by itself.

    Attributes:
        memory_bytes: resident memory of the child, beyond which it is killed.
        timeout: from its start; None for no bound.
    """

    memory_bytes: int
    timeout: timedelta | None = None


class Child:
    """A process that takes one JSON line and answers with many; see `running`."""

    def __init__(self, module: str, limits: Limits) -> None:
        self._limits = limits
        self._started = time.monotonic()
        self._errors = bytearray()
        self._lines = bytearray()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,
        )

    def ask(self, message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Send one message and yield the answers until the child ends.

        Raises:
            Crashed: it died; the message has the signal or what it said last.
            OutOfMemory: it took more memory than it may, or the kernel killed it for that.
            DeadlineExceeded: it took too long.
        """
        assert self._process.stdin is not None  # noqa: S101 - asked for a pipe
        with suppress(BrokenPipeError):  # it died before it listened: its exit says why
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        yield from self._answers()
        code = self._process.wait(_EXIT_PATIENCE_S)
        if code != 0:
            raise self._death(code)

    def kill(self) -> None:
        """End the child and whatever it started, now."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                _close(pipe)

    def _answers(self) -> Iterator[dict[str, Any]]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ, self._lines)  # type: ignore[arg-type]
            selector.register(self._process.stderr, selectors.EVENT_READ, self._errors)  # type: ignore[arg-type]
            while selector.get_map():
                for key, _ in selector.select(_LOOK_INTERVAL_S):
                    data = os.read(key.fd, 1 << 16)
                    key.data.extend(data)
                    if not data:
                        selector.unregister(key.fileobj)
                del self._errors[:-_KEPT_ERROR_BYTES]
                yield from self._complete_lines()
                self._check_limits()

    def _complete_lines(self) -> Iterator[dict[str, Any]]:
        *lines, rest = bytes(self._lines).split(b"\n")
        self._lines[:] = rest
        for line in lines:
            yield json.loads(line)

    def _check_limits(self) -> None:
        used = _resident_bytes(self._process.pid)
        if used > self._limits.memory_bytes:
            raise OutOfMemory(
                f"The run took {used >> 20} MiB, more than the memory limit allows, and was "
                "stopped. Raise --memory-limit, or use more buckets.",
            )
        timeout = self._limits.timeout
        if timeout is not None and time.monotonic() - self._started > timeout.total_seconds():
            raise DeadlineExceeded(
                f"The run took longer than its timeout of {timeout.total_seconds():g} seconds."
            )

    def _death(self, code: int) -> Crashed:
        said = self._errors.decode(errors="replace").strip().splitlines()
        last = f" Its last words: {said[-1]}" if said else ""
        if code < 0:
            name = signal.Signals(-code).name
            hint = " The kernel does this when memory runs out." if -code == signal.SIGKILL else ""
            return Crashed(f"The process of the run was killed by {name}.{hint}{last}")
        return Crashed(f"The process of the run ended with exit code {code}.{last}")


@contextmanager
def running(module: str, limits: Limits) -> Iterator[Child]:
    """Start `module` as a child process; leaving the context kills it if it still runs."""
    child = Child(module, limits)
    try:
        yield child
    finally:
        child.kill()


_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # numpy's linear algebra is not used; its threads cost memory
    "OMP_NUM_THREADS": "1",
    "MIMALLOC_PURGE_DELAY": "1000",  # ms; pages given back at once are faulted in again at once
    "MALLOC_ARENA_MAX": "2",  # glibc's arenas otherwise keep memory per thread
}


def _resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 once it has ended or where nobody tells."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _close(pipe: Any) -> None:
    with suppress(BrokenPipeError):
        pipe.close()
