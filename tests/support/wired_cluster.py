"""A cluster of real processes whose every connection can be cut, and whose processes are known.

Each of them can be held at exact places; a coordinator that is gone can be started again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.coordinators import Process, coordinator_process
from tests.support.places import OF_COORDINATORS, OF_EXECUTORS
from tests.support.real_cluster import Cluster, Service, until
from tests.support.stops import Stops
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
    stops: Stops

    @property
    def pid(self) -> int:
        return self.service.process.pid

    @property
    def id(self) -> str:
        return str(self.service.event("executor_started")["executor_id"])

    @property
    def runs(self) -> bool:
        return self.service.process.poll() is None


@dataclass(frozen=True)
class Given:
    """What processes are started with.

    Attributes:
        flags: of the coordinator.
        variables: of all; `worker_variables` those of executors beside them, by place.
        spools: folders of spools, by place; those that are not here are made.
        staging: the staging path of the coordinator; one of its own if None.
    """

    flags: Sequence[str] = ()
    variables: Mapping[str, str] | None = None
    worker_variables: Mapping[int, Mapping[str, str]] | None = None
    spools: Mapping[int, Path] | None = None
    staging: Path | None = None


@dataclass
class WiredCluster(Cluster):
    """A coordinator and executors that it and others reach over wires."""

    coordinator: Process
    workers: list[WiredExecutor]
    stops: Stops
    folder: Path
    given: Given
    stack: ExitStack

    def told(self, event: str) -> bool:
        """Whether the coordinator has said an event."""
        return f'"event": "{event}"' in self.coordinator.log.read_text()

    def stops_at(self, place: str) -> Stops:
        """Return the stops of the process that comes to a place; the first executor of several."""
        return self.workers[0].stops if place in OF_EXECUTORS else self.stops

    def start_again(self) -> None:
        """Start another coordinator on the same store, for one that is gone."""
        before = [len(worker.service.events("registered")) for worker in self.workers]
        self.coordinator = _coordinator(self.stack, self.folder, self.given, self.stops)
        self.url = self.coordinator.url
        for worker in self.workers:
            worker.upward.target = ("127.0.0.1", self.coordinator.grpc)
        for worker, so_far in zip(self.workers, before, strict=True):
            assert until(lambda: _registrations(worker) > so_far, PATIENCE_S)  # noqa: B023 - at once


def _registrations(worker: WiredExecutor) -> int:
    return len(worker.service.events("registered")) if worker.runs else 1 << 30


@contextmanager
def wired_cluster(
    folder: Path, executors: int = 2, given: Given | None = None
) -> Iterator[WiredCluster]:
    """Start a coordinator and executors, each under an address of its own."""
    given = given or Given()
    with ExitStack() as stack:
        stops = Stops(folder / "stops-coordinator", OF_COORDINATORS)
        coordinator = _coordinator(stack, folder, given, stops)
        workers = [_worker(stack, folder, coordinator, given, n) for n in range(executors)]
        idle = workers[0].service
        cluster = WiredCluster(
            idle, coordinator.url, coordinator, workers, stops, folder, given, stack
        )
        for worker in workers:
            worker.service.event("registered")
        assert until(lambda: len(cluster.executors()) == executors, PATIENCE_S)
        yield cluster


def _coordinator(stack: ExitStack, folder: Path, given: Given, stops: Stops) -> Process:
    variables = {**stops.environment, **(given.variables or {})}
    flags = ("--executor-grace", "1s", *given.flags)
    staging = given.staging or folder / "staging"
    return stack.enter_context(coordinator_process(staging, *flags, **variables))


def _worker(
    stack: ExitStack, folder: Path, coordinator: Process, given: Given, place: int
) -> WiredExecutor:
    port = free_port()
    spool = (given.spools or {}).get(place, folder / f"spool-{place}")
    stops = Stops(folder / f"stops-{place}", OF_EXECUTORS)
    upward = stack.enter_context(wire(("127.0.0.1", coordinator.grpc)))
    # The port is what it listens on itself, the address is not.
    inward = stack.enter_context(wire(("127.0.0.1", port), f"127.0.0.{place + 2}", port))
    own = (given.worker_variables or {}).get(place, {})
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
            environment={**stops.environment, **(given.variables or {}), **own},
        )
    )
    return WiredExecutor(service, upward, inward, spool, stops)
