"""The executors that are there, each with the stream on which it is spoken to.

What the members' state machine decides about streams is carried out here; what it decides about
executors is handed on, in order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from kalla_coordinator.cluster import members as m
from kalla_coordinator.cluster.infos import info_of
from kalla_coordinator.cluster.line import Line
from kalla_coordinator.cluster.occupancy import Occupancy
from kalla_coordinator.cluster.placement import Seat
from kalla_coordinator.jobs.model import ExecutorInfo
from kalla_core.fragments.presence import Heartbeat, Hello, Refusal, ToExecutor, Welcome
from kalla_core.observe.logs import get_logger
from kalla_core.serving.clock import SteadyClock

Change = m.Joined | m.Returned | m.Gone


@dataclass(frozen=True, slots=True)
class Timing:
    """How often members tell how they are, and how long they may be out of touch."""

    heartbeat: timedelta
    patience: m.Patience


class Roster:
    """See the module. One event loop."""

    def __init__(
        self, timing: Timing, monotonic: Callable[[], float], changed: Callable[[Change], None]
    ) -> None:
        """Know nobody.

        Args:
            monotonic: seconds of a clock that nobody sets.
            changed: told who came, is back or is gone, once that is so.
        """
        self._timing = timing
        self._clock = SteadyClock(monotonic=monotonic)
        self._changed = changed
        self._members = m.Members()
        self._lines: dict[m.StreamId, Line] = {}
        self._numbers = itertools.count(1)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members.of)

    @property
    def of(self) -> Mapping[str, m.Member]:
        """The members by their ids."""
        return self._members.of

    @property
    def open(self) -> dict[str, m.Member]:
        """Those that take fragments."""
        return {name: member for name, member in self._members.of.items() if member.open}

    def infos(self) -> tuple[ExecutorInfo, ...]:
        """Return all of them as they are shown, the oldest first."""
        return tuple(info_of(member) for member in self._members.of.values())

    def addresses(self) -> dict[str, tuple[str, int]]:
        """Return host and port of all of them."""
        return {
            name: (member.hello.host, member.hello.port)
            for name, member in self._members.of.items()
        }

    def seats(self, occupied: Occupancy) -> list[Seat]:
        """Return what those that take fragments have free."""
        return [
            Seat(name, member.hello.slots, max(member.hello.slots - occupied.taken(name), 0))
            for name, member in self._members.of.items()
            if member.open
        ]

    def has_free(self, occupied: Occupancy) -> bool:
        """Whether anybody takes a fragment now."""
        return any(
            occupied.taken(name) < member.hello.slots and member.open
            for name, member in self._members.of.items()
        )

    # -- what happens ----------------------------------------------------------------------------

    def connected(self, hello: Hello) -> Line:
        """Take on a stream; what is to be sent on it comes into its outbox."""
        line = Line(m.StreamId(next(self._numbers)))
        self._lines[line.number] = line
        self._happens(m.Registered(hello, line.number, self._clock.now()))
        return line

    def beat(self, executor: str, line: Line, load: Heartbeat) -> None:
        """Note that an executor is alive, and what it does."""
        self._happens(m.Beat(executor, line.number, load, self._clock.now()))

    def drains(self, executor: str, line: Line) -> None:
        """Note that an executor takes no more fragments."""
        get_logger().info("executor_draining", executor=executor)
        self._happens(m.Drains(executor, line.number, self._clock.now()))

    def disconnected(self, executor: str, line: Line) -> None:
        """Note that a stream has ended."""
        self._lines.pop(line.number, None)
        self._happens(m.Broke(executor, line.number, self._clock.now()))

    def look(self) -> None:
        """Give up those that have been out of touch for too long by now."""
        self._happens(m.Passed(self._clock.now()))

    def send(self, executor: str, said: ToExecutor) -> None:
        """Send on the newest stream; what is lost with it shows when the executor is back."""
        member = self._members.of.get(executor)
        if member is not None and member.stream in self._lines:
            self._lines[member.stream].send(said)

    def close(self) -> None:
        """End all streams."""
        for line in self._lines.values():
            line.close()

    def _happens(self, event: m.Event) -> None:
        self._members, actions = m.step(self._members, event, self._timing.patience)
        for action in actions:
            self._do(action)

    def _do(self, action: m.Action) -> None:
        match action:
            case m.Admit(executor, stream):
                get_logger().info("executor_registered", executor=executor)
                self._lines[stream].send(Welcome(self._timing.heartbeat))
            case m.Refuse(stream, code, message):
                get_logger().warning("executor_refused", code=code, message=message)
                self._lines[stream].send(Refusal(code, message))
                self._lines[stream].close()
            case m.Close(stream):
                if stream in self._lines:
                    self._lines[stream].close()
            case m.Joined() | m.Returned():
                self._changed(action)
            case m.Gone(executor, why, planned):
                if planned:
                    get_logger().info("executor_left", executor=executor, why=why)
                else:
                    get_logger().warning("executor_lost", executor=executor, why=why)
                self._changed(action)
