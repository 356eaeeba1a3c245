"""A cluster of real processes whose every connection can be cut, and whose processes are known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.coordinators import Process, coordinator_process
from tests.support.real_cluster import Cluster, Service, until
from tests.support.wires import Wire, free_port, wire

PATIENCE_S = 60


@dataclass
class WiredExecutor:
    """An executor.

    Attributes:
        upward: the wire to the coordinator; `inward` the one that peers fetch over.
        spool: its own folder for spools.
    """

    service: Service
    upward: Wire
    inward: Wire
    spool: Path

    @property
    def pid(self) -> int:
        return self.service.process.pid

    @property
    def id(self) -> str:
        return str(self.service.event("executor_started")["executor_id"])


@dataclass
class WiredCluster(Cluster):
    """A coordinator and executors that it and others reach over wires."""

    coordinator: Process
    workers: list[WiredExecutor]

    def told(self, event: str) -> bool:
        """Whether the coordinator has said an event."""
        return f'"event": "{event}"' in self.coordinator.log.read_text()


@contextmanager
def wired_cluster(
    folder: Path, executors: int = 2, flags: tuple[str, ...] = (), **variables: str
) -> Iterator[WiredCluster]:
    """Start a coordinator and executors, each under an address of its own."""
    with ExitStack() as stack:
        coordinator = stack.enter_context(
            coordinator_process(folder / "staging", "--executor-grace", "1s", *flags, **variables)
        )
        workers = [_worker(stack, folder, coordinator, place) for place in range(executors)]
        idle = workers[0].service
        cluster = WiredCluster(idle, coordinator.url, coordinator, workers)
        for worker in workers:
            worker.service.event("registered")
        assert until(lambda: len(cluster.executors()) == executors, PATIENCE_S)
        yield cluster


def _worker(stack: ExitStack, folder: Path, coordinator: Process, place: int) -> WiredExecutor:
    port, spool = free_port(), folder / f"spool-{place}"
    upward = stack.enter_context(wire(("127.0.0.1", coordinator.grpc)))
    # The port is what it listens on itself, the address is not.
    inward = stack.enter_context(wire(("127.0.0.1", port), f"127.0.0.{place + 2}", port))
    service = stack.enter_context(
        Service.started(
            "executor",
            "--coordinator-host=127.0.0.1",
            f"--coordinator-port={upward.port}",
            "--bind-host=127.0.0.1",
            f"--flight-port={port}",
            f"--external-host={inward.host}",
            "--http-port=0",
            "--grpc-port=0",
            "--slots=1",
            "--memory-limit=1GiB",
            f"--spool-path={spool}",
        )
    )
    return WiredExecutor(service, upward, inward, spool)
