import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kalla_core.errors import OutOfMemory, SourceUnreadable
from kalla_core.jobs.model import ExecutorInfo, JobStatus
from tests.support.api import Served, eventually, served
from tests.support.books import Books, make_books
from tests.support.command import KALLA, Outcome, clean_environment, kalla, names_below

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


async def ask(api: Served, books: Books, *arguments: str | Path) -> Outcome:
    environment = {"KALLA_COORDINATOR": api.url}
    return await asyncio.to_thread(kalla, *arguments, cwd=books.folder, environment=environment)


async def play(api: Served, run_id: str | None = None) -> None:
    """Let the next job begin and succeed."""
    await eventually(lambda: bool(api.jobs.jobs))
    run = run_id or next(iter(api.jobs.jobs))
    await api.jobs.begin(run)
    await eventually(lambda: api.jobs.watchers > 0)
    await api.jobs.succeed(run)


async def test_a_recipe_is_submitted_with_paths_from_the_root(api: Served, books: Books) -> None:
    outcome = await ask(api, books, "submit", "recipe.json", "--run-id", "march")

    assert (outcome.exit_code, outcome.out) == (0, "march\n"), outcome.err
    recipe = api.jobs.requests["march"].recipe
    assert recipe.left.uri == str(books.folder / "invoices.csv")


async def test_jobs_are_shown_as_a_table_and_one_by_one(api: Served, books: Books) -> None:
    for name in ("a", "b", "c"):
        await api.submit(name)
    await api.jobs.begin("b")
    await api.jobs.fail("c", OutOfMemory("Too little memory for postgres://u:secret@h/d."))

    table = await ask(api, books, "status")
    one = await ask(api, books, "status", "b")
    failed = await ask(api, books, "status", "c")
    listed = await ask(api, books, "status", "--status", "running", "--json")
    wrong = await ask(api, books, "status", "--status", "lost")

    assert [line.split()[0] for line in table.out.splitlines()[2:5]] == ["c", "b", "a"]
    assert "matching 30%" in one.out
    assert "out_of_memory" in failed.out
    assert "secret" not in failed.out
    assert [job["run_id"] for job in json.loads(listed.out)["jobs"]] == ["b"]
    assert (wrong.exit_code, "cancelled" in wrong.paragraph) == (2, True)


async def test_watch_ends_as_a_run_would(api: Served, books: Books) -> None:
    for name in ("good", "bad", "broken", "stopped"):
        await api.submit(name)
    await api.jobs.succeed("good")
    await api.jobs.fail("bad", SourceUnreadable("Line 7 is torn."))
    await api.jobs.fail("broken", OutOfMemory("Too little memory."))
    await api.jobs.cancel("stopped")

    outcomes = {
        name: await ask(api, books, "watch", name) for name in ("good", "bad", "broken", "stopped")
    }

    codes = {name: outcome.exit_code for name, outcome in outcomes.items()}
    assert codes == {"good": 0, "bad": 2, "broken": 3, "stopped": 2}
    assert outcomes["bad"].paragraph == "Error (source_unreadable): Line 7 is torn."
    assert outcomes["stopped"].paragraph.startswith("Error (cancelled)")


async def test_watch_tells_progress_as_lines_of_json(api: Served, books: Books) -> None:
    await api.submit("run-1")
    watching = asyncio.ensure_future(ask(api, books, "watch", "run-1", "--json"))
    await eventually(lambda: api.jobs.watchers > 0)
    await play(api)

    outcome = await watching

    assert json.loads(outcome.out)["status"] == "succeeded"
    events = [line["event"] for line in outcome.lines]
    assert events[-1] == "job_succeeded" or "job_succeeded" in events
    stages = {line["stage"] for line in outcome.lines if line["event"] == "progress"}
    assert {"staging", "matching"} <= stages


async def test_a_job_is_cancelled_and_only_once(api: Served, books: Books) -> None:
    await api.submit("run-1")

    first = await ask(api, books, "cancel", "run-1")
    second = await ask(api, books, "cancel", "run-1")

    assert first.exit_code == 0
    assert (second.exit_code, second.paragraph[:18]) == (2, "Error (job_ended):")


async def test_evidence_is_fetched_with_its_summary(api: Served, books: Books) -> None:
    recipe = books.write()
    await ask(api, books, "submit", recipe, "--run-id", "run-1")
    await run_for_real(api, books, "run-1")

    outcome = await ask(api, books, "fetch", "run-1", "--output", "out")

    assert outcome.exit_code == 0, outcome.err
    assert "The books: 2 matches" in outcome.out
    assert "metadata.json" in names_below(books.folder / "out")


