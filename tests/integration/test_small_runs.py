"""What a small run does not do, for that is what would make it slow."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.books import Books
from tests.support.command import PATIENCE_S, clean_environment

OTHERS = (
    *(
        "adbc_driver_postgresql",
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
MOST_MODULES = 290
"""Of ours; each takes a millisecond, which is half of the work of a small run."""
STARTS = ("os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen")

PROGRAM = f"""
import atexit, json, sys
starts = []
sys.addaudithook(lambda event, _: starts.append(event) if event in {STARTS} else None)
atexit.register(lambda: json.dump([starts, sorted(sys.modules)], open("seen.json", "w")))
from kalla_core.cli import main
main()
"""


def test_a_small_run_loads_nothing_that_it_does_not_need(books: Books, tmp_path: Path) -> None:
    decoys = tmp_path / "decoys"
    for name in OTHERS:
        (decoys / name).mkdir(parents=True)
        told = f"open({str(tmp_path / 'loaded')!r}, 'a').write('{name} ')\n"
        (decoys / name / "__init__.py").write_text(f"{told}raise ImportError('{name}')\n")

    ended = _run(books, decoys)

    _, modules = json.loads((books.folder / "seen.json").read_text())
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "loaded").exists(), (tmp_path / "loaded").read_text()
    assert {f"kalla_core.{name}" for name in OURS}.isdisjoint(modules)
    assert sum(name.startswith("kalla_core") for name in modules) <= MOST_MODULES


def test_a_small_run_is_one_process_and_one_fork_of_it(books: Books) -> None:
    ended = _run(books)

    starts, _ = json.loads((books.folder / "seen.json").read_text())
    assert ended.returncode == 0, ended.stderr
    assert starts == ["os.fork"]


def _run(books: Books, *path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "run", "recipe.json", "--output", "out"],
        cwd=books.folder,
        env=clean_environment({"PYTHONPATH": os.pathsep.join(map(str, path))}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
