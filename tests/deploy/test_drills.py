"""What operators do to a cluster at work: replace its parts, restore it, let it grow and shrink."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from kalla_core.cli.embedded_postgres import EmbeddedServer, binaries
from kalla_core.recipe.model import EngineChoice
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.support.metrics import scrape
from tests.support.postgres import fresh_server
from tests.support.real_cluster import Service, until
from tests.support.receiver import Receiver, receiving_apart
from tests.support.wires import Wire, wire

ROWS = 2_000
PATIENCE_S = 120.0
PAUSE_S = 0.3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("one_to_one", ROWS, 7, tmp_path_factory.mktemp("data"), "csv")


@dataclass
class Site:
    """A cluster behind two addresses that stay, as a load balancer or a service keeps them.

    Attributes:
        http: what callers call; `grpc` what executors call.
    """

    folder: Path
    database: EmbeddedServer
    stack: ExitStack
    http: Wire
    grpc: Wire
    executors: list[Service] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}"

    def coordinator(self) -> Service:
        """Start one, which may have to wait for the store."""
        return self.stack.enter_context(
            Service.started(
                "coordinator",
                *("--http-port=0", "--grpc-port=0", "--results-port=0", "--memory-limit=2GiB"),
                "--max-jobs=2",
                "--executor-grace=2s",
                "--grace=5s",
                f"--staging-path={self.folder / f'staging-{next(self.numbers)}'}",
                environment={"DATABASE_URL": self.database.uri()},
            )
        )

    def lead_to(self, coordinator: Service) -> None:
        """Let the addresses lead to a coordinator, once it is ready."""
        ready = coordinator.event("coordinator_ready")
        self.http.target = ("127.0.0.1", ready["http_port"])
        self.grpc.target = ("127.0.0.1", ready["grpc_port"])
        self.http.snap()

    def grow(self) -> Service:
        """Start an executor and wait until it is let in."""
        service = self.stack.enter_context(
            Service.started(
                "executor",
                *("--coordinator-host=127.0.0.1", f"--coordinator-port={self.grpc.port}"),
                *("--bind-host=127.0.0.1", "--flight-port=0", "--http-port=0", "--grpc-port=0"),
                *("--slots=2", "--memory-limit=1GiB"),
                f"--spool-path={self.folder / f'spool-{next(self.numbers)}'}",
            )
        )
        self.executors.append(service)
        service.event("registered")
        return service

    def shrink(self) -> None:
        """Drain the oldest executor, and see it end well."""
        oldest = self.executors.pop(0)
        oldest.process.terminate()
        assert oldest.process.wait(PATIENCE_S) == 0, oldest.lines[-10:]


@contextmanager
def site(folder: Path, database: EmbeddedServer) -> Iterator[Site]:
    with ExitStack() as stack:
        http, grpc = (stack.enter_context(wire(("127.0.0.1", 1))) for _ in range(2))
        yield Site(folder, database, stack, http, grpc)


class Stream:
    """Jobs for the cluster, one after the other, each submitted until it is accepted."""

    def __init__(self, site: Site, dataset: Dataset, callback_url: str | None = None) -> None:
        recipe = load_recipe(dataset.recipe_path)
        options = replace(recipe.options, engine=EngineChoice.CLUSTER, partitions=4, buckets=4)
        self._body: dict[str, Any] = {"recipe": to_document(replace(recipe, options=options))}
        if callback_url is not None:
            self._body["callback_url"] = callback_url
        self.site = site
        self._truth = dataset.truth
        self._wanted = threading.Event()
        self.accepted: list[str] = []
        self.refused: list[str] = []

    def output(self, run_id: str) -> Path:
        return self.site.folder / "out" / run_id

    def submit(self) -> None:
        """Submit one; the same again until somebody has taken it."""
        run_id = f"job-{len(self.accepted):03d}-{uuid.uuid4().hex[:6]}"
        body = {**self._body, "run_id": run_id, "output_path": str(self.output(run_id))}

        def taken() -> bool:
            try:
                answer = httpx.post(f"{self.site.url}/api/jobs", json=body, timeout=10)
            except httpx.HTTPError:
                return False
            if answer.status_code not in (202, 503):
                self.refused.append(answer.text)
            return answer.status_code == 202

        assert until(taken, PATIENCE_S), run_id
        self.accepted.append(run_id)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Submit them meanwhile."""
        pause = threading.Event()

        def flow() -> None:
            while not pause.wait(PAUSE_S):
                self.submit()

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            yield
        finally:
            pause.set()
            thread.join(PATIENCE_S)

    def ended(self) -> list[dict[str, Any]]:
        """Wait for the end of all, and return them."""
        return [self._end_of(run_id) for run_id in self.accepted]

    def _end_of(self, run_id: str) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            try:
                job = httpx.get(f"{self.site.url}/api/jobs/{run_id}", timeout=10).json()
            except httpx.HTTPError:
                return None
            return job if job.get("status") in ("succeeded", "failed", "cancelled") else None

        job = until(over, PATIENCE_S)
        assert job is not None, run_id
        return job

    def is_true(self) -> None:
        """All have succeeded, and what each has written is the truth."""
        assert not self.refused
        for job in self.ended():
            assert job["status"] == "succeeded", job["error"]
            report = check(self.output(job["run_id"]), self._truth)
            assert report.ok, str(report)


