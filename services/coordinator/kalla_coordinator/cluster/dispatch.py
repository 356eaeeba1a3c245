"""Carries out what the pure parts decide: the one place that knows all members and all runs.

Everything happens on one event loop, so nothing is locked. An event is applied at once, its
actions are performed in order, and free slots are given out a moment later, for all events that
came meanwhile together.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster import members as m
from kalla_coordinator.cluster import stages
from kalla_coordinator.cluster.active import ActiveRun, LaunchOf
from kalla_coordinator.cluster.attempts import StageName, Try
from kalla_coordinator.cluster.counting import Counting, NoCounts
from kalla_coordinator.cluster.line import Line
from kalla_coordinator.cluster.occupancy import Occupancy, run_of
from kalla_coordinator.cluster.placement import Seat, assign
from kalla_coordinator.cluster.reach import Remembered
from kalla_coordinator.cluster.roster import Change, Roster, Timing
from kalla_coordinator.cluster.run_state import FINAL, RunState, pending
from kalla_coordinator.cluster.works import RunName, try_of
from kalla_coordinator.jobs.model import ExecutorInfo
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.cause import Cause
from kalla_core.fragments.fetch_fault import FetchFault
from kalla_core.fragments.outcome import (
    FragmentEnded,
    FragmentFailed,
    FragmentProgress,
)
from kalla_core.fragments.presence import (
    CancelFragment,
    Draining,
    ForgetJob,
    FromExecutor,
    Heartbeat,
    Hello,
    PeerGone,
)
from kalla_core.observe.logs import get_logger

_NO_COUNTS = NoCounts()
_LOOK_INTERVAL_S = 0.5


class Dispatcher:
    """See the module. Made on the event loop that it runs on."""

    def __init__(self, timing: Timing, spool_key: bytes, counts: Counting = _NO_COUNTS) -> None:
        self.counts = counts
        self._spool_key = spool_key
        self._loop = asyncio.get_running_loop()
        self._roster = Roster(timing, self._loop.time, self._changed)
        self._runs: dict[RunName, ActiveRun] = {}
        self._occupied = Occupancy()
        self._severed = Remembered()
        self._assigning = False
        self._freed = asyncio.Event()
        self._unplanned = 0

    # -- who is there ----------------------------------------------------------------------------

    def slots(self) -> int:
        """Return the slots of all executors that take fragments, busy or not."""
        return sum(member.hello.slots for member in self._roster.open.values())

    def slot_memory_bytes(self) -> int:
        """Return the memory of the smallest slot; 0 without executors."""
        memory = [one.hello.slot_memory_bytes for one in self._roster.open.values()]
        return min(memory, default=0)

    def infos(self) -> tuple[ExecutorInfo, ...]:
        """Return the executors that are registered, the oldest first."""
        return self._roster.infos()

    def pending(self) -> Mapping[StageName, int]:
        """Return how many fragments of all runs would run if there were slots for them.

        A run that waits for the first executor is not cut into fragments yet: it counts as a scan,
        or nobody would start an executor for it.
        """
        counts = Counter[StageName]({StageName.SCAN: self._unplanned} if self._unplanned else {})
        for run in self._runs.values():
            counts.update(pending(run.state))
        return counts

    def taken(self) -> int:
        """Return how many slots fragments have, told of by their executors or not."""
        return len(self._occupied.where)

    async def some_executor(self, patience: timedelta) -> bool:
        """Wait until there is an executor; False if none came in time."""
        until = self._loop.time() + patience.total_seconds()
        self._unplanned += 1
        try:
            while not self.slots():
                left = until - self._loop.time()
                if left <= 0:
                    return False
                self._freed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _LOOK_INTERVAL_S)):
                        await self._freed.wait()
            return True
        finally:
            self._unplanned -= 1

    async def watch_over(self) -> None:
        """Let time pass for the members, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_INTERVAL_S)
            self.look()

    def look(self) -> None:
        """Give up the members that have been out of touch for too long by now."""
        self._roster.look()

    # -- streams ---------------------------------------------------------------------------------

    def connected(self, hello: Hello) -> Line:
        """Take on a stream; what is to be sent on it comes into its outbox."""
        return self._roster.connected(hello)

    def heard(self, executor: str, line: Line, said: FromExecutor) -> None:
        """Take what an executor says after its first message."""
        match said:
            case Heartbeat():
                self._roster.beat(executor, line, said)
            case Draining():
                self._roster.drains(executor, line)
            case FragmentProgress():
                self._progressed(said)
            case FragmentEnded():
                self._ended(said)
            case Hello():
                line.close()  # it registers twice on one stream: it is not what we think it is

    def disconnected(self, executor: str, line: Line) -> None:
        """Note that a stream has ended."""
        self._roster.disconnected(executor, line)

    def close(self) -> None:
        """End all streams."""
        self._roster.close()

    # -- runs ------------------------------------------------------------------------------------

    def begin(
        self, name: RunName, state: RunState, launch_of: LaunchOf, changed: Callable[[], None]
    ) -> ActiveRun:
        """Work on a run attempt from now on, until `end`."""
        known = replace(state, severed=self._severed.at(self._loop.time()))
        run = ActiveRun(name, known, launch_of, changed, self._loop.create_future())
        self._runs[name] = run
        for executor in self._roster.open:
            self.apply(run, e.ExecutorCame(executor))
        return run

    def apply(self, run: ActiveRun, event: e.Event) -> None:
        """Let something happen to a run, and do what it calls for."""
        run.state, actions = stages.step(run.state, event)
        for action in actions:
            self._perform(run, action)
        self._assign_soon()
        run.changed()

    def end(self, run: ActiveRun) -> None:
        """Forget a run attempt, here and on all executors; what it occupied goes with it.

        An executor drops what it is told to forget without a word, so none is waited for: a slot
        that is not empty yet lets the next fragment wait for it there.
        """
        self._runs.pop(run.name, None)
        for attempt in self._occupied.of(run.name):
            self._lose(attempt)
        for executor in self._roster:
            self._roster.send(executor, ForgetJob(run.name.run_id, run.name.attempt))
        self._assign_soon()

    async def quiet(self, run: ActiveRun, patience: timedelta) -> None:
        """Wait until nobody works on a run that is over, for so long at most."""
        until = self._loop.time() + patience.total_seconds()
        while self._occupied.of(run.name) and self._loop.time() < until:
            self._freed.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._freed.wait()
            except TimeoutError:
                return

    @property
    def occupied(self) -> Mapping[AttemptId, str]:
        """The executors whose slots are taken, by the attempt that has them; of known runs only."""
        return self._occupied.where

    def _perform(self, run: ActiveRun, action: e.Action) -> None:
        match action:
            case e.Start(which, executor):
                self._start(run, which, executor)
            case e.Cancel(which, executor):
                self._roster.send(executor, CancelFragment(run.name.of(which)))
            case _:
                if not run.over.done():
                    run.over.set_result(action)

    def _start(self, run: ActiveRun, which: Try, executor: str) -> None:
        self._occupied.take(run.name.of(which), executor)
        if which.attempt > 1:
            setback = run.state.fragments[which.fragment].setback
            self.counts.fragment_retried(which.fragment.stage.value, setback)
        if executor not in run.executors:
            run.executors.append(executor)
        launch = run.launch_of(run.state, which, self._roster.addresses())
        self._roster.send(executor, replace(launch, spool_key=self._spool_key_of(run.name)))

    def _spool_key_of(self, run: RunName) -> bytes:
        """Return the key that only executors which work for a run attempt are given."""
        return hmac.digest(self._spool_key, f"{run.run_id}/{run.attempt}".encode(), "sha256")

    def _progressed(self, report: FragmentProgress) -> None:
        run = self._run_of(report.id)
        if run is not None and report.id in self._occupied:
            run.reports = run.reports.told(try_of(report.id), report)
            run.changed()

    def _ended(self, ended: FragmentEnded) -> None:
        if self._occupied.leave(ended.id):
            self.counts.fragment_ended(ended.id.stage, ended.outcome)
        self._freed.set()
        self._assign_soon()
        run = self._run_of(ended.id)
        if run is None:
            return
        which, outcome = try_of(ended.id), ended.outcome
        run.reports = run.reports.ended(which)
        lost: frozenset[Try] = frozenset()
        cut_from: str | None = None
        if isinstance(outcome, FragmentFailed):
            self._log_failure(ended, outcome)
            if outcome.cause is Cause.TRANSIENT:
                pause = run.pause(which.fragment, self._loop.time())
                self._loop.call_later(pause, self._assign_soon)
            if outcome.fetch is not None:
                lost = frozenset(try_of(one) for one in outcome.fetch.attempts)
                cut_from = self._cut_from(run, which, outcome.fetch)
        self.apply(run, e.Ended(which, outcome, lost, cut_from))

    def _cut_from(self, run: ActiveRun, which: Try, fault: FetchFault) -> str | None:
        """Return the executor that a fragment could not reach, if that one is there all the same.

        One whose stream is broken is about to be lost, and what it holds with it.
        """
        fragment = run.state.fragments.get(which.fragment)
        holder = self._roster.of.get(fault.executor_id)
        if not fault.unreachable or holder is None or holder.broken_at is not None:
            return None
        if fragment is None or fragment.running is None or not fragment.is_running(which):
            return None
        reader = fragment.running.executor
        self._severed.note(frozenset({reader, fault.executor_id}), self._loop.time())
        get_logger().warning("executors_apart", reader=reader, holder=fault.executor_id)
        return fault.executor_id

    def _log_failure(self, ended: FragmentEnded, outcome: FragmentFailed) -> None:
        get_logger().warning(
            "fragment_failed",
            attempt=str(ended.id),
            cause=outcome.cause.value,
            code=outcome.error.code,
            message=outcome.error.message,
        )

    def _run_of(self, attempt: AttemptId) -> ActiveRun | None:
        return self._runs.get(run_of(attempt))

    # -- members ---------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        match change:
            case m.Joined(hello):
                self._joined(hello)
            case m.Returned(hello):
                self._returned(hello)
            case m.Gone(executor, why):
                self._gone(executor, why)

    def _joined(self, hello: Hello) -> None:
        self._forget_strangers(hello)
        for attempt in hello.running:
            if run_of(attempt) in self._runs:
                self._occupied.take(attempt, hello.executor_id)
        for run in list(self._runs.values()):
            running = _of_run(run.name, hello.running)
            self.apply(run, e.ExecutorCame(hello.executor_id, running))
        self._freed.set()
        self._assign_soon()

    def _returned(self, hello: Hello) -> None:
        self._forget_strangers(hello)
        for attempt in self._occupied.on(hello.executor_id).difference(hello.running):
            self._lose(attempt)
        for run in list(self._runs.values()):
            running, held = _of_run(run.name, hello.running), _of_run(run.name, hello.held)
            self.apply(run, e.ExecutorReturned(hello.executor_id, running, held))
        self._freed.set()

    def _gone(self, executor: str, why: str) -> None:
        self._severed.forget(executor)
        for other in self._roster:
            self._roster.send(other, PeerGone(executor))
        for attempt in self._occupied.on(executor):
            self._lose(attempt)
        for run in list(self._runs.values()):
            self.apply(run, e.ExecutorLost(executor, why))
        self._freed.set()

    def _lose(self, attempt: AttemptId) -> None:
        self._occupied.leave(attempt)
        self.counts.fragment_lost(attempt.stage)

    def _forget_strangers(self, hello: Hello) -> None:
        """Let an executor drop what it has of runs, or attempts at them, that are no more."""
        newest: dict[str, int] = {}
        for attempt in (*hello.running, *hello.held):
            if run_of(attempt) not in self._runs:
                before = newest.get(attempt.run_id, 0)
                newest[attempt.run_id] = max(before, attempt.run_attempt)
        for run_id, run_attempt in newest.items():
            self._roster.send(hello.executor_id, ForgetJob(run_id, run_attempt))

    # -- slots -----------------------------------------------------------------------------------

    def _assign_soon(self) -> None:
        if not self._assigning:
            self._assigning = True
            self._loop.call_soon(self._assign)

    def _assign(self) -> None:
        try:
            if self._roster.has_free(self._occupied):
                self._give_out(self._roster.seats(self._occupied))
        finally:
            self._assigning = False  # only now: what is given out makes nothing else ready

    def _give_out(self, seats: list[Seat]) -> None:
        active = {str(index): run for index, run in enumerate(self._runs.values())}
        now = self._loop.time()
        wishes = [run.wish(job, now) for job, run in active.items()]
        for grant in assign(seats, wishes):
            run = active[grant.job]
            if run.state.phase not in FINAL:
                self.apply(run, e.Granted(grant.key, grant.executor))


def _of_run(name: RunName, attempts: tuple[AttemptId, ...]) -> frozenset[Try]:
    return frozenset(
        try_of(one)
        for one in attempts
        if (one.run_id, one.run_attempt) == (name.run_id, name.attempt)
    )
