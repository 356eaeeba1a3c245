"""The process that others are forked from.

It is `python -m kalla_core.engine.processes.fork_server FD MODULE...`.

It imports what its children need, once, and starts no thread: what is forked from a process with
one thread is whole. Arrow and DataFusion make their threads when they are first used, which only
the children do.

Requests come over the socket FD, one packet each: JSON with the `module` whose `main` the child
is to call and the `environment` it is to have, and with it four descriptors: the child's standard
input, output and error, and a line that belongs to this child alone. Over that line goes
`{"pid": N}` with a pidfd, and, when the child has ended and its group is gone, `{"code": N}`.

It ends when the socket does, whoever held the other end. Its children see for themselves that
nobody listens: their standard input ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kalla_core.engine.processes.forked import hide_unneeded, live
from kalla_core.engine.processes.spawned import end_group
from kalla_core.later import make_methods_later

PACKET_BYTES = 1 << 16
"""The longest request."""

_DESCRIPTORS = 4


@dataclass(frozen=True, slots=True)
class _Descendant:
    pid: int
    pidfd: int
    line: socket.socket

    def close(self) -> None:
        os.close(self.pidfd)
        self.line.close()


class _ForkServer:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._alive: set[_Descendant] = set()

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._bury(key.data)
                elif not self._take_request():
                    return

    def _take_request(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, PACKET_BYTES, _DESCRIPTORS)
        if not data:
            return False
        *pipes, line = descriptors
        self._bear(json.loads(data), pipes, socket.socket(fileno=line))
        return True

    def _bear(self, request: dict[str, Any], pipes: Sequence[int], line: socket.socket) -> None:
        pid = os.fork()
        if pid == 0:
            line.close()
            self._let_go()
            live(request["module"], request["environment"], pipes)
        for pipe in pipes:
            os.close(pipe)
        born = _Descendant(pid, os.pidfd_open(pid), line)
        self._alive.add(born)
        self._selector.register(born.pidfd, selectors.EVENT_READ, born)
        with suppress(OSError):  # who asked is gone: the child will see that its input has ended
            socket.send_fds(line, [json.dumps({"pid": pid}).encode()], [born.pidfd])

    def _bury(self, dead: _Descendant) -> None:
        self._selector.unregister(dead.pidfd)
        self._alive.discard(dead)
        end_group(dead.pid)  # before it is waited for, while the number is its own
        _, status = os.waitpid(dead.pid, 0)
        with suppress(OSError):
            dead.line.send(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode())
        dead.close()

    def _let_go(self) -> None:
        """In a child: close what belongs to the fork server and to other children."""
        self._selector.close()
        self._control.close()
        for other in self._alive:
            other.close()


def _load(modules: Sequence[str]) -> None:
    """Import modules and let them `prepare` what is the same for all their children."""
    hide_unneeded()
    make_methods_later()
    for name in modules:
        prepare = getattr(importlib.import_module(name), "prepare", None)
        if prepare is not None:
            prepare()
    gc.collect()
    gc.disable()  # a collection would touch, and so copy, the pages that children share
    gc.freeze()


def main() -> None:
    """Serve until the socket ends."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _load(sys.argv[2:])
    threads = len(os.listdir("/proc/self/task"))
    with suppress(BrokenPipeError):
        control.send(json.dumps({"threads": threads}).encode())
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        _ForkServer(control).serve()


if __name__ == "__main__":
    main()