@pytest.mark.full
def test_coordinator_and_executors_are_replaced_one_after_the_other_and_no_job_is_lost(
    dataset: Dataset, tmp_path: Path
) -> None:
    with fresh_server() as database, site(tmp_path, database) as here:
        first = here.coordinator()
        here.lead_to(first)
        here.grow()
        here.grow()
        stream = Stream(here, dataset)
        with stream.flowing():
            assert until(lambda: len(stream.accepted) >= 3, PATIENCE_S)
            second = here.coordinator()
            second.event("coordinator_waiting")
            first.process.terminate()
            here.lead_to(second)
            assert first.process.wait(PATIENCE_S) == 0
            for _ in range(2):
                so_far = len(stream.accepted)
                here.grow()
                here.shrink()
                assert until(lambda: len(stream.accepted) >= so_far + 2, PATIENCE_S)  # noqa: B023

        stream.is_true()
        ids = {one["executor_id"] for one in executors(here)}
        assert ids == {one.event("executor_started")["executor_id"] for one in here.executors}


@pytest.mark.full
def test_from_a_backup_of_its_database_a_coordinator_goes_on_with_jobs_and_callbacks(
    dataset: Dataset, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.dump"
    with receiving_apart() as receiver:
        with fresh_server() as database, site(tmp_path, database) as here:
            coordinator = here.coordinator()
            here.lead_to(coordinator)
            here.grow()
            stream = Stream(here, dataset, receiver.url)
            stream.submit()
            stream.ended()
            assert until(lambda: told(receiver, stream), PATIENCE_S)
            here.shrink()
            for _ in range(2):  # nobody is there to do these
                stream.submit()
            postgres("pg_dump", database, "--format=custom", f"--file={backup}")

        with fresh_server() as another, site(tmp_path, another) as here:
            postgres("pg_restore", another, "--exit-on-error", str(backup))
            here.lead_to(here.coordinator())
            stream.site = here
            here.grow()
            stream.submit()

            stream.is_true()
            assert until(lambda: told(receiver, stream), PATIENCE_S)

        ends = [got for got in receiver.got if got.kind != "progress"]
        names = [got.headers["x-kalla-delivery"] for got in ends]
        assert sorted(got.document["run_id"] for got in ends) == sorted(stream.accepted)
        assert len(set(names)) == len(names) == 4


def executors(here: Site) -> list[dict[str, Any]]:
    return list(httpx.get(f"{here.url}/api/executors", timeout=10).json()["executors"])


def told(receiver: Receiver, stream: Stream) -> bool:
    ended = {got.document["run_id"] for got in receiver.got if got.kind != "progress"}
    return set(stream.accepted) <= ended


def postgres(program: str, server: EmbeddedServer, *arguments: str) -> None:
    place = [f"--host={server.socket}", f"--port={server.port}", "--username=kalla"]
    done = subprocess.run(
        [binaries() / program, *place, "--dbname=postgres", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.full
def test_executors_follow_the_slots_that_are_wanted_up_and_down_and_nothing_is_lost(
    dataset: Dataset, tmp_path: Path
) -> None:
    most, seen = 6, []
    with fresh_server() as database, site(tmp_path, database) as here:
        here.lead_to(here.coordinator())
        here.grow()
        stream = Stream(here, dataset)

        def wanted() -> int:
            slots = scrape(here.url)["kalla_slots_wanted"]
            return max(1, min(most, -(-int(slots) // 2)))  # as the autoscalers ask for

        def follow() -> int:
            target = wanted()
            while len(here.executors) < target:
                here.grow()
            if len(here.executors) > target:  # down one at a time
                here.shrink()
            seen.append(len(here.executors))
            return len(here.executors)

        for _ in range(12):
            stream.submit()
        assert until(lambda: follow() == most, PATIENCE_S), seen
        with stream.flowing():
            until(lambda: follow() < 0, 10)
        assert until(lambda: follow() == 1, PATIENCE_S), seen

        stream.is_true()
        assert scrape(here.url)["kalla_slots_wanted"] == 0
    assert (seen[-1], max(seen)) == (1, most)
