"""The process that holds the sources of a run, and the one that merges part files."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_coordinator.cluster.holder_process import HOLDER, HolderProcess, holding
from kalla_core.engine.processes.spawned import spawn
from kalla_core.engine.programs.held_plan import HoldOrder, order_json, plan_json, plan_of
from kalla_core.engine.programs.merging import merged
from kalla_core.errors import Crashed, InvalidSql, SourceChanged
from kalla_core.evidence.writer import TableWriter
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.recipe.model import Options, SourceSpec, SourceType
from tests.support.processes import ends_soon
from tests.support.tables import Reconciliation

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
BY_KEY = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k"


def given(folder: Path, sql: str = BY_KEY) -> HoldOrder:
    books = Reconciliation(folder, sql, Options(partitions=3))
    for name in ("left", "right"):
        books.put(name, pa.table({"id": list(range(200)), "k": list(range(200))}))
    return HoldOrder(books.recipe(), STARTED, slots=2)


@pytest.fixture
async def holder() -> AsyncIterator[HolderProcess]:
    async with holding() as held:
        yield held


async def test_a_holder_tells_all_that_executors_need(
    tmp_path: Path, holder: HolderProcess
) -> None:
    plan = await holder.plan(given(tmp_path))

    assert plan.strategy is Strategy.COPARTITION
    assert [scan.table for scan in plan.scans] == [Side.LEFT, Side.RIGHT] * 3
    assert plan.side(Side.LEFT).schema.names == ["id", "k"]
    assert plan_of(plan_json(plan)) == plan


async def test_a_holder_says_what_is_wrong_with_the_sql(
    tmp_path: Path, holder: HolderProcess
) -> None:
    with pytest.raises(InvalidSql):
        await holder.plan(given(tmp_path, "SELECT nothing FROM nowhere"))


async def test_a_holder_sees_that_a_source_has_changed(
    tmp_path: Path, holder: HolderProcess
) -> None:
    await holder.plan(given(tmp_path))
    await holder.verify()

    os.utime(tmp_path / "left.parquet", ns=(1, 1))

    with pytest.raises(SourceChanged):
        await holder.verify()


async def test_holders_leave_the_threads_that_all_share_to_others(tmp_path: Path) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))

    async with holding() as first, holding() as second:
        await first.plan(given(tmp_path))
        await second.plan(given(tmp_path))
        async with asyncio.timeout(20):
            looked = await asyncio.to_thread(os.getpid)

    assert looked == os.getpid()


async def test_the_death_of_a_holder_is_told(tmp_path: Path, holder: HolderProcess) -> None:
    await holder.plan(given(tmp_path))

    os.kill(holder.pid, 9)

    assert isinstance(await holder.lost, Crashed)
    with pytest.raises(Crashed):
        await holder.verify()


def test_a_holder_whose_starter_is_gone_ends_while_it_still_plans(tmp_path: Path) -> None:
    order = given(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        uri = f"postgres://u@127.0.0.1:{silent.getsockname()[1]}/db?table=t&sslmode=disable"
        left = SourceSpec("l", SourceType.POSTGRES, uri, ("id",))
        asked = order_json(replace(order, recipe=replace(order.recipe, left=left)))
        process = spawn(HOLDER, {})
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            connection, _ = silent.accept()  # it plans, and waits for a word of the server

            process.stdin.close()

            with connection:
                assert ends_soon(process.pid)
        finally:
            process.end()


def test_part_files_become_one_file_in_their_order(tmp_path: Path) -> None:
    staging, scratch = tmp_path / "staging", tmp_path / "scratch"
    (staging / "matched.parquet").mkdir(parents=True)
    scratch.mkdir()
    schema = pa.schema([("n", pa.int64())])
    parts = [f"matched.parquet/join-{number}-1.parquet" for number in range(3)]
    for number, part in enumerate(parts):
        with TableWriter(staging / part, schema) as writer:
            writer.write(pa.record_batch([[number, number + 10]], schema=schema))
            writer.close()

    file = merged(staging, scratch, "matched.parquet", parts)

    assert (file.name, file.rows) == ("matched.parquet", 6)
    read = pq.read_table(staging / "matched.parquet")
    assert read.column("n").to_pylist() == [0, 10, 1, 11, 2, 12]
