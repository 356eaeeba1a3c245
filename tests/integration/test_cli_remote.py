"""The commands that talk to a coordinator. Those that can be asked within this process are."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kalla_core.cli import remote
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.run import RunFlags, run_recipe
from kalla_core.errors import (
    Cancelled,
    CoordinatorUnavailable,
    InvalidSetting,
    JobEnded,
    OutOfMemory,
    RecipeInvalid,
    SourceUnreadable,
)
from kalla_core.evidence.metadata import canonical_json
from kalla_core.evidence.reader import read_evidence
from kalla_core.jobs.model import ExecutorInfo, JobStatus
from tests.support.api import Served, eventually, served
from tests.support.books import Books, make_books
from tests.support.command import KALLA, clean_environment, names_below

NOW = datetime(2026, 3, 31, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "service").mkdir()
    async with served(tmp_path / "service") as one:
        yield one


@pytest.fixture
def books(tmp_path: Path) -> Books:
    (tmp_path / "books").mkdir()
    return make_books(tmp_path / "books")


class Console:
    """Commands in a thread of this process, and what they print."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self.err = ""

    async def ask(self, command: Callable[..., ExitCode], *given: Any, **more: Any) -> str:
        """Return what a command that succeeds writes to standard output."""
        self._captured.readouterr()
        try:
            assert await asyncio.to_thread(command, *given, **more) is ExitCode.SUCCEEDED
        finally:
            out, self.err = self._captured.readouterr()
        return out

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of JSON on standard error."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]


@pytest.fixture
def console(capsys: pytest.CaptureFixture[str]) -> Console:
    return Console(capsys)


async def test_a_recipe_is_submitted_with_paths_from_the_root(
    api: Served, books: Books, console: Console
) -> None:
    flags = remote.SubmitFlags(run_id="march", overrides=("options.buckets=7",))

    out = await console.ask(remote.submit, api.url, books.write(), flags)

    assert out == "march\n"
    recipe = api.jobs.requests["march"].recipe
    assert recipe.left.uri == str(books.folder / "invoices.csv")
    assert recipe.options.buckets == 7


async def test_jobs_are_shown_as_a_table_and_one_by_one(api: Served, console: Console) -> None:
    for name in ("a", "b", "c"):
        await api.submit(name)
    await api.jobs.begin("b")
    await api.jobs.fail("c", OutOfMemory("Too little memory for postgres://u:secret@h/d."))

    table = await console.ask(remote.status, api.url, None, None, 20, as_json=False)
    one = await console.ask(remote.status, api.url, "b", None, 20, as_json=False)
    failed = await console.ask(remote.status, api.url, "c", None, 20, as_json=False)
    listed = await console.ask(remote.status, api.url, None, "running", 20, as_json=True)

    assert [line.split()[0] for line in table.splitlines()[2:5]] == ["c", "b", "a"]
    assert "matching 30%" in one
    assert "east: 2 fragments, 900 rows" in one
    assert "west: 1 fragment, 100 rows" in one
    assert "4 KiB" in one
    assert "out_of_memory" in failed
    assert "secret" not in failed
    assert [job["run_id"] for job in json.loads(listed)["jobs"]] == ["b"]
    with pytest.raises(InvalidSetting, match="cancelled"):
        await console.ask(remote.status, api.url, None, "lost", 20, as_json=False)


async def test_watch_ends_as_a_run_would(api: Served, console: Console) -> None:
    for name in ("good", "bad", "broken", "stopped"):
        await api.submit(name)
    await api.jobs.succeed("good")
    await api.jobs.fail("bad", SourceUnreadable("Line 7 is torn."))
    await api.jobs.fail("broken", OutOfMemory("Too little memory."))
    await api.jobs.cancel("stopped")

    out = await console.ask(remote.watch, api.url, "good", as_json=False)

    assert "succeeded" in out
    expected = {"bad": SourceUnreadable, "broken": OutOfMemory, "stopped": Cancelled}
    for name, kind in expected.items():
        with pytest.raises(kind):
            await console.ask(remote.watch, api.url, name, as_json=False)


async def test_watch_tells_progress_as_lines_of_json(api: Served, console: Console) -> None:
    await api.submit("run-1")
    watching = asyncio.ensure_future(console.ask(remote.watch, api.url, "run-1", as_json=True))
    await eventually(lambda: api.jobs.watchers > 0)
    await api.jobs.begin("run-1")
    await api.jobs.succeed("run-1")

    out = await watching

    assert json.loads(out)["status"] == "succeeded"
    assert "job_succeeded" in [line["event"] for line in console.lines]
    stages = {line["stage"] for line in console.lines if line["event"] == "progress"}
    assert {"staging", "matching"} <= stages
    told = [line for line in console.lines if line["event"] == "executors"]
    assert [worker["executor_id"] for worker in told[0]["workers"]] == ["east", "west"]
    assert told[0]["shuffled_bytes"] == 4096


