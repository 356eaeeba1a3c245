"""Children that start at once: forked from a process that has everything loaded.

A new interpreter needs most of a second before it can work; a fork of one that is ready (the
`fork_server`) needs milliseconds. Each child has its own pipes, its own process group and memory
that is given back when it ends. A child that its holder lets rest is the next one that is wanted
for the same command, unless it has grown or rested for long. A fork server that dies is replaced
when the next child is wanted; the children it has go on. Nothing outlives this process, even if it
is killed: fork server and children end when their pipes do.

Where the system cannot do this (no pidfd), or what was imported has started threads, children are
spawned as before.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType, TracebackType
from typing import IO, Any

from kalla_core.engine.processes import fork_server
from kalla_core.engine.processes.spawned import ENVIRONMENT, ChildProcess, spawn
from kalla_core.engine.processes.vitals import private_bytes
from kalla_core.errors import Crashed
from kalla_core.observe.logs import get_logger

_LOAD_PATIENCE_S = 60.0
_BIRTH_PATIENCE_S = 20.0
_END_PATIENCE_S = 5.0
_TRIES = 3
_LONGEST_REST_S = 30.0  # the child itself waits much longer, so it cannot end as it is taken
_MOST_HOLDERS = 50

_Key = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Resting:
    """How many children may wait for their next holder, and how large each may be.

    Attributes:
        most_bytes: of a child when it is let go; None where it sees to that itself.
    """

    most: int = 4
    most_bytes: int | None = 256 << 20  # just after a small run it is 150 MiB


class ForkPool:
    """Starts children for commands `(interpreter, "-m", MODULE)`. Safe from any thread.

    Args:
        modules: what to import ahead; a `prepare` function in one is called, and must start no
            threads. Any other module is imported by the child that needs it.
        environment: variables of the fork server, and hence of all children, from their start.
        resting: which children are kept for another holder.
    """

    def __init__(
        self,
        modules: Sequence[str],
        environment: Mapping[str, str] = MappingProxyType({}),
        resting: Resting = Resting(),
    ) -> None:
        self._limits = resting
        self._modules = tuple(modules)
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._fork_server: _ForkServer | None = None
        self._closed = False
        self._resting: list[_Rested] = []

    def __enter__(self) -> ForkPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Start loading now, so that the first child does not wait for it; returns at once."""
        if hasattr(os, "pidfd_open"):
            with self._lock:
                self._living()

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
        """Start a child, or hand over one that rests.

        Raises:
            Crashed: it cannot be started, or this is closed.
        """
        key = (tuple(command), tuple(sorted(environment.items())))
        rested = self._rested(key)
        if rested is not None:
            return rested
        if not hasattr(os, "pidfd_open"):
            return spawn(command, {**self._environment, **environment})
        for _ in range(_TRIES):
            with self._lock:
                living = self._living()
            if not living.is_single_threaded():
                return spawn(command, {**self._environment, **environment})
            try:
                child = living.bear(_module(command), environment)
                child.resting = partial(self._rest, key)
                return child
            except (OSError, EOFError):
                self._give_up(living)
        raise Crashed("The process that starts the processes of runs dies again and again.")

    def close(self) -> None:
        """End the fork server; its children end when their holders let go of them."""
        with self._lock:
            self._closed = True
            living, self._fork_server = self._fork_server, None
            resting, self._resting = self._resting, []
        for one in resting:
            one.child.end()
        if living is not None:
            living.end()

    @property
    def pid(self) -> int | None:
        """The number of the fork server, while there is one."""
        living = self._fork_server
        return None if living is None else living.pid

    def _rest(self, key: _Key, child: _Forked) -> None:
        child.holders += 1
        worth_it = child.holders < _MOST_HOLDERS
        most_bytes = self._limits.most_bytes
        worth_it &= most_bytes is None or private_bytes(child.pid) <= most_bytes
        with self._lock:
            if worth_it and not self._closed and len(self._resting) < self._limits.most:
                self._resting.append(_Rested(key, child, time.monotonic()))
                return
        child.end()

    def _rested(self, key: _Key) -> _Forked | None:
        """Return the child that has rested for the shortest time; end those that did for long."""
        since = time.monotonic() - _LONGEST_REST_S
        with self._lock:
            tired = [one for one in self._resting if one.since < since or one.child.is_dying()]
            fresh = [one for one in self._resting if one not in tired]
            taken = next((one for one in reversed(fresh) if one.key == key), None)
            self._resting = [one for one in fresh if one is not taken]
        for one in tired:
            one.child.end()
        return None if taken is None else taken.child

    def _living(self) -> _ForkServer:
        if self._closed:
            raise Crashed("No process is started any more: the service ends.")
        if self._fork_server is not None and self._fork_server.has_ended():
            self._fork_server.end()
            self._fork_server = None
        if self._fork_server is None:
            self._fork_server = _ForkServer(self._modules, self._environment)
        return self._fork_server

    def _give_up(self, living: _ForkServer) -> None:
        get_logger().warning("fork_server_lost", pid=living.pid)
        with self._lock:
            if self._fork_server is living:
                self._fork_server = None
        living.end()