async def run_for_real(api: Served, books: Books, run_id: str) -> None:
    """Let a job's evidence be that of a run of its recipe."""
    output = Path(api.jobs.jobs[run_id].output_path)
    done = await asyncio.to_thread(books.run, "--output", output, "--json")
    assert done.exit_code == 0, done.err
    path = output / "metadata.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "run_id": run_id}))
    await api.jobs.change(run_id, status=JobStatus.SUCCEEDED)


async def test_executors_are_listed(api: Served, books: Books) -> None:
    none = await ask(api, books, "executors")
    api.jobs.listed_executors = (
        ExecutorInfo("exec-1", "10.0.0.7:50051", "0.1.0", "alive", 4, 3, NOW, NOW, 1 << 30, 0),
    )

    some = await ask(api, books, "executors")

    assert "No executors" in none.out
    assert "exec-1" in some.out
    assert "3/4" in some.out


async def test_a_run_by_a_coordinator_leaves_what_a_run_here_leaves(
    api: Served, books: Books
) -> None:
    running = asyncio.ensure_future(
        asyncio.to_thread(books.run, "--coordinator", api.url, "--fail-on-unmatched")
    )
    await eventually(lambda: api.jobs.watchers > 0)
    run_id = next(iter(api.jobs.jobs))
    await api.jobs.begin(run_id)
    await asyncio.to_thread(kalla, "run", books.write(), "-o", "here", cwd=books.folder)
    await run_for_real_from(api, books.folder / "here", run_id)

    outcome = await running

    assert outcome.exit_code == 1, outcome.err
    assert names_below(books.folder / "out") == names_below(books.folder / "here")
    assert "The books: 2 matches" in outcome.out
    assert outcome.lines[0]["event"] == "run_submitted"


async def run_for_real_from(api: Served, evidence: Path, run_id: str) -> None:
    output = Path(api.jobs.jobs[run_id].output_path)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.mkdir()
    for path in evidence.iterdir():
        (output / path.name).write_bytes(path.read_bytes())
    document = json.loads((output / "metadata.json").read_text())
    (output / "metadata.json").write_text(json.dumps({**document, "run_id": run_id}))
    await api.jobs.change(run_id, status=JobStatus.SUCCEEDED)


async def test_what_is_wrong_with_a_recipe_is_told_before_it_is_submitted(
    api: Served, books: Books
) -> None:
    books.recipe["sources"]["left"]["primary_key"] = ["no_such"]

    outcome = await asyncio.to_thread(books.run, "--coordinator", api.url)

    assert outcome.exit_code == 2
    assert "sources.left.primary_key[0]" in outcome.paragraph
    assert api.jobs.jobs == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_run_cancels_its_job(
    api: Served, books: Books, number: signal.Signals
) -> None:
    recipe = books.write()
    process = subprocess.Popen(
        [*KALLA, "run", recipe, "--output", "out", "--coordinator", api.url],
        cwd=books.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    await eventually(lambda: api.jobs.watchers > 0)

    process.send_signal(number)
    _, err = await asyncio.to_thread(process.communicate, timeout=30)

    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], err
    assert "Traceback" not in err
    assert [job.status for job in api.jobs.jobs.values()] == ["cancelled"]
    assert not (books.folder / "out").exists()


async def test_flags_that_make_no_sense_with_a_coordinator_are_refused(
    api: Served, books: Books
) -> None:
    memory = await asyncio.to_thread(books.run, "--coordinator", api.url, "--memory-limit", "1GiB")
    cluster = await asyncio.to_thread(books.run, "--engine", "cluster")

    assert (memory.exit_code, cluster.exit_code) == (2, 2)
    assert "--coordinator" in cluster.paragraph


async def test_a_coordinator_that_is_not_there_is_a_system_failure(books: Books) -> None:
    outcome = await asyncio.to_thread(
        kalla, "status", "--coordinator", "http://127.0.0.1:1", cwd=books.folder
    )

    assert outcome.exit_code == 3
    assert outcome.paragraph.startswith("Error (coordinator_unavailable)")


def test_commands_for_a_coordinator_do_not_load_the_engine(tmp_path: Path) -> None:
    program = (
        "import sys, kalla_core.cli.app as cli\n"
        "try:\n    cli.app(['status', '--coordinator', 'http://127.0.0.1:1'])\n"
        "finally:\n    print(sorted({'pyarrow', 'datafusion', 'grpc'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.splitlines()[-1] == "[]", done.stderr
