"""Child processes: a run works in one, so that it can be stopped at once and die alone.

A query that was cancelled may go on burning a core; a process that was killed does not. What a
child says comes as JSON lines; that it died, ran out of memory or out of time is a typed error.
Nothing here waits without a bound, whatever the child does or leaves undone.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import IO, Any

from kalla_core.engine.processes.spawned import ChildProcess, Start, spawn
from kalla_core.engine.processes.vitals import MOST_STILL_S, Standstill, private_bytes
from kalla_core.errors import Cancelled, Crashed, DeadlineExceeded, OutOfMemory

RUN = (sys.executable, "-m", "kalla_core.engine.programs.child")
"""The command of a process that carries out one run."""

_LOOK_INTERVAL_S = 0.1
_EXIT_PATIENCE_S = 2.0
_READ_BYTES = 1 << 16
_PIPE_BYTES = 1 << 20  # more than a pipe holds
_KEPT_ERROR_BYTES = 8192
_SHOWN_CHARACTERS = 80
_LONGEST_ANSWER_BYTES = 64 << 20

Answer = dict[str, Any]
_Wanted = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a child that does not end by itself.

    Attributes:
        memory_bytes: the child's own memory (`vitals.private_bytes`), beyond which it is killed.
        timeout: from when it is to start; None for no bound.
        stop: ends it soon after it is set, from any thread.
    """

    memory_bytes: int
    timeout: timedelta | None = None
    stop: threading.Event | None = None


class Child:
    """A process that takes one JSON line and answers with many; made by `running`.

    Not thread-safe.
    """

    def __init__(self, process: ChildProcess, limits: Limits, began: float | None = None) -> None:
        """Take over a process.

        Args:
            began: when it was asked for, on the monotonic clock; now by default.
        """
        self._limits = limits
        self._started = time.monotonic() if began is None else began
        self._errors = bytearray()
        self._process = process
        self._standstill = Standstill(process.pid)
        self._stays = False

    @property
    def pid(self) -> int:
        """The number of the process, and of the group of whatever it starts."""
        return self._process.pid

    @property
    def is_new(self) -> bool:
        """Whether nobody had the process before."""
        return self._process.holders == 0

    def ask(
        self, message: Mapping[str, Any], meanwhile: Callable[[], object] = _nothing
    ) -> Iterator[Answer]:
        """Send one message and yield the answers, each with its `event`, until the child ends.

        Args:
            meanwhile: done once the child has the message and works; it takes no long time.

        Raises:
            Crashed: it died (the message has the signal, or the exit code and what it said last),
                did not end when it had nothing more to say, said what is no answer, or was
                stopped from outside and did not go on.
            OutOfMemory: it took more memory than it may.
            DeadlineExceeded: it took too long.
            Cancelled: it was to be stopped.
        """
        answers = _Answers()
        for data in self._exchange(json.dumps(message).encode() + b"\n", meanwhile):
            yield from answers.take(data)
        code = self._process.wait()
        if code != 0:
            raise self._death(code)

    def keep(self) -> None:
        """Let go of it alive at the end: it has answered, and waits for the next message."""
        self._stays = True

    def let_go(self) -> None:
        """End the child and whatever it started, now; one that stays waits for its next holder."""
        if self._stays:
            self._process.rest()
        else:
            self._process.end()

    def _exchange(self, message: bytes, meanwhile: Callable[[], object]) -> Iterator[bytes]:
        """Write the message as the child takes it; yield what it writes until it has ended."""
        process = self._process
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        os.set_blocking(stdin.fileno(), False)
        unsent = memoryview(message)
        patience = _Patience()
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while True:
                ended = process.has_ended()  # asked first: all that it said is in the pipes then
                ready = [
                    key.fileobj for key, _ in selector.select(0 if ended else _LOOK_INTERVAL_S)
                ]
                if stdin in ready:
                    unsent = unsent[_sent(stdin, unsent) :]
                    if not unsent:
                        selector.unregister(stdin)
                        meanwhile()
                if stderr in ready:
                    self._note(_received(stderr, selector))
                if stdout in ready:
                    data = _received(stdout, selector)
                    patience.ends_unless(data)
                    yield data
                elif ended:
                    return  # even if something that it started holds its pipes open
                patience.check()
                self._check_limits()

    def _note(self, said: bytes) -> None:
        self._errors += said
        del self._errors[:-_KEPT_ERROR_BYTES]

    def _check_limits(self) -> None:
        if self._limits.stop is not None and self._limits.stop.is_set():
            raise Cancelled("The run was cancelled.")
        used = private_bytes(self._process.pid)
        if used > self._limits.memory_bytes:
            raise OutOfMemory(
                f"The run took {used >> 20} MiB, more than the memory limit allows, and was "
                "stopped. Raise --memory-limit, or use more buckets.",
            )
        if self._standstill.too_long():
            raise Crashed(
                f"The process of the run was stopped (SIGSTOP) for {MOST_STILL_S:g} seconds, and "
                "did not go on."
            )
        timeout = self._limits.timeout
        if timeout is not None and time.monotonic() - self._started > timeout.total_seconds():
            raise DeadlineExceeded(
                f"The run took longer than its timeout of {timeout.total_seconds():g} seconds."
            )

    def _death(self, code: int | None) -> Crashed:
        stderr = self._process.stderr
        os.set_blocking(stderr.fileno(), False)
        self._note(stderr.read(_PIPE_BYTES) or b"")
        said = self._errors.decode(errors="replace").strip().splitlines()
        last = f" Its last words: {said[-1]}" if said else ""
        if code is None:
            return Crashed(f"The process of the run ended, and nobody knows how.{last}")
        if code < 0:
            name = signal.Signals(-code).name
            hint = " The kernel does this when memory runs out." if -code == signal.SIGKILL else ""
            return Crashed(f"The process of the run was killed by {name}.{hint}{last}")
        return Crashed(f"The process of the run ended with exit code {code}.{last}")


