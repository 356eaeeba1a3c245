"""What an executor and the coordinator tell each other beside fragments and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.outcome import FragmentEnded, FragmentProgress
from kalla_core.fragments.remote import Launch

PROTOCOL = 8
"""What executors and a coordinator must agree on.

Counted up when messages change meaning, and when they or a recipe get what older executors lack:
those would end, or leave it undone without a word. Both sides are on one number, so a job is never
carried out by two of them.
"""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of an executor's stream.

    Attributes:
        executor_id: new for every process.
        version: of Kalla.
        host, port: where peers fetch spools.
        slot_memory_bytes: memory of one fragment.
        running: attempts that it works on, or whose end it has still to tell.
        held: attempts whose spools it holds.
        secret: made by the process; who has it is the one that registered under this id.
    """

    executor_id: str
    version: str
    host: str
    port: int
    slots: int
    slot_memory_bytes: int
    protocol: int = PROTOCOL
    running: tuple[AttemptId, ...] = ()
    held: tuple[AttemptId, ...] = ()
    secret: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How an executor is.

    Attributes:
        memory_bytes: of the process tree.
        spool_bytes: on disk.
        fetched_bytes: from peers, since the start; `served_bytes` to peers.
    """

    slots_busy: int = 0
    memory_bytes: int = 0
    spool_bytes: int = 0
    fetched_bytes: int = 0
    served_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Draining:
    """It takes no new fragment, finishes what it has in hand, and goes."""


FromExecutor = Hello | Heartbeat | FragmentProgress | FragmentEnded | Draining


@dataclass(frozen=True, slots=True)
class Welcome:
    """The executor is a member.

    Attributes:
        heartbeat_interval: how often to tell how it is.
    """

    heartbeat_interval: timedelta


@dataclass(frozen=True, slots=True)
class Refusal:
    """The executor cannot be a member, and need not ask again as it is."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CancelFragment:
    """Stop an attempt; it ends with `Cause.CANCELLED`, unless it has ended already."""

    id: AttemptId


@dataclass(frozen=True, slots=True)
class ForgetJob:
    """The run attempt is over, and all before it: remove its spools, stop its fragments."""

    run_id: str
    run_attempt: int


@dataclass(frozen=True, slots=True)
class PeerGone:
    """An executor is no member any more: who waits for spools of it waits in vain."""

    executor_id: str


ToExecutor = Welcome | Refusal | Launch | CancelFragment | ForgetJob | PeerGone
