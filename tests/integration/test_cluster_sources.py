"""Runs on executors from a database, and into a bucket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.errors import Crashed, KallaError
from kalla_core.evidence.reader import open_evidence
from kalla_core.fragments.remote import JoinWork, Launch, ScanWork
from kalla_core.recipe.model import Recipe
from tests.integration.test_cluster_host import BY_KEY
from tests.support.cluster_runs import Told, has_the_rows_of, host_of, order, run_on
from tests.support.postgres import SPARSE, Database, new_database
from tests.support.s3 import s3_server, set_variables
from tests.support.small_executor import small_cluster
from tests.support.tables import Reconciliation

ROWS = 400


def given(folder: Path) -> Reconciliation:
    books = Reconciliation(folder, BY_KEY)
    numbers = list(range(ROWS))
    for name, step in (("left", 7), ("right", 11)):
        keys = [n * step % 251 for n in numbers]
        values = [n * step % 97 for n in numbers]
        books.put(name, pa.table({"id": numbers, "k": keys, "v": values}))
    return replace(books, options=replace(books.options, buckets=5, partitions=3))


def in_database(books: Reconciliation, db: Database) -> Recipe:
    """Put both sides into tables, and return the recipe that reads those."""
    recipe = books.recipe()
    numbers = list(range(ROWS))
    for name, step in (("lefts", 7), ("rights", 11)):
        keys = [n * step % 251 for n in numbers]
        values = [n * step % 97 for n in numbers]
        db.put(name, pa.table({"id": numbers, "k": keys, "v": values}), SPARSE)
    left = db.spec("lefts", "l", primary_key=("id",))
    right = db.spec("rights", "r", primary_key=("id",))
    return replace(recipe, left=left, right=right)


async def test_all_executors_read_one_state_of_a_database_that_changes(tmp_path: Path) -> None:
    books, db = given(tmp_path), new_database()
    recipe = in_database(books, db)

    def change(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, ScanWork):
            db.run("DELETE FROM lefts WHERE id % 2 = 0", "UPDATE rights SET k = k + 1")
        return None

    async with small_cluster(tmp_path / "spools") as (dispatcher, executors):
        for executor in executors:
            executor.sabotage = change
        await run_on(dispatcher, recipe, tmp_path / "out")

    assert has_the_rows_of(tmp_path / "out", books.run())
    assert db.value("SELECT count(*) FROM lefts") == ROWS // 2


async def test_a_lost_snapshot_has_the_whole_run_start_again_under_a_new_one(
    tmp_path: Path,
) -> None:
    books, db = given(tmp_path), new_database()
    recipe = in_database(books, db)

    def lose_the_snapshot(launch: Launch) -> KallaError | None:
        if launch.id.run_attempt == 1 and isinstance(launch.work, ScanWork):
            db.end_others()
        return None

    async with small_cluster(tmp_path / "spools") as (dispatcher, executors):
        for executor in executors:
            executor.sabotage = lose_the_snapshot
        await run_on(dispatcher, recipe, tmp_path / "out")

    launched = [launch for executor in executors for launch in executor.launched]
    assert {launch.id.run_attempt for launch in launched} == {1, 2}
    assert all(x.id.run_attempt == 2 for x in launched if isinstance(x.work, JoinWork))
    assert has_the_rows_of(tmp_path / "out", books.run())


async def test_a_snapshot_lost_after_all_rows_were_read_is_taken_anew_too(tmp_path: Path) -> None:
    books, db = given(tmp_path), new_database()
    recipe = in_database(books, db)
    lost: list[int] = []

    def lose_the_snapshot(launch: Launch) -> KallaError | None:
        if launch.id.run_attempt == 1 and isinstance(launch.work, JoinWork):
            db.end_others()
            lost.append(launch.id.fragment)
        return None

    async with small_cluster(tmp_path / "spools") as (dispatcher, executors):
        for executor in executors:
            executor.sabotage = lose_the_snapshot
        await run_on(dispatcher, recipe, tmp_path / "out")

    launched = [launch for executor in executors for launch in executor.launched]
    assert lost
    assert {launch.id.run_attempt for launch in launched} == {1, 2}
    assert has_the_rows_of(tmp_path / "out", books.run())


async def test_parts_of_the_evidence_go_to_a_bucket_and_show_when_all_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, s3_server().environment())
    bucket = s3_server().new_bucket()
    output = f"s3://{bucket.name}/runs/1"
    books = given(tmp_path)
    seen: list[set[str]] = []

    def fail_once(launch: Launch) -> KallaError | None:
        again = isinstance(launch.work, JoinWork) and launch.id.attempt == 1
        return Crashed("it crashed") if again and launch.id.fragment == 1 else None

    async def look() -> None:
        seen.append(bucket.keys() - {"runs/1/.kalla/claim.json"})

    async with small_cluster(tmp_path / "spools") as (dispatcher, executors):
        for executor in executors:
            executor.sabotage = fail_once
        metadata = await host_of(dispatcher).run(order(books.recipe(), output), Told().watch(look))

    local = books.run()
    assert seen == [set()]
    assert bucket.uploads() == set()
    assert metadata.matched_count == local.matched.num_rows
    with open_evidence(output) as evidence:
        assert evidence.rows("matched.parquet") == local.matched.num_rows
