"""`ClusterHost`: one run on executors, from the claim of its output to the commit."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.active import ActiveRun
from kalla_coordinator.cluster.attempts import Try
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.gathered import gather, outcome, rows_in
from kalla_coordinator.cluster.holder_process import HolderProcess, holding
from kalla_coordinator.cluster.layout import Room, Shape, first_buckets
from kalla_coordinator.cluster.output import (
    claimed,
    collected,
    commit,
    is_shared_folder,
    merge,
    put_nonce,
)
from kalla_coordinator.cluster.run_state import FINAL, RunState, Setup, begun
from kalla_coordinator.cluster.telling import Telling
from kalla_coordinator.cluster.works import Launches, RunName, RunTerms
from kalla_coordinator.jobs.host import Host, RunOrder, Watch, too_late
from kalla_core.engine.processes.spawned import Start
from kalla_core.engine.programs.held_plan import HeldPlan, HoldOrder
from kalla_core.engine.programs.local import RunRequest, run_metadata
from kalla_core.errors import (
    Cancelled,
    KallaError,
    NoExecutors,
    NotShared,
    SourceChanged,
)
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import MATCHED
from kalla_core.evidence.output import Output
from kalla_core.fragments.remote import Launch
from kalla_core.observe.logs import get_logger
from kalla_core.recipe.model import EngineChoice, Recipe
from kalla_core.recipe.uris import LOCAL, scheme_of
from kalla_core.sources.protocol import EVERYTHING, SourceAccess

_ATTEMPTS = 3
"""Times that a run is begun with sources pinned anew, for one attempt of its job."""

_NONCE = ".kalla-nonce"
_QUIET = timedelta(seconds=2)
_LOOK_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What the host of cluster runs needs to know.

    Attributes:
        patience: how long a run waits for an executor while there is none.
        access: what sources may be reached.
        start: how child processes are started; None for plainly.
        local: the host that takes over a run of the engine `auto` whose folders the executors do
            not see; None if nobody does.
    """

    patience: timedelta
    access: SourceAccess = EVERYTHING
    start: Start | None = None
    local: Host | None = None


class _StartOver(Exception):
    """A run attempt cannot succeed, and another one may."""

    def __init__(self, error: KallaError) -> None:
        super().__init__(error.message)
        self.error = error


class ClusterHost:
    """Runs jobs on executors; see `Host`."""

    name = "cluster"

    def __init__(self, dispatcher: Dispatcher, settings: HostSettings) -> None:
        self._dispatcher = dispatcher
        self._settings = settings

    async def run(self, order: RunOrder, watch: Watch) -> RunMetadata:
        """Carry out a run; see `Host.run`.

        Raises:
            NoExecutors: none came in time, or all are gone for as long.
            NotShared: an executor does not see a folder that the run needs.
            DeadlineExceeded: it could not decide to commit in time.
            KallaError: what else went wrong.
        """
        try:
            async with _in_time(order) as bound:
                return await self._run(order, watch, bound)
        except NotShared as error:
            local = self._settings.local
            if local is None or order.recipe.options.engine is not EngineChoice.AUTO:
                raise
            get_logger().info("cluster_not_shared", message=error.message)
            return await local.run(order, watch)

    async def _run(self, order: RunOrder, watch: Watch, bound: asyncio.Timeout) -> RunMetadata:
        if not await self._dispatcher.some_executor(self._settings.patience):
            raise _nobody(self._settings.patience)
        first = (order.run_attempt - 1) * _ATTEMPTS + 1
        for number in range(first, first + _ATTEMPTS):
            name = RunName(order.run_id, number)
            attempt = _Attempt(self._dispatcher, self._settings, order, watch, name, bound)
            try:
                return await attempt.run()
            except _StartOver as over:
                get_logger().warning("run_starts_over", message=over.error.message)
                error = over.error
                if number < first + _ATTEMPTS - 1:
                    self._dispatcher.counts.run_retried(error.code)
        raise error


