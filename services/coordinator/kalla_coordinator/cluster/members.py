"""Who belongs to the cluster: executors that registered, and what is known of each.

    registered   its stream is open and its heartbeats come
    suspect      its stream is broken; nothing is redone yet, for it may be back in a moment
    draining     it finishes what it has in hand, takes nothing new, and goes
    gone         not among the members any more: broken for too long, silent, or drained

Pure: times come with the events. Streams are numbered by whoever holds them; what a stream says
after a newer one of the same executor took its place is absorbed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NewType, assert_never

from kalla_core.fragments.presence import PROTOCOL, Heartbeat, Hello

StreamId = NewType("StreamId", int)


class MemberState(StrEnum):
    """How a member stands."""

    REGISTERED = "registered"
    SUSPECT = "suspect"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a member may be out of touch.

    Attributes:
        grace: between a broken stream and the loss of the executor.
        silence: without a heartbeat while the stream looks open.
    """

    grace: timedelta
    silence: timedelta


@dataclass(frozen=True, slots=True)
class Member:
    """An executor of the cluster.

    Attributes:
        stream: the newest of its streams.
        broken_at: when that broke; None while it is open.
    """

    hello: Hello
    stream: StreamId
    registered_at: datetime
    seen_at: datetime
    broken_at: datetime | None = None
    draining: bool = False
    load: Heartbeat = field(default_factory=Heartbeat)

    @property
    def state(self) -> MemberState:
        """How it stands."""
        if self.broken_at is not None:
            return MemberState.SUSPECT
        return MemberState.DRAINING if self.draining else MemberState.REGISTERED

    @property
    def open(self) -> bool:
        """Whether it may be given a new fragment."""
        return self.broken_at is None and not self.draining


@dataclass(frozen=True, slots=True)
class Members:
    """All executors, by id; who is not in it is gone."""

    of: Mapping[str, Member] = field(default_factory=lambda: MappingProxyType({}))


# -- what happens --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registered:
    """An executor opened a stream."""

    hello: Hello
    stream: StreamId
    at: datetime


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat came."""

    executor: str
    stream: StreamId
    load: Heartbeat
    at: datetime


@dataclass(frozen=True, slots=True)
class Drains:
    """An executor said that it will go."""

    executor: str
    stream: StreamId
    at: datetime


@dataclass(frozen=True, slots=True)
class Broke:
    """A stream ended, whoever ended it."""

    executor: str
    stream: StreamId
    at: datetime


@dataclass(frozen=True, slots=True)
class Passed:
    """Some time has passed."""

    at: datetime


Event = Registered | Beat | Drains | Broke | Passed

# -- what it calls for ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Admit:
    """Take the stream of an executor on; everything on it may be sent from now on."""

    executor: str
    stream: StreamId


@dataclass(frozen=True, slots=True)
class Refuse:
    """Turn a stream down and close it."""

    stream: StreamId
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close a stream: a newer one took its place, or nobody is behind it any more."""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class Joined:
    """An executor is new here; what it says it runs and holds is nobody's, or an old attempt's."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Returned:
    """An executor is back that was never given up; what it no longer runs or holds is lost."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Gone:
    """An executor is gone with all it had in hand and held.

    Attributes:
        planned: it had said that it would go.
    """

    executor: str
    why: str
    planned: bool = False


Action = Admit | Refuse | Close | Joined | Returned | Gone
Step = tuple[Members, tuple[Action, ...]]


def step(members: Members, event: Event, patience: Patience) -> Step:
    """Return the members after `event` and what it calls for, in order."""
    match event:
        case Registered():
            return _registered(members, event)
        case Beat():
            member = _speaking(members, event)
            if member is None:
                return members, ()
            return _with(members, replace(member, seen_at=event.at, load=event.load)), ()
        case Drains():
            member = _speaking(members, event)
            if member is None:
                return members, ()
            return _with(members, replace(member, seen_at=event.at, draining=True)), ()
        case Broke():
            return _broke(members, event)
        case Passed():
            return _passed(members, event, patience)
        case _:
            assert_never(event)


def _registered(members: Members, event: Registered) -> Step:
    hello = event.hello
    if hello.protocol != PROTOCOL:
        return members, (
            Refuse(
                event.stream,
                "protocol_mismatch",
                f"The executor speaks protocol {hello.protocol} (version {hello.version}) and this "
                f"coordinator protocol {PROTOCOL}: install the same version of Kalla on both.",
            ),
        )
    admit = Admit(hello.executor_id, event.stream)
    before = members.of.get(hello.executor_id)
    if before is not None and not hmac.compare_digest(before.hello.secret, hello.secret):
        taken = f"An executor of the id {hello.executor_id!r} is registered already."
        return members, (Refuse(event.stream, "id_taken", taken),)
    member = Member(hello, event.stream, event.at, event.at)
    if before is None:
        return _with(members, member), (admit, Joined(hello))
    back = replace(member, registered_at=before.registered_at, load=before.load)
    close = (Close(before.stream),) if before.broken_at is None else ()
    return _with(members, back), (*close, admit, Returned(hello))


def _broke(members: Members, event: Broke) -> Step:
    member = _speaking(members, event)
    if member is None:
        return members, ()
    if member.draining:
        gone = Gone(event.executor, "it was drained and has left", planned=True)
        return _without(members, event.executor), (gone,)
    return _with(members, replace(member, broken_at=event.at)), ()


def _passed(members: Members, event: Passed, patience: Patience) -> Step:
    actions: list[Action] = []
    for executor, member in members.of.items():
        if member.broken_at is not None and event.at - member.broken_at >= patience.grace:
            why = f"its stream has been broken for {patience.grace.total_seconds():g} seconds"
            actions.append(Gone(executor, why))
        elif member.broken_at is None and event.at - member.seen_at >= patience.silence:
            why = f"no heartbeat for {patience.silence.total_seconds():g} seconds"
            actions += [Close(member.stream), Gone(executor, why)]
    lost = [action.executor for action in actions if isinstance(action, Gone)]
    return _without(members, *lost), tuple(actions)


def _speaking(members: Members, event: Beat | Drains | Broke) -> Member | None:
    """Return the member whose open stream the event is of; None for late news."""
    member = members.of.get(event.executor)
    if member is None or member.stream != event.stream or member.broken_at is not None:
        return None
    return member


def _with(members: Members, member: Member) -> Members:
    return Members({**members.of, member.hello.executor_id: member})


def _without(members: Members, *lost: str) -> Members:
    if not lost:
        return members
    return Members({name: member for name, member in members.of.items() if name not in lost})
