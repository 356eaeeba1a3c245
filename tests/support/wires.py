"""Wires between processes that can be cut: a proxy that goes silent, one way or both, and mends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_READ_BYTES = 1 << 16


@dataclass(eq=False)
class Wire:
    """Everything that goes between those who connect to `host` and `port` and a target.

    Attributes:
        carried: bytes that went through so far, either way.
        held_up: set once something was to go through while the wire was cut.
        struck: set once what was to happen in the middle has happened.
    """

    host: str
    port: int
    target: tuple[str, int]
    carried: int = 0
    held_up: threading.Event = field(default_factory=threading.Event)
    struck: threading.Event = field(default_factory=threading.Event)
    _there: threading.Event = field(default_factory=threading.Event)
    _back: threading.Event = field(default_factory=threading.Event)
    _ends: list[socket.socket] = field(default_factory=list)
    _closed: bool = False
    _due: tuple[int, Callable[[], object]] | None = None

    def __post_init__(self) -> None:
        self.mend()

    def cut(self, *, there: bool = True, back: bool = True) -> None:
        """Let nothing through any more: towards the target, and back; connections stay open."""
        if there:
            self._there.clear()
        if back:
            self._back.clear()

    def mend(self) -> None:
        """Let everything through again, what was held up as well."""
        self._there.set()
        self._back.set()

    def after(self, size: int, act: Callable[[], object]) -> None:
        """Let something happen once, in the middle of what goes through `size` bytes from now."""
        self.struck.clear()
        self._due = (self.carried + size, act)

    def snap(self) -> int:
        """Break all connections, and return how many ends there were; new ones are taken."""
        broken = 0
        while self._ends:
            with suppress(OSError):
                self._ends.pop().shutdown(socket.SHUT_RDWR)
                broken += 1
        return broken

    def close(self) -> None:
        """End it with all its connections."""
        self._closed = True
        self.mend()
        self.snap()

    def accept(self, listening: socket.socket) -> None:
        """Take connections until the socket is shut down."""
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        self._ends.append(near)
        if not self._there.is_set():
            self.held_up.set()
        self._there.wait()
        try:
            far = socket.create_connection(self.target, timeout=60)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        self._ends.append(far)
        if self._closed:
            self.snap()
        back = threading.Thread(target=self._pump, args=(far, near, self._back), daemon=True)
        back.start()
        self._pump(near, far, self._there)
        back.join()
        near.close()
        far.close()

    def _come_across(self, size: int) -> None:
        due = self._due
        if due is not None and self.carried + size > due[0]:
            self._due = None
            due[1]()
            self.struck.set()

    def _pump(self, source: socket.socket, sink: socket.socket, open_: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(_READ_BYTES):
                self._come_across(len(data))
                if not open_.is_set():
                    self.held_up.set()
                open_.wait()
                sink.sendall(data)
                self.carried += len(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def wire(target: tuple[str, int], host: str = "127.0.0.1", port: int = 0) -> Iterator[Wire]:
    """Lay a wire to a target, which need not be there yet."""
    with socket.create_server((host, port), backlog=64) as listening:
        laid = Wire(host, listening.getsockname()[1], target)
        threading.Thread(target=laid.accept, args=(listening,), daemon=True).start()
        try:
            yield laid
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            laid.close()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])