@dataclass(frozen=True)
class _Attempt:
    dispatcher: Dispatcher
    settings: HostSettings
    order: RunOrder
    watch: Watch
    name: RunName
    bound: asyncio.Timeout

    async def run(self) -> RunMetadata:
        order = self.order
        began = asyncio.get_running_loop().time()
        async with (
            claimed(order, self.name.attempt) as output,
            holding(self.settings.start) as held,
        ):
            plan = await held.plan(self._hold_order())
            self.watch.planned(plan.strategy.value)
            telling = Telling(plan, self.watch, began)
            async with self._under_way(plan, output, telling) as run:
                end = await self._end(run, held)
                if isinstance(end, e.Fail):
                    raise end.error
                if isinstance(end, e.StartOver):
                    raise _StartOver(end.error) if _worth_it(end.error, held) else end.error
            telling.all_of_it(run)
            metadata = await self._metadata(run.state, plan, output, telling)
            await self._verify(held)
            self.bound.reschedule(None)  # from the decision on nothing stops it
            await self.watch.decide_commit()
            await commit(output, metadata)
            telling.committed()
            return metadata

    async def _verify(self, held: HolderProcess) -> None:
        """Look at the sources once more; a snapshot lost now is one that another attempt has."""
        try:
            await held.verify()
        except KallaError as error:
            if _worth_it(error, held):
                raise _StartOver(error) from error
            raise

    def _hold_order(self) -> HoldOrder:
        order = self.order
        slots = max(self.dispatcher.slots(), 1)
        return HoldOrder(order.recipe, order.started_at, slots, order.opening(self.settings.access))

    @asynccontextmanager
    async def _under_way(
        self, plan: HeldPlan, output: Output, telling: Telling
    ) -> AsyncIterator[ActiveRun]:
        """Let executors work on the run; whichever way it ends, nobody does afterwards."""
        launches = Launches(await self._terms(plan, output))

        def launch_of(state: RunState, which: Try, where: Mapping[str, tuple[str, int]]) -> Launch:
            return launches.launch(state, which, where, _left(self.bound))

        run = self.dispatcher.begin(
            self.name, begun(self._setup(plan, output)), launch_of, telling.changed
        )
        try:
            telling.about(run)
            yield run
        finally:
            try:
                if run.state.phase not in FINAL:
                    self.dispatcher.apply(run, e.Stopped(Cancelled("The run was cancelled.")))
                telling.close()
                await self.dispatcher.quiet(run, _QUIET)
            finally:  # also when it is cancelled once more while it waits
                self.dispatcher.end(run)

    async def _terms(self, plan: HeldPlan, output: Output) -> RunTerms:
        terms = RunTerms(
            name=self.name,
            recipe=self.order.recipe,
            started_at=self.order.started_at,
            plan=plan,
            staging=output.parts,
            trace=self.order.trace,
        )
        if not is_shared_folder(output):
            return terms
        nonce = secrets.token_hex(16)
        await asyncio.to_thread(put_nonce, output, _NONCE, nonce)
        return replace(terms, nonce_name=_NONCE, nonce=nonce)

    def _setup(self, plan: HeldPlan, output: Output) -> Setup:
        recipe = self.order.recipe
        wanted = recipe.options.buckets
        room = Room(max(self.dispatcher.slots(), 1), self.dispatcher.slot_memory_bytes())
        return Setup(
            extras=plan.extra_scans,
            scans=plan.scans,
            shape=Shape(
                plan.strategy,
                plan.replicable,
                wanted is not None,
                plan.scattered,
                in_passes=recipe.reconciles,
                parts=tuple(one.part.weight_bytes for one in plan.scans) if plan.late else None,
            ),
            room=room,
            buckets=wanted or first_buckets(plan.known_bytes, room),
            proofs=is_shared_folder(output) or _reads_files(recipe),
        )

    async def _end(self, run: ActiveRun, held: HolderProcess) -> e.Action:
        """Wait for the end of a run; see to its snapshot and its executors."""
        loop = asyncio.get_running_loop()
        held.lost.add_done_callback(_when_lost(self.dispatcher, run))
        last_seen = loop.time()
        while not run.over.done():
            await asyncio.wait({run.over}, timeout=_LOOK_INTERVAL_S)
            if self.dispatcher.slots():
                last_seen = loop.time()
            patience = self.settings.patience
            if loop.time() - last_seen > patience.total_seconds():
                self.dispatcher.apply(run, e.Stopped(_nobody(patience)))
        return run.over.result()

    async def _metadata(
        self, state: RunState, plan: HeldPlan, output: Output, telling: Telling
    ) -> RunMetadata:
        order = self.order
        gathered = gather(state)
        files = await collected(output, gathered.parts)
        if order.recipe.options.single_file:
            files = await merge(output, files, self.settings.start)
        done = outcome(gathered, plan, files, telling.durations, order.recipe.options)
        request = RunRequest(order.recipe, order.run_id, output.location, 0, 0)
        metadata = run_metadata(request, order.started_at, done)
        return replace(metadata, engine=ClusterHost.name, matched_count=rows_in(files, MATCHED))


@asynccontextmanager
async def _in_time(order: RunOrder) -> AsyncIterator[asyncio.Timeout]:
    """Bound all waiting of a block by a run's deadline, for as long as that is not taken away.

    Raises:
        DeadlineExceeded: it has passed.
    """
    bound = asyncio.timeout_at(None if order.deadline is None else _on_the_loop(order.deadline))
    try:
        async with bound:
            yield bound
    except TimeoutError:
        if bound.expired():
            raise too_late(order) from None
        raise


def _on_the_loop(deadline: datetime) -> float:
    """Return a deadline on the clock of the loop, which nobody sets."""
    left = deadline - datetime.now(UTC)
    return asyncio.get_running_loop().time() + left.total_seconds()


def _left(bound: asyncio.Timeout) -> timedelta | None:
    """Return how much time is left."""
    when = bound.when()
    if when is None:
        return None
    return timedelta(seconds=max(when - asyncio.get_running_loop().time(), 0.0))


def _when_lost(
    dispatcher: Dispatcher, run: ActiveRun
) -> Callable[[asyncio.Future[KallaError]], None]:
    def lost(reason: asyncio.Future[KallaError]) -> None:
        if run.state.phase not in FINAL and not reason.cancelled():
            dispatcher.apply(run, e.HolderLost(reason.result()))

    return lost


def _worth_it(error: KallaError, held: HolderProcess) -> bool:
    """Whether another attempt may see one state of the sources: their snapshot was lost.

    Files that change are told as that: they may go on changing.
    """
    return held.lost.done() or not isinstance(error, SourceChanged) or "snapshot" in error.details


def _reads_files(recipe: Recipe) -> bool:
    specs = (recipe.left, recipe.right, *recipe.extras)
    carried = [spec.carry.evidence for spec in specs if spec.carry is not None]
    return any(scheme_of(uri or "") == LOCAL for uri in (*(spec.uri for spec in specs), *carried))


def _nobody(patience: timedelta) -> NoExecutors:
    return NoExecutors(
        f"No executor was there for {patience.total_seconds():g} seconds. Start one with "
        "`kallad executor --coordinator-host ...`, or let the engine be `auto` or `local`."
    )
