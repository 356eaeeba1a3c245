"""Fragments that run, each in one of the slots, alone in a process.

A slot's process that dies, takes too much memory or does not stop is a typed outcome of its
fragment; the executor goes on. All methods belong to the event loop; the waiting is for threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from kalla_core.engine.processes.children import Limits
from kalla_core.engine.processes.spawned import Start
from kalla_core.engine.spool.requests import by_executor, wants
from kalla_core.engine.spool.spool_folder import SpoolFolder
from kalla_core.errors import (
    Cancelled,
    DeadlineExceeded,
    EngineFailure,
    KallaError,
    OutOfDisk,
)
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.fetch_fault import FetchFault, fetch_failed
from kalla_core.fragments.outcome import (
    FragmentEnded,
    FragmentFailed,
    FragmentProgress,
    JoinDone,
    Outcome,
    SettleDone,
    failed,
)
from kalla_core.fragments.remote import Launch
from kalla_core.fragments.work import work_done
from kalla_core.observe.logs import get_logger
from kalla_core.observe.tracing import Span, span
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from kalla_core.wire.tickets import sign
from kalla_executor import tasks
from kalla_executor.flight import SpoolKeys
from kalla_executor.metrics import ExecutorMetrics
from kalla_executor.processes import SlotProcesses, leaves_nothing
from kalla_executor.slots import SlotShare

_DISK_INTERVAL_S = 1.0

Tell = Callable[[FragmentProgress | FragmentEnded], None]


@dataclass
class _Slot:
    """An attempt in hand; `received` is on the monotonic clock, `fetched` once nothing is to be."""

    launch: Launch
    received: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    why: KallaError | None = None
    forgotten: bool = False
    fetched: bool = False
    spilled_bytes: int = 0

    def end(self, why: KallaError) -> None:
        """Ask for it to stop; the first reason counts."""
        self.why = self.why or why
        self.stop.set()


class Runner:
    """Runs what is launched, `slots` at a time; what is more waits.

    Args:
        start: how the processes of slots are started.
        tell: takes what fragments report, on the event loop.
    """

    def __init__(
        self,
        executor_id: str,
        folder: SpoolFolder,
        keys: SpoolKeys,
        share: SlotShare,
        slots: int,
        start: Start,
        metrics: ExecutorMetrics,
        tell: Tell,
        spool_limit_bytes: int | None = None,
        authorities: bytes | None = None,
        access: SourceAccess = EVERYTHING,
    ) -> None:
        self._access = access
        self._authorities = authorities
        self._executor_id = executor_id
        self._folder = folder
        self._keys = keys
        self._share = share
        self._processes = SlotProcesses(start, metrics)
        self._metrics = metrics
        self._tell = tell
        self._spool_limit_bytes = spool_limit_bytes
        self._pool = ThreadPoolExecutor(slots, "slot")
        self._chores = ThreadPoolExecutor(1, "spool-chores")
        self._taken: dict[str, set[int]] = {}  # run attempts that may have left something here
        self._slots: dict[AttemptId, _Slot] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy = 0
        self.spool_bytes = 0
        metrics.slots.set(slots)

    @property
    def busy(self) -> int:
        """Slots in which a fragment runs."""
        return self._busy

    @property
    def in_hand(self) -> tuple[AttemptId, ...]:
        """Attempts that run or wait for a slot."""
        return tuple(self._slots)

    def launch(self, launch: Launch) -> None:
        """Take a fragment; the same attempt again is in hand already."""
        if launch.id in self._slots:
            return
        self._drop_older(launch.id)
        self._taken.setdefault(launch.id.run_id, set()).add(launch.id.run_attempt)
        if launch.spool_key:
            self._keys.add(launch.id.run_id, launch.id.run_attempt, launch.spool_key)
        slot = _Slot(launch)
        self._slots[launch.id] = slot
        task = asyncio.create_task(self._attend(slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, attempt: AttemptId) -> None:
        """Stop an attempt; it tells that it was cancelled."""
        if attempt in self._slots:
            self._slots[attempt].end(Cancelled("The fragment was cancelled."))

    def forget(self, run_id: str, run_attempt: int) -> None:
        """Stop fragments of a run attempt and those before it, without a word; drop spools."""
        for id, slot in self._slots.items():
            if id.run_id == run_id and id.run_attempt <= run_attempt:
                slot.forgotten = True
                slot.end(Cancelled("The run is over."))
        self._forget_spools(run_id, run_attempt)
        self._keys.forget(run_id, run_attempt)

    def peer_gone(self, peer: str) -> None:
        """Stop attempts that still wait for spools of an executor which is gone."""
        for slot in self._slots.values():
            mine = by_executor(wants(slot.launch.work)).get(peer)
            if mine is not None and not slot.fetched:
                attempts = tuple(dict.fromkeys(want.place.attempt for want in mine))
                fault = FetchFault(peer, attempts)
                slot.end(fetch_failed(f"The executor {peer} is gone with its spools.", fault))

    async def watch_disk(self) -> None:
        """Look at the spool's size for ever; what takes too much room ends with `OutOfDisk`."""
        while True:
            await asyncio.to_thread(self._measure)
            self._metrics.spool_bytes.set(self.spool_bytes)
            limit = self._spool_limit_bytes
            if limit is not None and self.spool_bytes > limit and self._slots:
                largest = max(self._slots.values(), key=self._scratch_bytes)
                largest.end(
                    OutOfDisk(
                        f"The spool of executor {self._executor_id} holds {self.spool_bytes} "
                        f"bytes, more than its limit of {limit}. Raise --spool-limit, or add "
                        "executors."
                    )
                )
            await asyncio.sleep(_DISK_INTERVAL_S)

    async def finish(self, grace: timedelta) -> None:
        """Wait for what is in hand, but not for ever; what is left is stopped."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace.total_seconds())

    async def close(self) -> None:
        """Stop everything; returns when all processes are gone."""
        for slot in self._slots.values():
            slot.forgotten = True
            slot.end(Cancelled("The executor ends."))
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._chores.shutdown)
        self._pool.shutdown()

    def _drop_older(self, newer: AttemptId) -> None:
        """A coordinator that came back tries the whole job again: older tries are over."""
        taken = self._taken.get(newer.run_id, set())
        stale = [attempt for attempt in taken if attempt < newer.run_attempt]
        if stale:
            get_logger().info("older_attempt_dropped", run_id=newer.run_id, count=len(stale))
            self.forget(newer.run_id, newer.run_attempt - 1)

    def _forget_spools(self, run_id: str, run_attempt: int) -> None:
        """Remove spools in a thread: a disk may be slow, and the loop hears of other runs."""
        later = {one for one in self._taken.pop(run_id, set()) if one > run_attempt}
        if later:
            self._taken[run_id] = later
        self._chores.submit(self._folder.forget, run_id, run_attempt)

    async def _attend(self, slot: _Slot) -> None:
        loop = asyncio.get_running_loop()
        start = time.monotonic()

        def tell(report: FragmentProgress) -> None:
            loop.call_soon_threadsafe(self._tell, report)

        try:
            with self._traced(slot.launch) as fragment:
                outcome = await loop.run_in_executor(self._pool, self._work, slot, tell)
                fragment.attributes["rows"] = work_done(outcome).rows
                if isinstance(outcome, FragmentFailed):
                    fragment.failed = outcome.cause.value
        except Exception as error:
            get_logger().exception("slot_failed", attempt=str(slot.launch.id))
            outcome = failed(EngineFailure(f"An internal error of the executor: {error}"))
        finally:
            del self._slots[slot.launch.id]
        if slot.forgotten:
            self._forget_spools(slot.launch.id.run_id, slot.launch.id.run_attempt)
            return
        ended = FragmentEnded(slot.launch.id, time.monotonic() - start, outcome)
        self._metrics.ended(ended)
        get_logger().info(
            "fragment_ended",
            attempt=str(ended.id),
            seconds=round(ended.seconds, 3),
            outcome=type(outcome).__name__,
        )
        self._tell(ended)

    def _traced(self, launch: Launch) -> AbstractContextManager[Span]:
        id = launch.id
        return span(
            f"kalla.{id.stage}",
            launch.job.trace,
            run_id=id.run_id,
            attempt=str(id),
            executor_id=self._executor_id,
        )

    def _work(self, slot: _Slot, tell: Callable[[FragmentProgress], None]) -> Outcome:
        self._count_busy(1)
        try:
            if slot.why is not None:
                return failed(slot.why)
            outcome = self._in_child(slot, tell)
        except KallaError as error:
            outcome = failed(slot.why if slot.stop.is_set() and slot.why else error)
        finally:
            self._count_busy(-1)
            self._tidy(slot.launch.id)
        if isinstance(outcome, JoinDone | SettleDone):
            return replace(outcome, spilled_bytes=self._spilled(slot, outcome))
        return outcome

    def _in_child(self, slot: _Slot, tell: Callable[[FragmentProgress], None]) -> Outcome:
        task = tasks.Task(
            slot.launch,
            self._executor_id,
            self._folder,
            self._share.budget,
            self._tickets(slot.launch),
            self._share.rest_bytes if leaves_nothing(slot.launch) else None,
            self._authorities,
            self._access,
        )

        def fetched() -> None:
            slot.fetched = True

        return self._processes.carry_out(task, lambda: self._limits(slot), tell, fetched)

    def _limits(self, slot: _Slot) -> Limits:
        return Limits(self._share.memory_bytes, _time_left(slot), slot.stop)

    def _tickets(self, launch: Launch) -> dict[str, bytes]:
        return {
            peer: sign(launch.spool_key, peer, mine)
            for peer, mine in by_executor(wants(launch.work)).items()
            if peer != self._executor_id
        }

    def _count_busy(self, change: int) -> None:
        with _busy_lock:
            self._busy += change
            self._metrics.slots_busy.set(self._busy)

    def _measure(self) -> None:
        self.spool_bytes = self._folder.bytes()
        for slot in list(self._slots.values()):
            slot.spilled_bytes = max(slot.spilled_bytes, self._scratch_bytes(slot))

    def _scratch_bytes(self, slot: _Slot) -> int:
        return self._folder.scratch_bytes(slot.launch.id)

    def _spilled(self, slot: _Slot, outcome: JoinDone | SettleDone) -> int:
        return max(slot.spilled_bytes - outcome.fetched_bytes, 0)

    def _tidy(self, attempt: AttemptId) -> None:
        """Remove the scratch of a process that was killed."""
        self._folder.remove_scratch(attempt)


_busy_lock = threading.Lock()


def _time_left(slot: _Slot) -> timedelta | None:
    if slot.launch.time_left is None:
        return None
    left = slot.launch.time_left - timedelta(seconds=time.monotonic() - slot.received)
    if left <= timedelta(0):
        raise DeadlineExceeded("The run took longer than its timeout.")
    return left
