"""Several apps that start at once on a database that is new: one makes its tables, all use them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from kalla_app.store import runs
from kalla_app.store.database import opened
from tests.support.command import clean_environment
from tests.support.databases import postgres_url

APPS = 3
PATIENCE_S = 240
PROGRAM = """
import asyncio, sys
from pathlib import Path
from kalla_app.store.database import opened
from kalla_app.store import runs

async def use(url, folder):
    async with opened(url, folder) as database, database.reading() as connection:
        print(await runs.by_status(connection))

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(use(sys.argv[2] or None, Path(sys.argv[1])))
"""


@pytest.mark.full
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_apps_that_start_at_once_bring_a_database_to_its_version_once(
    kind: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(postgres_url()) if kind == "postgres" else None
        apps = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", PROGRAM, str(tmp_path), url or ""],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=clean_environment(),
                )
            )
            for _ in range(APPS)
        ]
        stack.callback(lambda: [app.kill() for app in apps])
        for app in apps:
            assert app.stdout is not None
            assert app.stdout.readline() == "ready\n"
        for app in apps:
            assert app.stdin is not None
            app.stdin.write("\n")
            app.stdin.flush()
        outcomes = [app.communicate(timeout=PATIENCE_S) for app in apps]

        assert [said for said, _ in outcomes] == ["{}\n"] * APPS, outcomes
        async with opened(url, tmp_path) as database, database.reading() as connection:
            assert await runs.by_status(connection) == {}
