"""`kallad executor` as a process, against a small coordinator that speaks the real gRPC."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
import pyarrow.parquet as pq
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kalla_core.fragments.cause import Cause
from kalla_core.fragments.fetch_fault import FetchFault
from kalla_core.fragments.outcome import (
    FragmentFailed,
    JoinDone,
    Outcome,
    ProveDone,
    ScanDone,
)
from kalla_core.fragments.presence import CancelFragment, ForgetJob, Refusal
from kalla_core.fragments.remote import (
    JoinWork,
    ProveWork,
    ScanWork,
    SpoolInput,
    SpoolPlace,
)
from kalla_core.recipe.model import SourceType
from tests.support.executors import (
    ExecutorProcess,
    Line,
    SmallCoordinator,
    coordinating,
    executing,
    soon,
)
from tests.support.machine import stretched
from tests.support.pinned_job import SLOW, Job, job
from tests.support.processes import children_of, ends_soon

PATIENCE = timedelta(seconds=60)

CLOCK_AHEAD = """
import contextlib, datetime, pathlib, time

with contextlib.suppress(ImportError):
    import pandas  # Arrow imports it where it is installed, and it knows no other datetime

class Ahead(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(days=1)

datetime.datetime = Ahead
now = time.time
time.time = lambda: now() + 86_400
pathlib.Path(__file__).with_name("ahead").touch()
"""


@asynccontextmanager
async def one_executor(
    folder: Path, **environment: str
) -> AsyncIterator[tuple[SmallCoordinator, Line, ExecutorProcess]]:
    async with (
        coordinating() as coordinator,
        executing(coordinator.port, folder / "spool", environment) as executor,
    ):
        yield coordinator, await coordinator.line(), executor


async def scanned(lines: list[Line], given: Job) -> tuple[SpoolInput, ...]:
    """Scan all parts, dealt to the executors in turn."""
    inputs = []
    for number, launch in enumerate(given.scans()):
        line = lines[number % len(lines)]
        line.say(launch)
        outcome = await line.end_of(launch.id)
        assert isinstance(outcome, ScanDone), outcome
        assert isinstance(launch.work, ScanWork)
        hello = line.hello
        place = SpoolPlace(launch.id, hello.executor_id, hello.host, hello.port)
        inputs.append(SpoolInput(launch.work.table, launch.work.part.index, place, outcome.rows))
    return tuple(inputs)


def reading(given: Job, uri: str) -> Job:
    """Return the job with another place for its left side."""
    left = given.context.left
    moved = replace(left, spec=replace(left.spec, type=SourceType.POSTGRES, uri=uri))
    return replace(given, context=replace(given.context, left=moved))


def join_all(inputs: tuple[SpoolInput, ...]) -> JoinWork:
    return JoinWork((0, 1, 2, 3), frozenset(), False, inputs, (0, 1))


@pytest.mark.parametrize("beside", [False, True], ids=["through both", "where it lies"])
async def test_two_executors_scan_shuffle_and_join(tmp_path: Path, beside: bool) -> None:
    given = job(tmp_path)
    async with (
        coordinating() as coordinator,
        executing(coordinator.port, tmp_path / "spool"),
        executing(coordinator.port, tmp_path / ("spool" if beside else "other")),
    ):
        lines = [await coordinator.line(0), await coordinator.line(1)]
        inputs = await scanned(lines, given)
        halves = [
            replace(join_all(inputs), buckets=buckets, census_classes=())
            for buckets in ((0, 1), (2, 3))
        ]
        joins = [given.launch("join", n, half) for n, half in enumerate(halves)]
        for line, launch in zip(lines, joins, strict=True):
            line.say(launch)
        done = [await line.end_of(launch.id) for line, launch in zip(lines, joins, strict=True)]
        served = 0 if beside else 1
        beats = [await line.beat(lambda beat: beat.served_bytes >= served) for line in lines]

    staging = Path(given.context.staging)
    files = [file for one in done if isinstance(one, JoinDone) for file in one.files]
    rows = {
        name: sum(file.rows for file in files if file.name.startswith(name))
        for name in ("matched", "unmatched_left", "unmatched_right")
    }
    assert rows == {"matched": 400 * 16, "unmatched_left": 400, "unmatched_right": 400}
    assert [pq.read_metadata(staging / file.name).num_rows for file in files] == [
        file.rows for file in files
    ]
    fetched = [one.fetched_bytes > 0 for one in done if isinstance(one, JoinDone)]
    assert fetched == [not beside] * 2
    assert [beat.served_bytes > 0 for beat in beats] == [not beside] * 2


async def test_it_registers_and_tells_how_it_is(tmp_path: Path) -> None:
    async with one_executor(tmp_path) as (_, line, executor):
        beat = await line.beat()
        http_port, grpc_port = await executor.port("http_port"), await executor.port("grpc_port")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", timeout=60) as http:
            answers = {path: (await http.get(path)) for path in ("/health", "/ready", "/metrics")}
        async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            health = await health_pb2_grpc.HealthStub(channel).Check(  # type: ignore[no-untyped-call]
                health_pb2.HealthCheckRequest()
            )

    assert (line.hello.slots, line.hello.host, line.hello.running) == (1, "127.0.0.1", ())
    assert 0 < line.hello.slot_memory_bytes < 1 << 30
    assert 0 < beat.memory_bytes < 512 << 20
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(
        answers, 200
    )
    assert "kalla_registered 1.0" in answers["/metrics"].text
    assert health.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.full
async def test_what_nobody_holds_any_more_is_told_as_it_is(tmp_path: Path) -> None:
    given = job(tmp_path)
    async with one_executor(tmp_path) as (_, line, _executor):
        inputs = await scanned([line], given)
        gone = SpoolPlace(replace(inputs[0].place.attempt, attempt=9), "nobody", "127.0.0.1", 1)
        lost = replace(join_all(inputs), inputs=(replace(inputs[0], place=gone), *inputs[1:]))
        launch = given.launch("join", 0, lost)

        line.say(launch)

        outcome = await line.end_of(launch.id)
    assert isinstance(outcome, FragmentFailed)
    assert outcome.cause is Cause.FETCH_FAILED
    assert outcome.fetch == FetchFault("nobody", (gone.attempt,), unreachable=True)


async def test_an_error_of_the_user_arrives_as_what_it_is(tmp_path: Path) -> None:
    given = job(tmp_path, "SELECT l.id FROM l JOIN r ON l.k = r.k AND l.id / (r.k - 300) > 0")
    async with one_executor(tmp_path) as (_, line, _executor):
        inputs = await scanned([line], given)
        launch = given.launch("join", 0, join_all(inputs))

        line.say(launch)

        outcome = await line.end_of(launch.id)
    assert isinstance(outcome, FragmentFailed)
    assert (outcome.cause, outcome.error.code) == (Cause.USER_ERROR, "invalid_sql")
    assert [path for path in Path(given.context.staging).rglob("*") if path.is_file()] == []


async def test_it_gives_sources_only_the_variables_that_its_own_operator_allows(
    tmp_path: Path,
) -> None:
    given = reading(job(tmp_path), "postgres://${env:OWN_VALUE}@127.0.0.1:1/db?table=t")
    outcomes = []
    for allowed in ("OTHER", "OTHER,OWN_VALUE"):
        environment = {"OWN_VALUE": "for-nobody", "KALLA_ALLOWED_ENV": allowed}
        async with one_executor(tmp_path, **environment) as (_, line, _executor):
            for launch in (given.scans()[0], given.launch("prove", 0, ProveWork("", ""))):
                line.say(launch)
                outcomes.append(await line.end_of(launch.id))

    codes = [one.error.code if isinstance(one, FragmentFailed) else "seen" for one in outcomes]
    assert codes[:2] == ["not_allowed", "not_allowed"]
    assert "not_allowed" not in codes[2:]


@pytest.mark.full
async def test_a_fragment_is_stopped_within_two_seconds(tmp_path: Path) -> None:
    given = job(tmp_path, SLOW)
    async with one_executor(tmp_path) as (_, line, _executor):
        inputs = await scanned([line], given)
        launch = given.launch("join", 0, join_all(inputs))
        line.say(launch)
        await line.beat(lambda beat: beat.slots_busy == 1)
        loop = asyncio.get_running_loop()
        start = loop.time()

        line.say(CancelFragment(launch.id))

        outcome = await line.end_of(launch.id)
        took = loop.time() - start
        idle = await soon(lambda: line.heard[-1] if _is_idle(line) else None)
    assert isinstance(outcome, FragmentFailed)
    assert outcome.cause is Cause.CANCELLED
    assert took < stretched(2)
    assert idle


async def test_an_executor_whose_clock_is_ahead_works_as_long_as_it_may(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(CLOCK_AHEAD)
    launch = replace(job(tmp_path).scans()[0], time_left=PATIENCE)

    async with one_executor(tmp_path, PYTHONPATH=str(tmp_path)) as (_, line, _executor):
        line.say(launch)
        outcome = await line.end_of(launch.id)

    assert isinstance(outcome, ScanDone), outcome
    assert (tmp_path / "ahead").exists()


@pytest.mark.full
async def test_a_fragment_does_not_outlive_its_deadline(tmp_path: Path) -> None:
    given = job(tmp_path, SLOW)
    async with one_executor(tmp_path) as (_, line, _executor):
        inputs = await scanned([line], given)
        launch = given.launch("join", 0, join_all(inputs))

        line.say(replace(launch, time_left=timedelta(seconds=1)))

        outcome = await line.end_of(launch.id)
    assert isinstance(outcome, FragmentFailed)
    assert outcome.error.code == "deadline_exceeded"


@pytest.mark.full
async def test_a_slot_that_is_killed_is_an_outcome_and_the_executor_goes_on(
    tmp_path: Path,
) -> None:
    given = job(tmp_path, SLOW)
    async with one_executor(tmp_path) as (_, line, executor):
        inputs = await scanned([line], given)
        launch = given.launch("join", 0, join_all(inputs))
        line.say(launch)
        (fork_server,) = await soon(lambda: children_of(executor.process.pid) or None)
        (slot,) = await soon(lambda: children_of(fork_server) or None)
        # One that has not begun is replaced; one that has, has a folder for what it throws away.
        await soon(lambda: list((tmp_path / "spool").rglob("run,1,join,*")) or None)

        signal.pidfd_send_signal(_pidfd(slot), signal.SIGKILL)

        outcome = await line.end_of(launch.id)
        proof = given.launch("prove", 0, ProveWork("", ""))
        line.say(proof)
        after = await line.end_of(proof.id)
    assert isinstance(outcome, FragmentFailed)
    assert outcome.cause is Cause.CRASHED
    assert after == ProveDone(None)


@pytest.mark.full
async def test_spools_go_when_the_job_is_over(tmp_path: Path) -> None:
    given = job(tmp_path)
    async with one_executor(tmp_path) as (_, line, _executor):
        await scanned([line], given)
        held = list((tmp_path / "spool").rglob("*.rows"))

        line.say(ForgetJob("run", 1))

        await soon(lambda: not list((tmp_path / "spool").rglob("*.rows")) or None)
    assert len(held) == 4


@pytest.mark.full
async def test_a_newer_attempt_at_the_job_ends_the_older(tmp_path: Path) -> None:
    older = job(tmp_path, SLOW)
    async with one_executor(tmp_path) as (_, line, _executor):
        inputs = await scanned([line], older)
        stale = older.launch("join", 0, join_all(inputs))
        line.say(stale)
        await line.beat(lambda beat: beat.slots_busy == 1)
        newer = replace(older, run_attempt=2).scans()[0]

        line.say(newer)

        assert isinstance(await line.end_of(newer.id), ScanDone)
        left = {path.parent.name for path in (tmp_path / "spool").rglob("*.rows")}
    assert left == {"2"}
    assert line.ended(stale.id) is None


@pytest.mark.full
async def test_after_a_broken_stream_it_comes_back_and_says_what_it_has(tmp_path: Path) -> None:
    given = job(tmp_path, SLOW)
    async with one_executor(tmp_path) as (coordinator, line, _executor):
        inputs = await scanned([line], given)
        launch = given.launch("join", 0, join_all(inputs))
        line.say(launch)
        await line.beat(lambda beat: beat.slots_busy == 1)

        line.hang_up()

        again = await coordinator.line(1)
        again.say(CancelFragment(launch.id))
        outcome = await again.end_of(launch.id)
    assert again.hello.executor_id == line.hello.executor_id
    assert again.hello.running == (launch.id,)
    assert again.hello.held == tuple(sorted(one.place.attempt for one in inputs))
    assert isinstance(outcome, FragmentFailed)


async def test_it_drains_on_sigterm_and_leaves_nothing(tmp_path: Path) -> None:
    given = job(tmp_path)
    async with one_executor(tmp_path) as (_, line, executor):
        inputs = await scanned([line], given)
        launch = given.launch("join", 0, join_all(inputs))
        line.say(launch)
        # A signal may overtake what was said: the fragment has to be in hand first.
        await soon(lambda: _is_busy(line) or line.ended(launch.id))

        executor.tell(signal.SIGTERM)

        await line.draining()
        outcome = await line.end_of(launch.id)
        code = await executor.exit_code()
    assert isinstance(outcome, JoinDone)
    assert (code, list((tmp_path / "spool").iterdir())) == (0, [])


@pytest.mark.full
async def test_it_does_not_wait_longer_than_its_grace(tmp_path: Path) -> None:
    given = job(tmp_path, SLOW)
    async with one_executor(tmp_path, KALLA_GRACE="1s") as (_, line, executor):
        inputs = await scanned([line], given)
        line.say(given.launch("join", 0, join_all(inputs)))
        await line.beat(lambda beat: beat.slots_busy == 1)

        executor.tell(signal.SIGTERM)

        code = await executor.exit_code()
    assert (code, list((tmp_path / "spool").iterdir())) == (0, [])


@pytest.mark.full
async def test_killed_it_leaves_what_the_next_one_sweeps_and_no_process(tmp_path: Path) -> None:
    given = job(tmp_path, SLOW)
    async with one_executor(tmp_path) as (coordinator, line, executor):
        inputs = await scanned([line], given)
        line.say(given.launch("join", 0, join_all(inputs)))
        await line.beat(lambda beat: beat.slots_busy == 1)
        (fork_server,) = children_of(executor.process.pid)
        slots = await soon(lambda: children_of(fork_server) or None)

        executor.tell(signal.SIGKILL)

        await executor.exit_code()
        ended = [await asyncio.to_thread(ends_soon, pid) for pid in (fork_server, *slots)]
        left = [path.name for path in (tmp_path / "spool").iterdir()]
        async with executing(coordinator.port, tmp_path / "spool"):
            await coordinator.line(1)
            swept = [path.name for path in (tmp_path / "spool").iterdir()]
    assert slots
    assert all(ended)
    assert left == [f"kalla-spool-{line.hello.executor_id}"]
    assert len(swept) == 1
    assert swept != left


@pytest.mark.full
async def test_a_spool_that_takes_too_much_room_is_out_of_disk(tmp_path: Path) -> None:
    given = job(tmp_path)
    async with (
        one_executor(tmp_path, KALLA_SPOOL_LIMIT="1000") as (_, line, _executor),
        asyncio.timeout(30),
    ):
        scan = given.scans()[0]
        outcome: Outcome | None = None
        attempt = 0
        while not isinstance(outcome, FragmentFailed):
            attempt += 1
            again = replace(scan, id=replace(scan.id, attempt=attempt))
            line.say(again)
            outcome = await line.end_of(again.id)

    assert outcome.cause is Cause.OUT_OF_DISK
    assert "--spool-limit" in outcome.error.message


@pytest.mark.full
async def test_whoever_is_refused_ends_with_the_reason(tmp_path: Path) -> None:
    refusal = Refusal("protocol", "it speaks another protocol")
    async with (
        coordinating(refusal) as coordinator,
        executing(coordinator.port, tmp_path / "spool") as executor,
    ):
        code = await executor.exit_code()

    assert code != 0
    assert "it speaks another protocol" in executor.log.read_text()


@pytest.mark.full
async def test_a_token_lets_it_in(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("# mine\nfor-people\nexecutor open-sesame\n")
    async with coordinating(token="open-sesame") as coordinator:  # noqa: S106 - of this test
        token = {"KALLA_TOKEN_FILE": str(tmp_path / "tokens")}
        async with executing(coordinator.port, tmp_path / "spool", token):
            await (await coordinator.line()).beat()
        async with executing(coordinator.port, tmp_path / "spool") as stranger:
            code = await stranger.exit_code()

    assert code != 0
    assert "no such token" in stranger.log.read_text()


def _is_idle(line: Line) -> bool:
    return bool(line.heard) and getattr(line.heard[-1], "slots_busy", None) == 0


def _is_busy(line: Line) -> bool | None:
    return getattr(line.heard[-1], "slots_busy", None) == 1 or None


def _pidfd(pid: int) -> int:
    import os

    return os.pidfd_open(pid)
