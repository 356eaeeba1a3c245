"""Runs that are cut off a bucket or a database in the middle of reading and of writing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from kalla_core.evidence.names import OF_EVERY_RUN
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.chaos.cluster import SUCCEEDED, ends_as, is_as_before, recipe_of
from tests.chaos.sources import in_bucket, in_database
from tests.support.command import Outcome, kalla, names_below
from tests.support.places import LOCAL_SCANNING, OF_LOCAL_RUNS, SCANNING
from tests.support.postgres import Database, new_database, shared_server
from tests.support.s3 import TestBucket, s3_server
from tests.support.stops import Stops
from tests.support.wired_cluster import Given, wired_cluster
from tests.support.wires import Wire, wire

ROWS = 5_000
MIDDLE_BYTES = 150_000
BACK_S = 3.0
IMPATIENT = {
    "KALLA_S3_CONNECT_TIMEOUT": "1s",
    "KALLA_S3_READ_TIMEOUT": "1s",
    "KALLA_S3_RETRY_TIMEOUT": "4s",
}
PATIENT = {**IMPATIENT, "KALLA_S3_ATTEMPTS": "30", "KALLA_S3_RETRY_TIMEOUT": "60s"}


@dataclass(frozen=True)
class Cut:
    """How a wire fails in the middle of something, and what a run makes of it."""

    happens: Callable[[Wire], object]
    patience: Mapping[str, str]
    ends_well: bool


def _for_a_while(over: Wire) -> None:
    over.cut()
    threading.Timer(BACK_S, over.mend).start()


CUTS = {
    "broken once": Cut(Wire.snap, PATIENT, True),
    "silent for a while": Cut(_for_a_while, PATIENT, True),
    "silent for good": Cut(Wire.cut, IMPATIENT, False),
}
SAMPLE = "silent for good"
BOUND_S = 90


def _every() -> list[object]:
    return [pytest.param(how, marks=() if how == SAMPLE else pytest.mark.full) for how in CUTS]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("one_to_one", ROWS, 7, tmp_path_factory.mktemp("small"), "csv")


@pytest.fixture
def to_s3() -> Iterator[Wire]:
    host, _, port = s3_server().endpoint.removeprefix("http://").partition(":")
    with wire((host, int(port))) as laid:
        yield laid


@pytest.fixture
def to_postgres() -> Iterator[Wire]:
    with wire(("127.0.0.1", shared_server().port)) as laid:
        yield laid


@pytest.fixture
def bucket() -> TestBucket:
    return s3_server().new_bucket()


@pytest.fixture
def database() -> Database:
    return new_database()


def run(
    recipe: Recipe, output: str | Path, folder: Path, to_s3: Wire, patience: Mapping[str, str]
) -> Outcome:
    path = folder / "recipe.json"
    path.write_text(json.dumps(to_document(recipe)))
    environment = s3_server().environment(f"http://127.0.0.1:{to_s3.port}")
    flags = ("--overwrite", "--memory-limit=1GiB", "--slots=1")
    return kalla(
        "run", path, "--output", output, *flags, cwd=folder, environment={**environment, **patience}
    )


@pytest.mark.full
@pytest.mark.parametrize("how", [*CUTS])
def test_a_run_that_is_cut_off_the_bucket_it_reads(
    small: Dataset, bucket: TestBucket, to_s3: Wire, tmp_path: Path, how: str
) -> None:
    cut, output = CUTS[how], tmp_path / "out"
    recipe = in_bucket(small, bucket)
    to_s3.after(MIDDLE_BYTES, lambda: cut.happens(to_s3))
    before = names_below(tmp_path) | {"recipe.json"}

    began = time.monotonic()
    done = run(recipe, output, tmp_path, to_s3, cut.patience)
    took = time.monotonic() - began

    assert to_s3.struck.is_set()
    assert (done.exit_code == 0) == cut.ends_well, done.err
    if not cut.ends_well:
        assert "source_unavailable" in done.err
        assert took < BOUND_S
        assert names_below(tmp_path) == before
        to_s3.mend()
        again = run(recipe, output, tmp_path, to_s3, PATIENT)
        assert again.exit_code == 0, again.err
    report = check(output, small.truth)
    assert report.ok, str(report)


@pytest.mark.parametrize("how", _every())
def test_a_run_that_is_cut_off_the_bucket_it_writes_to(
    small: Dataset, bucket: TestBucket, to_s3: Wire, tmp_path: Path, how: str
) -> None:
    cut, output = CUTS[how], f"s3://{bucket.name}/runs/1"
    recipe = load_recipe(small.recipe_path)
    to_s3.after(MIDDLE_BYTES, lambda: cut.happens(to_s3))

    began = time.monotonic()
    done = run(recipe, output, tmp_path, to_s3, cut.patience)
    took = time.monotonic() - began

    assert to_s3.struck.is_set()
    assert (done.exit_code == 0) == cut.ends_well, done.err
    if not cut.ends_well:
        assert "output_unavailable" in done.err
        assert took < BOUND_S
        assert not bucket.keys() & {f"runs/1/{name}" for name in OF_EVERY_RUN}
        to_s3.mend()
        again = run(recipe, output, tmp_path, to_s3, PATIENT)
        assert again.exit_code == 0, again.err
    assert bucket.keys() == {f"runs/1/{name}" for name in OF_EVERY_RUN}
    assert not bucket.uploads()


@pytest.mark.full
def test_a_run_whose_database_breaks_off_says_so_and_leaves_nothing(
    small: Dataset, database: Database, to_postgres: Wire, to_s3: Wire, tmp_path: Path
) -> None:
    recipe, output = in_database(small, database, to_postgres), tmp_path / "out"
    to_postgres.after(MIDDLE_BYTES, to_postgres.snap)

    done = run(recipe, output, tmp_path, to_s3, {})
    left = names_below(tmp_path)
    again = run(recipe, output, tmp_path, to_s3, {})

    assert to_postgres.struck.is_set()
    assert done.exit_code == 3
    assert "source_unavailable" in done.err or "source_changed" in done.err
    assert left == {"recipe.json"}
    assert again.exit_code == 0, again.err
    report = check(output, small.truth)
    assert report.ok, str(report)


@pytest.mark.full
def test_a_run_whose_database_falls_silent_ends_with_its_deadline_and_leaves_nothing(
    small: Dataset, database: Database, to_postgres: Wire, to_s3: Wire, tmp_path: Path
) -> None:
    recipe, output = in_database(small, database, to_postgres), tmp_path / "out"
    hasty = replace(recipe, options=replace(recipe.options, timeout=timedelta(seconds=20)))
    stops = Stops(tmp_path.with_name(f"{tmp_path.name}-stops"), OF_LOCAL_RUNS)
    stops.arm(LOCAL_SCANNING)

    began = time.monotonic()
    with ThreadPoolExecutor() as beside:
        running = beside.submit(run, hasty, output, tmp_path, to_s3, stops.environment)
        with stops.held(LOCAL_SCANNING):  # all is planned, and what goes on is reading
            to_postgres.after(MIDDLE_BYTES, to_postgres.cut)
        done = running.result()
    took = time.monotonic() - began
    left = names_below(tmp_path)
    to_postgres.mend()
    again = run(recipe, output, tmp_path, to_s3, {})

    assert to_postgres.struck.is_set()
    assert to_postgres.held_up.is_set()
    assert done.exit_code == 3
    assert "deadline_exceeded" in done.err
    assert took < BOUND_S
    assert left == {"recipe.json"}
    assert again.exit_code == 0, again.err


@pytest.mark.full
@pytest.mark.parametrize("how", ["broken", "silent"])
def test_executors_that_are_cut_off_the_database_in_the_middle(
    small: Dataset, database: Database, to_postgres: Wire, tmp_path: Path, how: str
) -> None:
    recipe, output = in_database(small, database, to_postgres), tmp_path / "out"
    recipe = replace(recipe, options=replace(recipe.options, timeout=timedelta(seconds=60)))
    with wired_cluster(tmp_path) as cluster:
        stops = cluster.stops_at(SCANNING)
        stops.arm(SCANNING)
        run_id = cluster.submit(recipe, output)
        with stops.held(SCANNING):  # all is planned, and what goes on is reading
            to_postgres.after(
                MIDDLE_BYTES, to_postgres.snap if how == "broken" else to_postgres.cut
            )
        end = SUCCEEDED if how == "broken" else "deadline_exceeded"
        ends_as(cluster, run_id, output, small, (end,))
        struck = to_postgres.struck.is_set()
        to_postgres.mend()
        is_as_before(cluster, small, tmp_path / "next")

    assert struck


@pytest.mark.full
@pytest.mark.parametrize("how", [*CUTS])
def test_executors_that_are_cut_off_the_bucket_they_read(
    small: Dataset, bucket: TestBucket, to_s3: Wire, tmp_path: Path, how: str
) -> None:
    cut, output = CUTS[how], tmp_path / "out"
    environment = s3_server().environment(f"http://127.0.0.1:{to_s3.port}")
    given = Given(variables={**environment, **cut.patience})
    recipe = in_bucket(small, bucket)
    with wired_cluster(tmp_path, given=given) as cluster:
        to_s3.after(MIDDLE_BYTES, lambda: cut.happens(to_s3))
        run_id = cluster.submit(recipe, output)
        end = SUCCEEDED if cut.ends_well else "source_unavailable"
        ends_as(cluster, run_id, output, small, (end,))
        struck = to_s3.struck.is_set()
        to_s3.mend()
        is_as_before(cluster, small, tmp_path / "next")

    assert struck


@pytest.mark.full
@pytest.mark.parametrize("how", [*CUTS])
def test_executors_that_are_cut_off_the_bucket_they_write_to(
    small: Dataset, bucket: TestBucket, to_s3: Wire, tmp_path: Path, how: str
) -> None:
    cut, output = CUTS[how], f"s3://{bucket.name}/runs/1"
    environment = s3_server().environment(f"http://127.0.0.1:{to_s3.port}")
    given = Given(variables={**environment, **cut.patience})
    with wired_cluster(tmp_path, given=given) as cluster:
        to_s3.after(MIDDLE_BYTES, lambda: cut.happens(to_s3))
        run_id = cluster.submit(recipe_of(small, overwrite=True), output)
        job = cluster.ended(run_id)
        shown = bucket.keys() & {f"runs/1/{name}" for name in OF_EVERY_RUN}
        struck = to_s3.struck.is_set()
        to_s3.mend()
        again = cluster.ended(cluster.submit(recipe_of(small, overwrite=True), output))
        is_as_before(cluster, small, tmp_path / "next")

    assert struck
    assert (job["status"] == SUCCEEDED) == cut.ends_well, job["error"]
    assert cut.ends_well or (job["error"]["code"] == "output_unavailable" and not shown)
    assert again["status"] == SUCCEEDED, again["error"]
    assert not bucket.uploads()
