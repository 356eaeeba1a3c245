import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from kalla_core.client import Client
from kalla_core.errors import (
    CoordinatorUnavailable,
    InvalidSetting,
    JobConflict,
    JobEnded,
    JobNotFound,
    OutputExists,
    QueueFull,
    RecipeInvalid,
    SourceUnreadable,
    StoreUnavailable,
    Unauthenticated,
)
from kalla_core.evidence.reader import read_evidence
from kalla_core.ids import RunId
from kalla_core.jobs.document import raised
from kalla_core.jobs.model import JobStatus
from tests.support.api import Served, absolute_recipe, served
from tests.support.books import make_books
from tests.support.evidence import commit_evidence

GUEST = "a-good-token"
RUN = RunId("run-1")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


@pytest.fixture
async def kalla(api: Served) -> AsyncIterator[Client]:
    async with Client(api.url) as client:
        yield client


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, object]:
    return absolute_recipe(make_books(tmp_path))


async def test_a_job_from_submission_to_its_end(
    api: Served, kalla: Client, recipe: dict[str, object]
) -> None:
    run_id = await kalla.submit(recipe, RUN, output_path="/out")
    again = await kalla.submit(recipe, RUN, output_path="/out")

    statuses = []
    async for job in kalla.watch(run_id):
        statuses.append(job.status)
        if job.status is JobStatus.QUEUED:
            await api.jobs.begin(run_id)
        elif job.status is JobStatus.RUNNING:
            assert job == await kalla.get(run_id)
            await api.jobs.fail(run_id, SourceUnreadable("Line 7 is torn.", line=7))

    assert run_id == again == RUN
    assert statuses == ["queued", "running", "failed"]
    assert job.error is not None
    error = raised(job.error)
    assert isinstance(error, SourceUnreadable)
    assert dict(error.details) == {"line": 7}


async def test_errors_arrive_as_the_class_they_were(
    api: Served, kalla: Client, recipe: dict[str, object]
) -> None:
    await kalla.submit(recipe, RUN)
    await api.jobs.cancel(RUN)
    api.jobs.queue_limit = 0

    with pytest.raises(JobConflict):
        await kalla.submit({**recipe, "name": "another"}, RUN)
    with pytest.raises(RecipeInvalid) as invalid:
        await kalla.submit({**recipe, "match_sql": "", "surprise": 1}, RunId("run-2"))
    with pytest.raises(QueueFull) as full:
        await kalla.submit(recipe, RunId("run-3"))
    with pytest.raises(JobNotFound):
        await kalla.get(RunId("nobody"))
    with pytest.raises(JobNotFound):
        await kalla.wait(RunId("nobody"))
    with pytest.raises(JobEnded):
        await kalla.cancel(RUN)
    with pytest.raises(InvalidSetting):
        await kalla.list(cursor="x")

    assert {fault.path for fault in invalid.value.faults} == {"recipe.match_sql", "recipe.surprise"}
    assert full.value.retry_after_s == 7


async def test_all_jobs_can_be_listed_page_by_page(
    api: Served, kalla: Client, recipe: dict[str, object]
) -> None:
    for number in range(5):
        await kalla.submit(recipe, RunId(f"run-{number}"))

    page = await kalla.list(limit=2)
    seen = list(page.jobs)
    while page.cursor:
        page = await kalla.list(limit=2, cursor=page.cursor)
        seen += page.jobs

    assert [job.run_id for job in seen] == [f"run-{number}" for number in reversed(range(5))]
    assert await kalla.executors() == ()


async def test_a_watch_outlives_the_coordinator_it_began_with(
    tmp_path: Path, recipe: dict[str, object]
) -> None:
    async with served(tmp_path) as first:
        port, jobs = first.ports.http, first.jobs
        client = Client(first.url)
        await client.submit(recipe, RUN)
        watch = client.watch(RUN)
        seen = [await anext(watch)]
    await jobs.begin(RUN)
    await jobs.succeed(RUN)

    following = asyncio.ensure_future(anext(watch))
    async with served(tmp_path, jobs=jobs, http_port=port):
        seen.append(await following)
        rest = [job async for job in watch]
        await client.close()

    assert [job.status for job in seen] == ["queued", "succeeded"]
    assert rest == []


async def test_a_watch_gives_up_on_a_coordinator_that_does_not_come_back(
    tmp_path: Path, recipe: dict[str, object]
) -> None:
    async with served(tmp_path) as api:
        client = Client(api.url)
        await client.submit(recipe, RUN)
        watch = client.watch(RUN, patience_s=0.3)
        await anext(watch)

    with pytest.raises(CoordinatorUnavailable, match=r"127\.0\.0\.1"):
        await anext(watch)
    await client.close()


async def test_evidence_arrives_whole_and_as_it_was(api: Served, kalla: Client) -> None:
    await api.submit(RUN)
    await api.jobs.succeed(RUN)
    folder = api.jobs.folder.parent / "fetched"

    metadata = await kalla.fetch(RUN, folder)

    theirs = Path(api.jobs.jobs[RUN].output_path)
    assert {path.name for path in folder.iterdir()} == {path.name for path in theirs.iterdir()}
    for path in theirs.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
    with read_evidence(folder) as read:
        assert read.metadata == metadata


