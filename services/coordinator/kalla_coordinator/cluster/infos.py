"""An executor as the API shows it."""

from __future__ import annotations

from kalla_coordinator.cluster.members import Member
from kalla_coordinator.jobs.model import ExecutorInfo


def info_of(member: Member) -> ExecutorInfo:
    """Return what is known of an executor."""
    hello, load = member.hello, member.load
    return ExecutorInfo(
        executor_id=hello.executor_id,
        address=f"{hello.host}:{hello.port}",
        version=hello.version,
        state=member.state.value,
        slots=hello.slots,
        slots_busy=load.slots_busy,
        registered_at=member.registered_at,
        last_seen_at=member.seen_at,
        memory_bytes=load.memory_bytes,
        spool_bytes=load.spool_bytes,
        fetched_bytes=load.fetched_bytes,
        served_bytes=load.served_bytes,
    )