class _ForkServer:
    """The process, and the socket to it."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", fork_server.__name__, str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **ENVIRONMENT, **environment},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._lock = threading.Lock()
        self._threads: int | None = None

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def is_single_threaded(self) -> bool:
        """Wait until it is loaded; False if a fork of it would not be whole."""
        with self._lock:
            if self._threads is None:
                try:
                    self._threads = _received(self._control, _LOAD_PATIENCE_S)["threads"]
                except (OSError, EOFError):
                    self._threads = 1  # it has ended, which the next step finds out
                if self._threads != 1:
                    get_logger().warning("fork_server_has_threads", threads=self._threads)
            return self._threads == 1

    def bear(self, module: str, environment: Mapping[str, str]) -> _Forked:
        """Fork a child.

        Raises:
            OSError, EOFError: the fork server has ended, or does not answer.
        """
        request = json.dumps({"module": module, "environment": dict(environment)}).encode()
        with ExitStack() as ours, ExitStack() as theirs:
            pipes = [_pipe(ours, theirs, into_child=number == 0) for number in range(3)]
            line, their_line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(line)
            theirs.enter_context(their_line)
            given = [*(far for _, far in pipes), their_line.fileno()]
            socket.send_fds(self._control, [request], given)
            theirs.close()
            child = _Forked([near for near, _ in pipes], line)
            ours.pop_all()
            return child

    def end(self) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()


class _Forked:
    """A child that the fork server has forked; see `ChildProcess`."""

    def __init__(self, pipes: Sequence[IO[bytes]], line: socket.socket) -> None:
        self.stdin, self.stdout, self.stderr = pipes
        self._line = line
        answer, descriptors = _received_with_fds(line, _BIRTH_PATIENCE_S)
        self.pid: int = answer["pid"]
        (self._pidfd,) = descriptors
        self.holders = 0
        self.resting: Callable[[_Forked], None] = _Forked.end
        self._code: int | None = None
        self._ended = False
        self._closed = False

    def has_ended(self) -> bool:
        """Look whether the fork server has told of its end; without one, whether it is gone."""
        if not self._ended and _is_readable(self._line, 0):
            self._hear()
        return self._ended

    def is_dying(self) -> bool:
        """Look whether it has ended, even if the fork server has not told so yet."""
        return self.has_ended() or _is_readable(self._pidfd, 0)

    def wait(self) -> int | None:
        """Return the exit code; the fork server has ended what the child left behind."""
        return self._code

    def end(self) -> None:
        """Kill it, if it still runs, and wait until it is gone."""
        if self._closed:
            return
        until = time.monotonic() + _END_PATIENCE_S
        if not self.has_ended():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            while not self.has_ended() and time.monotonic() < until:
                _is_readable(self._line, _END_PATIENCE_S)
        self._close()

    def rest(self) -> None:
        """Leave it to whoever starts one like it (see `ChildProcess`)."""
        self.resting(self)

    def _hear(self) -> None:
        try:
            self._code = _received(self._line, 0)["code"]
            self._ended = True
        except (OSError, EOFError):  # the fork server is gone: only the kernel knows
            self._ended = _is_readable(self._pidfd, 0.01)

    def _close(self) -> None:
        self._closed = True
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()
        self._line.close()
        os.close(self._pidfd)


@dataclass(frozen=True, slots=True, eq=False)
class _Rested:
    """A child that waits for its next holder, since a moment of the monotonic clock."""

    key: _Key
    child: _Forked
    since: float


def _module(command: Sequence[str]) -> str:
    interpreter, flag, module = command
    if interpreter != sys.executable or flag != "-m":
        raise ValueError(f"not a module of this interpreter: {command}")
    return module


def _pipe(ours: ExitStack, theirs: ExitStack, *, into_child: bool) -> tuple[IO[bytes], int]:
    """Return our end and theirs; each is closed with its stack."""
    readable, writable = os.pipe()
    near, far = (writable, readable) if into_child else (readable, writable)
    theirs.callback(os.close, far)
    return ours.enter_context(open(near, "wb" if into_child else "rb", buffering=0)), far


def _is_readable(file: socket.socket | int, patience_s: float) -> bool:
    poll = select.poll()  # unlike select, it knows descriptors above 1023
    poll.register(file, select.POLLIN)
    return bool(poll.poll(1000 * patience_s))


def _received(line: socket.socket, patience_s: float) -> dict[str, Any]:
    answer, _ = _received_with_fds(line, patience_s)
    return answer


def _received_with_fds(line: socket.socket, patience_s: float) -> tuple[dict[str, Any], list[int]]:
    """Return the next packet and what came with it.

    Raises:
        TimeoutError: nothing came.
        EOFError: the other end is closed.
    """
    if not _is_readable(line, patience_s):
        raise TimeoutError
    data, descriptors, _, _ = socket.recv_fds(line, fork_server.PACKET_BYTES, 1)
    if not data:
        raise EOFError
    answer: dict[str, Any] = json.loads(data)
    return answer, descriptors