async def test_evidence_of_another_run_is_not_replaced_unasked(
    api: Served, kalla: Client, tmp_path: Path
) -> None:
    await api.submit(RUN)
    await api.jobs.succeed(RUN)
    commit_evidence(tmp_path / "out", "run-9", matched=1, left=0, right=0)

    with pytest.raises(OutputExists):
        await kalla.fetch(RUN, tmp_path / "out")
    metadata = await kalla.fetch(RUN, tmp_path / "out", overwrite=True)

    assert metadata.run_id == RUN


async def test_a_job_without_evidence_leaves_no_folder(
    api: Served, kalla: Client, tmp_path: Path
) -> None:
    await api.submit(RUN)

    with pytest.raises(JobEnded):
        await kalla.fetch(RUN, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def damaged(path: Path, api: Served) -> httpx.MockTransport:
    """A way to the coordinator on which one file is changed."""

    def answer(request: httpx.Request) -> httpx.Response:
        folder = Path(api.jobs.jobs[RUN].output_path)
        if request.url.path.endswith("/metadata"):
            return httpx.Response(200, json=json.loads((folder / "metadata.json").read_text()))
        data = (folder / request.url.path.rpartition("/")[2]).read_bytes()
        if request.url.path.endswith(path.name):
            data = data[:-1] + bytes([data[-1] ^ 1])
        return httpx.Response(200, content=data)

    return httpx.MockTransport(answer)


async def test_a_file_that_arrives_damaged_is_noticed(api: Served, tmp_path: Path) -> None:
    await api.submit(RUN)
    await api.jobs.succeed(RUN)
    path = Path("unmatched_left.parquet")

    async with Client(api.url, transport=damaged(path, api)) as client:
        with pytest.raises(SourceUnreadable, match=r"unmatched_left\.parquet arrived damaged"):
            await client.fetch(RUN, tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/cron.d/x", "does not lie beside it"),
        ("../x", "does not lie beside it"),
        ("a/b/c", "cannot be"),
    ],
)
async def test_a_file_cannot_lead_out_of_the_folder(
    api: Served, tmp_path: Path, name: str, words: str
) -> None:
    await api.submit(RUN)
    await api.jobs.succeed(RUN)
    folder = Path(api.jobs.jobs[RUN].output_path)
    document = json.loads((folder / "metadata.json").read_text())
    document["files"][0] |= {"name": name, "sha256": hashlib.sha256(b"").hexdigest(), "bytes": 0}

    def answer(request: httpx.Request) -> httpx.Response:
        wanted = request.url.path.endswith("/metadata")
        return httpx.Response(200, json=document) if wanted else httpx.Response(200, content=b"")

    async with Client(api.url, transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(SourceUnreadable, match=words):
            await client.fetch(RUN, tmp_path / "out")


async def test_what_passes_is_tried_again_and_what_does_not_is_not() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if request.method == "POST":
            raise httpx.ReadTimeout("slow")
        if len(asked) == 1:
            raise httpx.ConnectError("refused")
        if len(asked) == 2:
            error = {"code": "store_unavailable", "message": "Later.", "details": []}
            return httpx.Response(503, json={"error": error}, headers={"Retry-After": "0"})
        return httpx.Response(200, json={"executors": []})

    async with Client("http://kalla", transport=httpx.MockTransport(answer)) as client:
        executors = await client.executors()
        tries = len(asked)
        with pytest.raises(CoordinatorUnavailable):
            await client.cancel(RUN)

    assert executors == ()
    assert (tries, len(asked)) == (3, 4)


async def test_a_failure_that_stays_is_told_as_it_was() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        error = {"code": "store_unavailable", "message": "No store.", "details": []}
        return httpx.Response(503, json={"error": error}, headers={"Retry-After": "60"})

    async with Client("http://kalla", transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(StoreUnavailable, match="No store"):
            await client.executors()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "x"}', b'{"error": {}}'])
@pytest.mark.parametrize(
    ("status", "code"), [(404, "invalid_request"), (500, CoordinatorUnavailable.code)]
)
async def test_an_answer_that_is_not_from_kalla_is_told_as_such(
    body: bytes, status: int, code: str
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))

    async with Client("http://kalla", transport=transport) as client:
        with pytest.raises((CoordinatorUnavailable, Exception)) as told:
            await client.executors()

    assert getattr(told.value, "code", None) == code


async def test_a_token_lets_us_in(tmp_path: Path) -> None:
    async with served(tmp_path, token=GUEST) as api:
        async with Client(api.url, GUEST) as client:
            page = await client.list()
        async with Client(api.url) as client:
            with pytest.raises(Unauthenticated):
                await client.list()

    assert page.jobs == ()


@pytest.mark.parametrize("address", ["localhost:8080", "", "ftp://x", "http://"])
def test_an_address_must_be_one(address: str) -> None:
    with pytest.raises(InvalidSetting):
        Client(address)