async def test_a_job_is_cancelled_and_only_once(api: Served, console: Console) -> None:
    await api.submit("run-1")

    await console.ask(remote.cancel, api.url, "run-1", as_json=False)

    assert api.jobs.jobs["run-1"].status is JobStatus.CANCELLED
    with pytest.raises(JobEnded):
        await console.ask(remote.cancel, api.url, "run-1", as_json=False)


async def test_executors_are_listed(api: Served, console: Console) -> None:
    none = await console.ask(remote.executors, api.url, as_json=False)
    api.jobs.listed_executors = (
        ExecutorInfo("exec-1", "10.0.0.7:50051", "0.1.0", "alive", 4, 3, NOW, NOW, 1 << 30, 0),
    )

    some = await console.ask(remote.executors, api.url, as_json=False)
    as_json = await console.ask(remote.executors, api.url, as_json=True)

    assert "No executors" in none
    assert "exec-1" in some
    assert "3/4" in some
    assert json.loads(as_json)["executors"][0]["slots_busy"] == 3


async def test_a_run_by_a_coordinator_leaves_what_a_run_here_leaves(
    api: Served, books: Books, console: Console
) -> None:
    here = books.folder / "here"
    await asyncio.to_thread(run_recipe, books.write(), RunFlags(output=here))
    flags = RunFlags(output=books.folder / "out", coordinator=api.url)
    running = asyncio.ensure_future(console.ask(run_recipe, books.write(), flags))
    await eventually(lambda: api.jobs.watchers > 0)
    run_id = next(iter(api.jobs.jobs))
    await api.jobs.begin(run_id)
    await deliver(api, run_id, here)

    out = await running

    assert "The books: 2 matches" in out
    assert names_below(books.folder / "out") == names_below(here)
    with read_evidence(books.folder / "out") as fetched, read_evidence(here) as made:
        assert fetched.metadata.files == made.metadata.files
        assert canonical_json(fetched.metadata.recipe) == canonical_json(made.metadata.recipe)


async def deliver(api: Served, run_id: str, evidence: Path) -> None:
    """Let the evidence of another run be that of a job."""
    output = Path(api.jobs.jobs[run_id].output_path)
    output.mkdir(parents=True)
    for path in evidence.iterdir():
        (output / path.name).write_bytes(path.read_bytes())
    document = json.loads((output / "metadata.json").read_text())
    (output / "metadata.json").write_text(json.dumps({**document, "run_id": run_id}))
    await api.jobs.change(run_id, status=JobStatus.SUCCEEDED)


async def test_what_is_wrong_with_a_recipe_is_told_before_it_is_submitted(
    api: Served, books: Books, console: Console
) -> None:
    books.recipe["sources"]["left"]["primary_key"] = ["no_such"]
    flags = RunFlags(output=books.folder / "out", coordinator=api.url)

    with pytest.raises(RecipeInvalid) as told:
        await console.ask(run_recipe, books.write(), flags)

    assert [fault.path for fault in told.value.faults] == ["sources.left.primary_key[0]"]
    assert api.jobs.jobs == {}
    assert not (books.folder / "out").exists()


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_run_cancels_its_job(
    api: Served, books: Books, number: signal.Signals, exit_code: int
) -> None:
    process = await asyncio.to_thread(
        subprocess.Popen,
        [*KALLA, "run", books.write(), "--output", "out", "--coordinator", api.url],
        cwd=books.folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        await eventually(lambda: api.jobs.watchers > 0)
        process.send_signal(number)
        _, err = await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode == exit_code, err
    assert "Traceback" not in err
    assert [job.status for job in api.jobs.jobs.values()] == ["cancelled"]
    assert not (books.folder / "out").exists()


async def test_flags_that_make_no_sense_together_are_refused(api: Served, books: Books) -> None:
    with_limit = RunFlags(coordinator=api.url, memory_limit="1GiB")
    without = RunFlags(engine="cluster")

    with pytest.raises(InvalidSetting, match="--memory-limit"):
        await asyncio.to_thread(run_recipe, books.write(), with_limit)
    with pytest.raises(InvalidSetting, match="--coordinator"):
        await asyncio.to_thread(run_recipe, books.write(), without)


async def test_a_coordinator_that_is_not_there_is_told_with_its_address() -> None:
    with pytest.raises(CoordinatorUnavailable, match=r"127\.0\.0\.1:1"):
        await asyncio.to_thread(remote.status, "http://127.0.0.1:1", None, None, 20, as_json=False)
