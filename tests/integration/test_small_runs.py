"""What a small run does not do, for that is what would make it slow."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.books import Books
from tests.support.command import PATIENCE_S, clean_environment

OTHERS = (
    *(
        "adbc_driver_postgresql",
        "arro3",
        "asyncpg",
        "attr",
        "boto3",
        "botocore",
        "fastapi",
        "google",
        "grpc",
    ),
    *(
        "httpx",
        "nanoarrow",
        "pandas",
        "pydantic_settings",
        "pygments",
        "rapidfuzz",
        "sqlalchemy",
        "sqlglot",
        "urllib3",
        "uvicorn",
    ),
)
OURS = (
    "cli.bars",
    "client",
    "engine.run.culprit",
    "engine.joins.from_disk",
    "engine.passes",
    "engine.joins.settled_joins",
    "evidence.s3_output",
    "inspection",
    "s3.answers",
    "settings.app",
    "settings.coordinator",
    "settings.executor",
    "settings.s3",
    "sources.avro",
    "sources.databases",
    "sources.postgres",
    "sources.s3",
    "validate",
    "wire",
)
MOST_MODULES = {"the command": 110, "the run": 261}
"""Of ours; each takes a millisecond, which is half of the work of a small run."""
NOT_OF_RUNS = {"asyncio", "pydantic", "pydoc", "rich", "ssl", "structlog", "typer"}
STARTS = ("os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen")

PROGRAM = f"""
import os, sys
command = os.getpid()
def note(event, about):
    if event in ("import", *{STARTS}):
        who = "the command" if os.getpid() == command else "the run"
        told = f"{{who}}:{{event}}:{{about[0] if event == 'import' else ''}}\\n"
        os.write(seen, told.encode())
seen = os.open("seen", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
sys.addaudithook(note)
from kalla_core.cli import main
main()
"""
RUN = ("run", "recipe.json", "--output", "out")


@dataclass
class Seen:
    """What the two processes of a run did: who imported what, and who started which process."""

    imports: dict[str, set[str]]
    starts: list[tuple[str, str]]


def test_a_small_run_loads_nothing_that_it_does_not_need(books: Books, tmp_path: Path) -> None:
    decoys = tmp_path / "decoys"
    for name in OTHERS:
        (decoys / name).mkdir(parents=True)
        told = f"open({str(tmp_path / 'loaded')!r}, 'a').write('{name} ')\n"
        (decoys / name / "__init__.py").write_text(f"{told}raise ImportError('{name}')\n")

    ended = _run(books, decoys)

    seen = _seen(books)
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "loaded").exists(), (tmp_path / "loaded").read_text()
    for who, modules in seen.imports.items():
        assert {f"kalla_core.{name}" for name in OURS}.isdisjoint(modules), who
        ours = [name for name in modules if name.startswith("kalla_core")]
        assert len(ours) <= MOST_MODULES[who], (who, len(ours))


def test_the_command_holds_no_rows_and_the_run_reads_no_recipe(books: Books) -> None:
    ended = _run(books)

    imports = _seen(books).imports
    assert ended.returncode == 0, ended.stderr
    assert imports["the command"].isdisjoint({"pyarrow", "numpy", "datafusion"})
    assert imports["the run"].isdisjoint(NOT_OF_RUNS)


@pytest.mark.parametrize("flags", [(), ("--memory-limit=512MiB", "--evidence-mode", "0640")])
def test_a_small_run_is_one_process_and_one_fork_of_it(
    books: Books, flags: tuple[str, ...]
) -> None:
    ended = _run(books, arguments=(*RUN, *flags))

    assert ended.returncode == 0, ended.stderr
    assert _seen(books).starts == [("the command", "os.fork")]
    mode = (books.folder / "out" / "matched.parquet").stat().st_mode
    assert mode & 0o777 == (0o640 if flags else 0o600)


def test_a_command_that_is_to_be_quiet_loads_nothing_that_draws_tables(books: Books) -> None:
    ended = _run(books, arguments=(*RUN, "--quiet"))

    assert ended.returncode == 0, ended.stderr
    assert "rich.console" not in _seen(books).imports["the command"]


@pytest.mark.parametrize("flag", ["--help", "--evidence-mode=rw", "--memory-limit=lots"])
def test_a_command_that_runs_nothing_starts_nothing(books: Books, flag: str) -> None:
    _run(books, arguments=(*RUN, flag))

    assert _seen(books).starts == []


def _seen(books: Books) -> Seen:
    lines = [line.split(":") for line in (books.folder / "seen").read_text().splitlines()]
    imports: dict[str, set[str]] = {who: set() for who in MOST_MODULES}
    for who, event, name in lines:
        if event == "import":
            imports[who].add(name)
    return Seen(imports, [(who, event) for who, event, _ in lines if event != "import"])


def _run(
    books: Books, *path: Path, arguments: tuple[str, ...] = RUN
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=books.folder,
        env=clean_environment({"PYTHONPATH": os.pathsep.join(map(str, path))}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