@contextmanager
def running(
    command: Sequence[str],
    limits: Limits,
    environment: Mapping[str, str] = MappingProxyType({}),
    start: Start | None = None,
) -> Iterator[Child]:
    """Start a child process; leaving the context kills it if it still runs, but for `keep`.

    Args:
        environment: variables that it is to have beside those of this process.
        start: how (`ForkPool.start`, where many are wanted at once); by default one that was
            warmed up, else a new program.

    Raises:
        Crashed: it cannot be started.
    """
    began = time.monotonic()  # whoever starts it may take long: that counts as well
    child = Child((start or _spares.start)(command, environment), limits, began)
    try:
        yield child
    finally:
        child.let_go()


def warm_up(
    command: Sequence[str],
    environment: Mapping[str, str] = MappingProxyType({}),
    start: Start = spawn,
) -> None:
    """Start a process for the next `running` of this command and variables, to find it loaded.

    One that nobody takes ends with this process.
    """
    _spares.add(command, environment, start)


class _Spares:
    """Processes that were started before they are needed."""

    def __init__(self) -> None:
        self._waiting: dict[_Wanted, ChildProcess] = {}

    def add(self, command: Sequence[str], environment: Mapping[str, str], start: Start) -> None:
        if (wanted := _wanted(command, environment)) not in self._waiting:
            self._waiting[wanted] = start(command, environment)

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
        process = self._waiting.pop(_wanted(command, environment), None)
        if process is None:
            return spawn(command, environment)
        if process.has_ended():
            process.end()
            return spawn(command, environment)
        return process

    def end(self) -> None:
        while self._waiting:
            _, process = self._waiting.popitem()
            process.end()


def _wanted(command: Sequence[str], environment: Mapping[str, str]) -> _Wanted:
    return tuple(command), tuple(sorted(environment.items()))


_spares = _Spares()
atexit.register(_spares.end)


class _Patience:
    """How long a child may go on that has closed its output."""

    def __init__(self) -> None:
        self._until: float | None = None

    def ends_unless(self, data: bytes) -> None:
        if not data:
            self._until = time.monotonic() + _EXIT_PATIENCE_S

    def check(self) -> None:
        if self._until is not None and time.monotonic() > self._until:
            raise Crashed("The process of the run fell silent and did not end.")


class _Answers:
    """Puts together the lines that come in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held_bytes = 0

    def take(self, data: bytes) -> Iterator[Answer]:
        """Take the next bytes; yield the answers that they complete."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            yield _answer(b"".join([*self._pieces, end]))
            self._pieces.clear()
            self._held_bytes = 0
        self._pieces.append(rest)
        self._held_bytes += len(rest)
        if self._held_bytes > _LONGEST_ANSWER_BYTES:
            raise _not_an_answer(b"".join(self._pieces))


def _answer(line: bytes) -> Answer:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise _not_an_answer(line) from error
    if not isinstance(answer, dict) or not isinstance(answer.get("event"), str):
        raise _not_an_answer(line)
    return answer


def _not_an_answer(line: bytes) -> Crashed:
    shown = line[: 4 * _SHOWN_CHARACTERS].decode(errors="replace")[:_SHOWN_CHARACTERS]
    return Crashed(f"The process of the run said what is no answer: {shown!r}")


def _sent(pipe: IO[bytes], data: memoryview) -> int:
    """Write what the pipe takes; to a child that does not listen any more, all of it."""
    try:
        return os.write(pipe.fileno(), data)
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)  # it died before it listened: its exit says why


def _received(pipe: IO[bytes], selector: selectors.BaseSelector) -> bytes:
    data = os.read(pipe.fileno(), _READ_BYTES)
    if not data:
        selector.unregister(pipe)
    return data
