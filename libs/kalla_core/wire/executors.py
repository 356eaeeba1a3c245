"""The stream between an executor and the coordinator, as protobuf, both ways."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from kalla_core.errors import EngineFailure
from kalla_core.fragments.outcome import FragmentEnded, FragmentProgress
from kalla_core.fragments.presence import (
    CancelFragment,
    Draining,
    ForgetJob,
    FromExecutor,
    Heartbeat,
    Hello,
    PeerGone,
    Refusal,
    ToExecutor,
    Welcome,
)
from kalla_core.fragments.remote import Launch
from kalla_core.wire.attempts import attempt_message, attempt_of
from kalla_core.wire.fragments import launch_message, launch_of
from kalla_core.wire.generated import executors_pb2 as pb
from kalla_core.wire.outcomes import ended_message, ended_of, progress_message, progress_of

_MILLISECOND = timedelta(milliseconds=1)


def from_executor_message(said: FromExecutor) -> pb.FromExecutor:
    """Return what an executor says as a message."""
    match said:
        case Hello():
            return pb.FromExecutor(register=_hello(said))
        case Heartbeat():
            return pb.FromExecutor(heartbeat=_heartbeat(said))
        case FragmentProgress():
            return pb.FromExecutor(progress=progress_message(said))
        case FragmentEnded():
            return pb.FromExecutor(ended=ended_message(said))
        case Draining():
            return pb.FromExecutor(draining=pb.Draining())
        case _:
            assert_never(said)


def from_executor(message: pb.FromExecutor) -> FromExecutor:
    """Return what an executor says.

    Raises:
        EngineFailure: this version does not know it.
    """
    match message.WhichOneof("message"):
        case "register":
            return _hello_of(message.register)
        case "heartbeat":
            return _heartbeat_of(message.heartbeat)
        case "progress":
            return progress_of(message.progress)
        case "ended":
            return ended_of(message.ended)
        case "draining":
            return Draining()
        case unknown:
            raise _not_understood(unknown)


def to_executor_message(said: ToExecutor) -> pb.ToExecutor:
    """Return what the coordinator says as a message."""
    match said:
        case Welcome():
            interval = said.heartbeat_interval // _MILLISECOND
            welcome = pb.Registered(heartbeat_interval_ms=interval)
            return pb.ToExecutor(registered=welcome)
        case Refusal():
            return pb.ToExecutor(refused=pb.Refused(code=said.code, message=said.message))
        case Launch():
            return pb.ToExecutor(launch=launch_message(said))
        case CancelFragment():
            return pb.ToExecutor(cancel=pb.CancelFragment(id=attempt_message(said.id)))
        case ForgetJob():
            forget = pb.ForgetJob(run_id=said.run_id, run_attempt=said.run_attempt)
            return pb.ToExecutor(forget=forget)
        case PeerGone():
            return pb.ToExecutor(peer_gone=pb.PeerGone(executor_id=said.executor_id))
        case _:
            assert_never(said)


def to_executor(message: pb.ToExecutor) -> ToExecutor:
    """Return what the coordinator says.

    Raises:
        EngineFailure: this version does not know it.
        RecipeInvalid: it is a launch whose recipe has what this version lacks.
    """
    match message.WhichOneof("message"):
        case "registered":
            interval = message.registered.heartbeat_interval_ms * _MILLISECOND
            return Welcome(interval)
        case "refused":
            return Refusal(message.refused.code, message.refused.message)
        case "launch":
            return launch_of(message.launch)
        case "cancel":
            return CancelFragment(attempt_of(message.cancel.id))
        case "forget":
            return ForgetJob(message.forget.run_id, message.forget.run_attempt)
        case "peer_gone":
            return PeerGone(message.peer_gone.executor_id)
        case unknown:
            raise _not_understood(unknown)


def _hello(hello: Hello) -> pb.Register:
    return pb.Register(
        protocol=hello.protocol,
        executor_id=hello.executor_id,
        version=hello.version,
        flight_host=hello.host,
        flight_port=hello.port,
        slots=hello.slots,
        slot_memory_bytes=hello.slot_memory_bytes,
        running=[attempt_message(one) for one in hello.running],
        held=[attempt_message(one) for one in hello.held],
        secret=hello.secret,
    )


def _hello_of(message: pb.Register) -> Hello:
    return Hello(
        executor_id=message.executor_id,
        version=message.version,
        host=message.flight_host,
        port=message.flight_port,
        slots=message.slots,
        slot_memory_bytes=message.slot_memory_bytes,
        protocol=message.protocol,
        running=tuple(attempt_of(one) for one in message.running),
        held=tuple(attempt_of(one) for one in message.held),
        secret=message.secret,
    )


def _heartbeat(beat: Heartbeat) -> pb.Heartbeat:
    return pb.Heartbeat(
        slots_busy=beat.slots_busy,
        memory_bytes=beat.memory_bytes,
        spool_bytes=beat.spool_bytes,
        fetched_bytes=beat.fetched_bytes,
        served_bytes=beat.served_bytes,
    )


def _heartbeat_of(message: pb.Heartbeat) -> Heartbeat:
    return Heartbeat(
        slots_busy=message.slots_busy,
        memory_bytes=message.memory_bytes,
        spool_bytes=message.spool_bytes,
        fetched_bytes=message.fetched_bytes,
        served_bytes=message.served_bytes,
    )


def _not_understood(kind: str | None) -> EngineFailure:
    return EngineFailure(f"A message on an executor's stream is none that this version has: {kind}")
