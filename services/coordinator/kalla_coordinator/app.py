"""The coordinator as a process: builds its parts, starts them in order, stops them in reverse.

    the job store is ours → outbox (what is owed) → jobs that were left → servers → ready

On SIGTERM or SIGINT no new job is taken; running ones finish within the grace period, or the next
start runs them again. A second signal ends the process at once: whatever happens to it, the next
start finds everything in the store.

A store has one owner. Another coordinator that is started on it answers `/health` and `/ready`,
waits until the owner is gone, and goes on from there: so one takes over from the other.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from kalla_coordinator.api.grpc import ExtraServicer
from kalla_coordinator.api.serve import Ports, listening, serving, serving_the_wait
from kalla_coordinator.callbacks.outbox import Outbox
from kalla_coordinator.cluster.counting import Counting
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.holder_process import HOLDER, MERGING
from kalla_coordinator.cluster.host import ClusterHost, HostSettings
from kalla_coordinator.cluster.members import Patience
from kalla_coordinator.cluster.roster import Timing
from kalla_coordinator.cluster.stream import SERVICE, add_executors
from kalla_coordinator.jobs.admission import Places
from kalla_coordinator.jobs.allowed import RUNS, Allowed
from kalla_coordinator.jobs.engines import Engines
from kalla_coordinator.jobs.ledger import Ledger
from kalla_coordinator.jobs.local_host import SERVICE_BYTES, LocalHost, job_memory_bytes
from kalla_coordinator.jobs.niceness import giving_way
from kalla_coordinator.jobs.outputs import Outputs
from kalla_coordinator.jobs.recovery import look_further, recover
from kalla_coordinator.jobs.retention import keep_tidy
from kalla_coordinator.jobs.room import Room
from kalla_coordinator.jobs.runner import Runner
from kalla_coordinator.jobs.store import open_store
from kalla_coordinator.jobs.stored_jobs import StoredJobs
from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core import machine
from kalla_core.cli.leaving import leave_within
from kalla_core.database import with_password
from kalla_core.engine.budget import SMALLEST_LIMIT
from kalla_core.engine.processes.children import RUN
from kalla_core.engine.processes.fork_pool import ForkPool
from kalla_core.engine.processes.spawned import environment_within
from kalla_core.errors import InvalidSetting, OutputNotWritable, ShuttingDown
from kalla_core.inspection.ask import INSPECT
from kalla_core.observe.logs import configure_logs, get_logger
from kalla_core.observe.loop_lag import watch_loop
from kalla_core.observe.rights import warn_of_root
from kalla_core.observe.tracing import tracing
from kalla_core.observe.variables import warn_of_unknown_variables
from kalla_core.settings import CoordinatorSettings
from kalla_core.settings.secret_files import read_secret, secret_files
from kalla_core.settings.tokens import is_loopback, sends_tokens_openly
from kalla_core.units import format_bytes

_FORKED = (RUN[-1], INSPECT[-1], HOLDER[-1], MERGING[-1])
"""Modules whose children start by fork."""

_LATEST_END_S = 120.0
"""After the grace period; a call that never returns, to a folder that is away, must not hold it."""


@dataclass(frozen=True, slots=True)
class Coordinator:
    """A coordinator that runs."""

    stored_jobs: StoredJobs
    metrics: CoordinatorMetrics
    ports: Ports
    dispatcher: Dispatcher

    async def told_or_lost(self, told: asyncio.Event) -> None:
        """Wait until this coordinator is told to end.

        Raises:
            ShuttingDown: another has taken the job store over.
        """
        ends = {
            asyncio.create_task(told.wait(), name="told"),
            asyncio.create_task(self.stored_jobs.store.lost(), name="store-lost"),
        }
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        if not told.is_set():
            raise ShuttingDown("Another coordinator has taken the job store over; this one ends.")


def run(settings: CoordinatorSettings) -> None:
    """Run a coordinator until it is told to end.

    Raises:
        KallaError: it cannot start.
    """
    configure_logs(settings.log_level, settings.log_format)
    warn_of_unknown_variables()
    warn_of_root()
    machine.give_new_files(settings.evidence_mode)
    with tracing("kalla-coordinator"):
        asyncio.run(_until_told(settings))


async def _until_told(settings: CoordinatorSettings) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        told.set()
        leave_within(settings.grace.total_seconds() + _LATEST_END_S, "coordinator_did_not_end")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    try:
        await _serve(settings, told)
    except (ShuttingDown, asyncio.CancelledError):
        if not told.is_set():
            raise
    get_logger().info("coordinator_stopped")


async def _serve(settings: CoordinatorSettings, told: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        with _given_up_when(told):
            running = await stack.enter_async_context(coordinator(settings, told))
        ports = running.ports
        # What is there by now stays; to look through it again and again would hold the loop up.
        gc.freeze()
        get_logger().info(
            "coordinator_ready",
            http_port=ports.http,
            grpc_port=ports.grpc,
            results_port=ports.results,
            bind_host=settings.bind_host,
        )
        await running.told_or_lost(told)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)  # the next one ends the process
        get_logger().info(
            "coordinator_draining", running=len(running.stored_jobs.runner.places.running)
        )
        await running.stored_jobs.runner.drain(settings.grace)


@contextmanager
def _given_up_when(told: asyncio.Event) -> Iterator[None]:
    """Cancel this task if it is told to end within the block, whatever it waits for there."""
    this = asyncio.current_task()

    async def listen() -> None:
        await told.wait()
        if this is not None:
            this.cancel()

    listening = asyncio.create_task(listen(), name="told-to-end")
    try:
        yield
    finally:
        listening.cancel()


@asynccontextmanager
async def coordinator(
    settings: CoordinatorSettings, told: asyncio.Event
) -> AsyncIterator[Coordinator]:
    """Run a coordinator for a block; leaving it stops everything at once.

    Args:
        told: ends the wait for a job store that another owns.

    Raises:
        ShuttingDown: told to end while it waited.
        KallaError: it cannot start.
    """
    if sends_tokens_openly(settings):
        get_logger().warning(
            "not_encrypted",
            bind_host=settings.bind_host,
            message="Tokens and rows travel without encryption: give --tls-cert and --tls-key.",
        )
    allowed = _allowed(settings)
    share = _job_memory_bytes(settings)
    metrics = CoordinatorMetrics()
    async with AsyncExitStack() as stack:
        fork_pool = stack.enter_context(ForkPool(_FORKED, environment_within(share)))
        fork_pool.open()
        start = giving_way(fork_pool.start)
        listener = stack.enter_context(listening(settings))
        store = await stack.enter_async_context(
            open_store(
                with_password(
                    settings.database_url,
                    read_secret(settings.database_password_file, "database password"),
                ),
                allowed.staging,
                partial(_waiting, settings, listener, told),
            )
        )
        outbox = await stack.enter_async_context(
            Outbox(store, metrics, read_secret(settings.callback_secret_file))
        )
        host = LocalHost(
            settings.max_jobs,
            settings.memory_limit_bytes,
            settings.slots,
            start,
            allowed.access,
            metrics.count_progress,
        )
        stack.callback(host.close)
        places = Places(settings.max_jobs, settings.queue_limit)
        dispatcher = await stack.enter_async_context(_dispatching(settings, metrics))
        metrics.show_executors(dispatcher.infos)
        metrics.show_work(dispatcher.pending, dispatcher.taken)
        cluster = HostSettings(settings.executor_wait, allowed.access, start, host)
        engines = Engines(
            host, ClusterHost(dispatcher, cluster), dispatcher, settings.smallest_cluster_bytes
        )
        runner = Runner(Ledger(store, outbox), engines, metrics, places)
        outputs = Outputs(allowed, store)
        stack.callback(outputs.close)
        stored_jobs = StoredJobs(store, runner, outputs, Room(allowed.staging))
        for delivery in await store.owed():
            outbox.owe(delivery)
        stack.push_async_callback(_stop_now, runner)
        unseen = await recover(store, runner)
        await stack.enter_async_context(_in_background(look_further(runner, unseen)))
        await stack.enter_async_context(_in_background(watch_loop(metrics.loop_lag.observe)))
        tidy = keep_tidy(store, allowed, settings.retention)
        await stack.enter_async_context(_in_background(tidy))
        ports = await stack.enter_async_context(
            serving(
                stored_jobs,
                settings,
                registry=metrics.registry,
                listener=listener,
                access=allowed.access,
                check_sources=outputs.readable,
                extra_servicers=[ExtraServicer(SERVICE, partial(add_executors, dispatcher))],
                start_child=start,
            )
        )
        stack.callback(dispatcher.close)  # first of all: streams end, and so the server can
        yield Coordinator(stored_jobs, metrics, ports, dispatcher)


@asynccontextmanager
async def _waiting(
    settings: CoordinatorSettings, listener: socket.socket, told: asyncio.Event
) -> AsyncIterator[asyncio.Event]:
    async with serving_the_wait(settings, listener):
        get_logger().info("coordinator_waiting", http_port=listener.getsockname()[1])
        yield told


_SILENT_HEARTBEATS = 8


@asynccontextmanager
async def _dispatching(
    settings: CoordinatorSettings, counts: Counting
) -> AsyncIterator[Dispatcher]:
    """Watch over executors for a block; each start has a key of its own for their tickets."""
    silence = _SILENT_HEARTBEATS * settings.heartbeat
    timing = Timing(settings.heartbeat, Patience(settings.executor_grace, silence))
    dispatcher = Dispatcher(timing, secrets.token_bytes(32), counts)
    async with _in_background(dispatcher.watch_over()):
        yield dispatcher


async def _stop_now(runner: Runner) -> None:
    await runner.drain(timedelta(0))


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _allowed(settings: CoordinatorSettings) -> Allowed:
    staging = settings.staging_path.absolute()
    try:
        # Made here and not by a run, which would take it away again beside others.
        (staging / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(
            f"The staging path {staging} cannot be made: {error.strerror}."
        ) from error
    return Allowed(
        staging=staging.resolve(),
        roots=_roots(settings),
        hosts=_hosts(settings.allowed_hosts),
        callback_hosts=_hosts(settings.callback_hosts),
        buckets=None if settings.allowed_buckets is None else frozenset(settings.allowed_buckets),
        env=frozenset(settings.allowed_env),
        secrets=_secret_files(settings),
    )


def _secret_files(settings: CoordinatorSettings) -> tuple[Path, ...]:
    own = settings.callback_secret_file
    return secret_files(settings) + (() if own is None else (own.absolute(),))


def _roots(settings: CoordinatorSettings) -> tuple[Path, ...] | None:
    if settings.allowed_paths is not None:
        return tuple(Path(path).resolve() for path in settings.allowed_paths)
    return None if is_loopback(settings.bind_host) else ()


def _hosts(names: Sequence[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(name.lower() for name in names)


def _job_memory_bytes(settings: CoordinatorSettings) -> int:
    share = job_memory_bytes(settings.memory_limit_bytes, settings.max_jobs)
    if share < SMALLEST_LIMIT:
        raise InvalidSetting(
            f"The memory limit of {format_bytes(settings.memory_limit_bytes)} is too small for "
            f"{settings.max_jobs} jobs at once: each needs {format_bytes(SMALLEST_LIMIT)}, and "
            f"the service {format_bytes(SERVICE_BYTES)}. Raise --memory-limit, or lower "
            "--max-jobs.",
            settings=["--memory-limit", "--max-jobs"],
        )
    return share
