"""Builds an executor, starts it, and stops it.

On SIGTERM or SIGINT it takes no new fragment, finishes what it has in hand within its grace, tells
so, and goes; a second signal ends it at once. It leaves no process and no file behind; what a
SIGKILL leaves, the next executor on the same spool path sweeps.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import signal
import socket
import stat
import tempfile
import uuid
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from kalla_core import machine
from kalla_core.cli.leaving import leave_within
from kalla_core.engine.processes.fork_pool import ForkPool, Resting
from kalla_core.engine.processes.vitals import private_bytes
from kalla_core.engine.spool.spool_folder import SpoolFolder, Unvisited, own_folder
from kalla_core.errors import InvalidSetting
from kalla_core.fragments.outcome import FragmentEnded, FragmentProgress
from kalla_core.fragments.presence import Heartbeat, Hello, Welcome
from kalla_core.observe.logs import configure_logs, get_logger
from kalla_core.observe.loop_lag import watch_loop
from kalla_core.observe.rights import warn_of_root
from kalla_core.observe.tracing import tracing
from kalla_core.observe.variables import warn_of_unknown_variables
from kalla_core.settings import ExecutorSettings
from kalla_core.settings.secret_files import secret_files
from kalla_core.settings.tls import PeerTls, read_peer_tls
from kalla_core.settings.tokens import executor_token, read_tokens, sends_tokens_openly
from kalla_core.sources.protocol import SourceAccess
from kalla_core.warden import Bounds, bounded, most_of_a_port
from kalla_executor.child import __name__ as child_module
from kalla_executor.flight import SpoolKeys, SpoolServer
from kalla_executor.metrics import ExecutorMetrics
from kalla_executor.presence import Ears, Presence
from kalla_executor.probes import bound_socket, cancelled, serve_health, serve_web, web_app
from kalla_executor.runner import Runner
from kalla_executor.slots import SlotShare, slot_environment, slot_share

_LATEST_END_S = 120.0
_SAY_PATIENCE = timedelta(seconds=3)
_STALE = timedelta(hours=24)
_SWEEP_INTERVAL_S = 600.0
_STILL_S = 120.0
_SPOOL_STILL_S = 600.0


def run(settings: ExecutorSettings) -> None:
    """Serve until told to end.

    Raises:
        InvalidSetting: it cannot work like this.
        KallaError: the coordinator refuses it.
    """
    configure_logs(settings.log_level, settings.log_format)
    warn_of_unknown_variables()
    warn_of_root()
    machine.give_new_files(settings.evidence_mode)
    share = slot_share(settings.memory_limit_bytes, settings.slots)
    token = executor_token(settings)
    tls = read_peer_tls(settings)
    if sends_tokens_openly(settings):
        get_logger().warning(
            "not_encrypted",
            bind_host=settings.bind_host,
            message="Tokens and rows travel without encryption: give --tls-cert, --tls-key and "
            "--tls-ca.",
        )
    root = settings.spool_path or own_temporary_folder(Path(tempfile.gettempdir()), os.getuid())
    executor_id = f"{socket.gethostname().partition('.')[0]}-{uuid.uuid4().hex[:12]}"
    with (
        ForkPool(
            [child_module], slot_environment(share), Resting(settings.slots, None)
        ) as fork_pool,
        own_folder(root.absolute(), executor_id) as folder,
    ):
        fork_pool.open()
        # Once its child processes are on their way, which must not inherit threads.
        with tracing("kalla-executor"):
            executor = _Executor(settings, executor_id, share, token, tls, folder, fork_pool)
            asyncio.run(executor.serve())


def own_temporary_folder(parent: Path, user: int) -> Path:
    """Return the folder of a user below one that everybody writes in; nobody else may look into it.

    Raises:
        InvalidSetting: somebody else has made it, or it is a link.
    """
    folder = parent / f"kalla-{user}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user:
        raise InvalidSetting(
            f"The spool folder {folder} belongs to somebody else, who could read what lies in it; "
            "remove it, or name another one with --spool-path."
        )
    folder.chmod(0o700)
    return folder


class _Executor:
    def __init__(
        self,
        settings: ExecutorSettings,
        executor_id: str,
        share: SlotShare,
        token: str | None,
        tls: PeerTls | None,
        folder: SpoolFolder,
        fork_pool: ForkPool,
    ) -> None:
        self._settings = settings
        self._id = executor_id
        self._share = share
        self._tls = tls
        self._folder = folder
        self._fork_pool = fork_pool
        self._metrics = ExecutorMetrics()
        self._keys = SpoolKeys()
        self._secret = secrets.token_bytes(16)
        self._draining = asyncio.Event()
        self._host = settings.external_host or _own_address(settings)
        authorities = None if tls is None else tls.authorities
        location = f"{_bracketed(settings.bind_host)}:{settings.flight_port}"
        try:
            self._flight = SpoolServer(
                location,
                executor_id,
                folder,
                self._keys,
                self._metrics.served_bytes.inc,
                self._metrics.waited_for_turn,
                certificate=None if tls is None else tls.certificate,
            )
        except OSError as error:
            raise _not_bound("--flight-port", settings.flight_port, error) from error
        self._runner = Runner(
            executor_id,
            folder,
            self._keys,
            share,
            settings.slots,
            fork_pool.start,
            self._metrics,
            self._tell,
            settings.spool_limit_bytes,
            authorities,
            _access(settings, folder, share),
        )
        self._presence = Presence(
            f"{_bracketed(settings.coordinator_host)}:{settings.coordinator_port}",
            token,
            self._hello,
            self._beat,
            Ears(
                welcome=self._welcome,
                launch=self._runner.launch,
                cancel=lambda said: self._runner.cancel(said.id),
                forget=lambda said: self._runner.forget(said.run_id, said.run_attempt),
                gone=lambda said: self._runner.peer_gone(said.executor_id),
            ),
            authorities,
        )

    async def serve(self) -> None:
        """Be there until a signal comes, or the coordinator refuses."""
        async with AsyncExitStack() as stack:
            stack.callback(self._flight.shutdown)
            stack.push_async_callback(self._runner.close)
            http_port, grpc_port = await self._probes(stack)
            most = most_of_a_port()
            still = {port: Bounds(most, still_s=_STILL_S) for port in (http_port, grpc_port)}
            spools = Bounds(most, still_s=_SPOOL_STILL_S)
            stack.enter_context(bounded({self._flight.port: spools, **still}))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._told)
            staying = asyncio.create_task(self._presence.stay())
            chores = [
                asyncio.create_task(self._runner.watch_disk()),
                asyncio.create_task(self._sweep()),
                asyncio.create_task(watch_loop(self._metrics.loop_lag.observe)),
            ]
            stack.push_async_callback(cancelled, staying, *chores)
            get_logger().info(
                "executor_started",
                executor_id=self._id,
                flight=f"{self._host}:{self._flight.port}",
                http_port=http_port,
                grpc_port=grpc_port,
                slots=self._settings.slots,
                slot_memory_bytes=self._share.memory_bytes,
            )
            asked = asyncio.create_task(self._draining.wait())
            await asyncio.wait({asked, staying}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if staying.done():
                staying.result()  # refused
            await self._drain(loop)

    def _told(self) -> None:
        self._draining.set()
        grace = self._settings.grace.total_seconds()
        leave_within(grace + _LATEST_END_S, "executor_did_not_end")

    async def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        get_logger().info("executor_draining", in_hand=len(self._runner.in_hand))
        self._presence.drain()
        again = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, again.set)
        finishing = asyncio.create_task(self._runner.finish(self._settings.grace))
        hurried = asyncio.create_task(again.wait())
        await asyncio.wait({finishing, hurried}, return_when=asyncio.FIRST_COMPLETED)
        await cancelled(finishing)
        hurried.cancel()
        await self._presence.said_all(_SAY_PATIENCE)

    async def _probes(self, stack: AsyncExitStack) -> tuple[int, int]:
        settings = self._settings
        try:
            listening = bound_socket(settings.bind_host, settings.http_port)
        except OSError as error:
            raise _not_bound("--http-port", settings.http_port, error) from error
        app = web_app(self._metrics, self._why_not_ready, read_tokens(settings))
        certificate = None if self._tls is None else self._tls.certificate
        web = asyncio.create_task(serve_web(app, listening, certificate))
        stack.callback(listening.close)
        stack.push_async_callback(cancelled, web)
        address = f"{_bracketed(settings.bind_host)}:{settings.grpc_port}"
        try:
            health, grpc_port = await serve_health(address)
        except RuntimeError as error:
            raise _not_bound("--grpc-port", settings.grpc_port, error) from error
        stack.push_async_callback(health.stop, None)
        return listening.getsockname()[1], grpc_port

    async def _sweep(self) -> None:
        """Remove what nobody came for; a job that goes on for longer has it made again."""
        unvisited = Unvisited(self._folder)
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            removed = await asyncio.to_thread(unvisited.forget, _STALE)
            if removed:
                get_logger().warning("stale_spools_removed", run_attempts=list(removed))

    def _tell(self, said: FragmentProgress | FragmentEnded) -> None:
        self._presence.tell(said)

    def _welcome(self, _: Welcome) -> None:
        self._metrics.registered.set(1)

    def _why_not_ready(self) -> str | None:
        self._metrics.registered.set(int(self._presence.registered))
        if self._draining.is_set():
            return "draining"
        return None if self._presence.registered else "the coordinator cannot be reached"

    async def _hello(self) -> Hello:
        held = await asyncio.to_thread(self._folder.held)
        return Hello(
            executor_id=self._id,
            version=version("kalla"),
            host=self._host,
            port=self._flight.port,
            slots=self._settings.slots,
            slot_memory_bytes=self._share.memory_bytes,
            running=self._runner.in_hand,
            held=held,
            secret=self._secret,
        )

    async def _beat(self) -> Heartbeat:
        memory = await asyncio.to_thread(_tree_bytes, os.getpid(), self._fork_pool.pid)
        self._metrics.memory_bytes.set(memory)
        return Heartbeat(
            slots_busy=self._runner.busy,
            memory_bytes=memory,
            spool_bytes=self._runner.spool_bytes,
            fetched_bytes=_count(self._metrics, "kalla_fetched_bytes_total"),
            served_bytes=_count(self._metrics, "kalla_served_bytes_total"),
        )


def _access(settings: ExecutorSettings, folder: SpoolFolder, share: SlotShare) -> SourceAccess:
    """Return what fragments may read here: whether a job may was asked where it was planned."""
    return SourceAccess(
        allowed_env=frozenset(settings.allowed_env),
        closed=(folder.path, Path("/proc")),
        secrets=secret_files(settings),
        thread_bytes=share.memory_bytes,
    )


def _count(metrics: ExecutorMetrics, name: str) -> int:
    return int(metrics.registry.get_sample_value(name) or 0)


def _tree_bytes(*roots: int | None) -> int:
    """Return the memory of processes and of all that they started."""
    pending = [pid for pid in roots if pid is not None]
    seen: set[int] = set()
    while pending:
        pid = pending.pop()
        if pid in seen:
            continue
        seen.add(pid)
        with suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{pid}/task"):
                text = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
                pending += map(int, text.split())
    return sum(private_bytes(pid) for pid in seen)


def _own_address(settings: ExecutorSettings) -> str:
    """Return the address for peers: what it listens on, else what leads to the coordinator."""
    if not _is_any(settings.bind_host):
        return settings.bind_host
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect((settings.coordinator_host, settings.coordinator_port))  # sends nothing
        found: str = probe.getsockname()[0]
        return found
    return socket.gethostname()


def _is_any(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _not_bound(flag: str, port: int, error: Exception) -> InvalidSetting:
    return InvalidSetting(f"{flag} {port} cannot be listened on: {error}.")
