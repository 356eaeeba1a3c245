"""Ends connections that cost and do nothing, on ports whose servers cannot bound them.

gRPC and Flight own their sockets and offer no bound on connections. They are this process's all the
same: once a second a thread looks at each of them, at what the kernel says went over it, and shuts
down those that are too many or too still; their server sees the other side gone. It reads no bytes
and stands in nobody's way. Linux only; elsewhere a
service starts all the same, and says once that its connections there are not bounded.
"""

from __future__ import annotations

import os
import resource
import socket
import stat
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from kalla_core.observe.logs import get_logger

HELLO_BYTES = 33
"""What every client of HTTP/2 sends at once: its preface and its settings."""

_LOOK_INTERVAL_S = 1.0
_TOLD_INTERVAL_S = 60.0
_PINGED_BYTES = 64
_MOST = 1024
_MOST_DESCRIPTORS = 1 << 16
_TCP_INFO = struct.Struct("=120xQQ")  # bytes that were acknowledged, bytes that came


@dataclass(frozen=True, slots=True)
class Bounds:
    """What connections to a port may do.

    Attributes:
        most: how many there may be; one more ends those that have been still for the longest.
        hello_s: until a client has sent `HELLO_BYTES`.
        still_s: without bytes either way, pings aside; None for as long as anybody likes.
    """

    most: int
    hello_s: float = 15.0
    still_s: float | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """A connection at one look: bytes that came, and bytes that the other side has taken."""

    port: int
    came: int
    went: int


@dataclass(slots=True)
class _Watched:
    traffic: Traffic
    first_s: float
    moved_s: float


class Watch:
    """Which connections are to end. No I/O; the caller brings what it saw, and the time."""

    def __init__(self, bounds: Mapping[int, Bounds]) -> None:
        self._bounds = bounds
        self._known: dict[int, _Watched] = {}

    def ending(self, seen: Mapping[int, Traffic], now_s: float) -> dict[int, str]:
        """Return connections that are to be ended, with the reason: hello, still or most.

        Args:
            seen: all that there are, by the number that the kernel gives a socket.
            now_s: of a clock that nobody sets.
        """
        known, self._known = self._known, {}
        for number, traffic in seen.items():
            one = known.get(number)
            if one is None or one.traffic.port != traffic.port or one.traffic.came > traffic.came:
                one = _Watched(traffic, now_s, now_s)
            elif _moved(one.traffic, traffic):
                one.moved_s = now_s
            one.traffic = traffic
            self._known[number] = one
        ends = {number: why for number in seen if (why := self._why(number, now_s))}
        for port, bounds in self._bounds.items():
            left = [
                number
                for number, traffic in seen.items()
                if traffic.port == port and number not in ends
            ]
            left.sort(key=self._worth)
            ends |= dict.fromkeys(left[: max(len(left) - bounds.most, 0)], "most")
        return ends

    def _why(self, number: int, now_s: float) -> str | None:
        one = self._known[number]
        bounds = self._bounds[one.traffic.port]
        if one.traffic.came < HELLO_BYTES and now_s - one.first_s > bounds.hello_s:
            return "hello"
        if bounds.still_s is not None and now_s - one.moved_s > bounds.still_s:
            return "still"
        return None

    def _worth(self, number: int) -> tuple[bool, float]:
        one = self._known[number]
        return one.traffic.came >= HELLO_BYTES, one.moved_s


def most_of_a_port() -> int:
    """Return how many connections a port may have: at most a quarter of the files there may be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(1, min(_MOST, soft // 4))


def unable() -> str | None:
    """Return why what goes over connections cannot be seen on this machine; None if it can."""
    kind = getattr(socket, "TCP_INFO", None)
    if not sys.platform.startswith("linux") or kind is None:
        return f"that takes Linux, and this is {sys.platform}"
    try:
        with socket.socket() as probe:
            told = probe.getsockopt(socket.IPPROTO_TCP, kind, _TCP_INFO.size)
    except OSError as error:
        return f"this kernel tells nothing of connections: {error.strerror}"
    if len(told) < _TCP_INFO.size:
        return "this kernel does not count the bytes of connections"
    return None


@contextmanager
def bounded(bounds: Mapping[int, Bounds], interval_s: float = _LOOK_INTERVAL_S) -> Iterator[None]:
    """Bound the connections to ports of this process until the block ends.

    Where that cannot be done the log says so, and nothing is.
    """
    why = unable()
    if why is not None and bounds:
        get_logger().warning("connections_not_bounded", ports=sorted(bounds), reason=why)
    if why is not None or not bounds:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(
        target=_look_after, args=(bounds, over.wait, interval_s), name="warden", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _look_after(
    bounds: Mapping[int, Bounds], wait: Callable[[float], bool], interval_s: float
) -> None:
    watch, ended, told_s = Watch(bounds), Counter[str](), -_TOLD_INTERVAL_S
    while not wait(interval_s):
        now_s = time.monotonic()
        seen = dict(connections(bounds.keys()))
        ends = watch.ending({number: one for number, (_, one) in seen.items()}, now_s)
        for number, why in ends.items():
            if _shut(seen[number][0], number):
                ended[why] += 1
        if ended and now_s - told_s > _TOLD_INTERVAL_S:  # however many there are
            get_logger().warning("connections_ended", **ended)
            ended.clear()
            told_s = now_s


def connections(ports: Collection[int]) -> Iterator[tuple[int, tuple[int, Traffic]]]:
    """Yield the connections to some ports: number of the socket, descriptor, and traffic."""
    for descriptor in _descriptors():
        with suppress(OSError):
            status = os.fstat(descriptor)
            if stat.S_ISSOCK(status.st_mode) and (found := _traffic(descriptor, ports)):
                yield status.st_ino, (descriptor, found)


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # none is left to open that with, which is when it matters most
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return list(range(min(soft, _MOST_DESCRIPTORS)))


def _traffic(descriptor: int, ports: Collection[int]) -> Traffic | None:
    one = socket.socket(fileno=descriptor)
    try:
        if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
            return None
        port = one.getsockname()[1]
        if port not in ports or one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return None
        info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        went, came = _TCP_INFO.unpack(info)
        return Traffic(port, came, went)
    finally:
        one.detach()  # it is its server's


def _shut(descriptor: int, number: int) -> bool:
    """Shut down a connection, if the descriptor still is that; its server closes it."""
    with suppress(OSError):
        if os.fstat(descriptor).st_ino == number:
            one = socket.socket(fileno=descriptor)
            try:
                one.shutdown(socket.SHUT_RDWR)
            finally:
                one.detach()
            return True
    return False


def _moved(before: Traffic, after: Traffic) -> bool:
    return after.came - before.came + after.went - before.went > _PINGED_BYTES
