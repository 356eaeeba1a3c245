"""`kallad cluster`: a coordinator and some executors on this machine, started and ended together.

The coordinator lives in this process; each executor is one of its own, `kallad executor` on free
ports. Executors share the cores, and half of the memory limit; the coordinator has the other half.
An executor that dies is started again, a few times; none outlives this process, even if it is
killed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from kalla_coordinator.app import Coordinator, coordinator
from kalla_coordinator.fleet import Fleet, Restarts
from kalla_core import machine
from kalla_core.errors import ExecutorLost, KallaError, ShuttingDown
from kalla_core.observe.logs import configure_logs, get_logger
from kalla_core.observe.tracing import tracing
from kalla_core.observe.variables import warn_of_unknown_variables
from kalla_core.settings import TogetherSettings

_KALLAD = (sys.executable, "-c", "from kalla_core.cli.tied import main; main()")
_START_PATIENCE_S = 60.0
_LOOK_INTERVAL_S = 0.1


def run(settings: TogetherSettings) -> None:
    """Run a coordinator and executors until told to end.

    Raises:
        KallaError: they cannot start.
    """
    configure_logs(settings.log_level, settings.log_format)
    warn_of_unknown_variables()
    machine.give_new_files(settings.evidence_mode)
    with tracing("kalla-coordinator"):
        asyncio.run(_until_told(settings))


async def _until_told(settings: TogetherSettings) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        await _serve(settings, told)
    except ShuttingDown:
        if not told.is_set():
            raise
    get_logger().info("cluster_stopped")


async def _serve(settings: TogetherSettings, told: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    async with together(settings, told) as running:
        get_logger().info(
            "cluster_ready",
            executors=settings.executors,
            http_port=running.ports.http,
            grpc_port=running.ports.grpc,
            results_port=running.ports.results,
        )
        await running.told_or_lost(told)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)  # the next one ends the process
        await running.stored_jobs.runner.drain(settings.grace)


@asynccontextmanager
async def together(settings: TogetherSettings, told: asyncio.Event) -> AsyncIterator[Coordinator]:
    """Run a coordinator and its executors for a block.

    Args:
        told: ends the wait for a job store that another owns.

    Raises:
        ShuttingDown: told to end while it waited.
        ExecutorLost: an executor ended, or did not register in time.
        KallaError: the coordinator cannot start.
    """
    half = settings.memory_limit_bytes // 2
    own = settings.model_copy(update={"memory_limit_bytes": half})
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(coordinator(own, told))
        flags = _flags(settings, running.ports.grpc, half // settings.executors)
        executors = Fleet(
            (*_KALLAD, "executor", *flags), settings.executors, Restarts(settings.restarts)
        )
        stack.push_async_callback(executors.close)
        await executors.start()
        await _all_there(running, executors)
        executors.watch_over()
        yield running


def _flags(settings: TogetherSettings, coordinator_port: int, memory_bytes: int) -> list[str]:
    host = settings.bind_host
    flags = {
        "--coordinator-host": "localhost" if host in ("0.0.0.0", "::") else host,  # noqa: S104
        "--coordinator-port": coordinator_port,
        "--bind-host": host,
        "--flight-port": 0,
        "--grpc-port": 0,
        "--http-port": 0,
        "--slots": max(settings.slots // settings.executors, 1),
        "--memory-limit": memory_bytes,
        "--evidence-mode": f"{settings.evidence_mode:04o}",
        "--log-level": settings.log_level.value,
        "--token-file": settings.token_file,
        "--tls-cert": settings.tls_cert_file,
        "--tls-key": settings.tls_key_file,
        "--tls-ca": settings.tls_ca_file,
        "--allowed-env": ",".join(settings.allowed_env) or None,
    }
    if settings.log_format is not None:
        flags["--log-format"] = settings.log_format.value
    given = [f"{flag}={value}" for flag, value in flags.items() if value is not None]
    return [*given, "--insecure"] if settings.insecure else given


async def _all_there(running: Coordinator, executors: Fleet) -> None:
    """Wait until every executor has registered."""
    try:
        async with asyncio.timeout(_START_PATIENCE_S):
            while len(running.dispatcher.infos()) < len(executors.processes):
                _check(executors)
                await asyncio.sleep(_LOOK_INTERVAL_S)
    except TimeoutError:
        raise _not_there(f"did not register within {_START_PATIENCE_S:g} seconds") from None


def _check(executors: Fleet) -> None:
    for process in executors.processes:
        if process.returncode is not None:
            raise _not_there(f"ended with exit code {process.returncode} before it registered")


def _not_there(what: str) -> KallaError:
    return ExecutorLost(f"An executor {what}; its log says why.")
