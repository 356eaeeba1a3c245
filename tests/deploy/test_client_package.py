"""The client as a distribution of its own: no engine, and the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from deploy.client_package import main, needed_modules
from kalla_core.evidence.reader import read_evidence
from tests.support.api import absolute_recipe
from tests.support.books import make_books
from tests.support.coordinators import coordinator_process

ALONE = """
import asyncio, json, sys
from importlib.abc import MetaPathFinder
from pathlib import Path

sys.path.insert(0, sys.argv[1])
ALLOWED = sys.stdlib_module_names | {"kalla_client", "httpx", "httpcore", "anyio", "h11", "certifi"}
ALLOWED |= {"idna", "sniffio", "typing_extensions"}


class NothingElse(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)


sys.meta_path.insert(0, NothingElse())
from kalla_client import Client
from kalla_client.errors import JobNotFound


async def main(url, recipe, out):
    async with Client(url) as kalla:
        assert (await kalla.validate(recipe))["valid"]
        run_id = await kalla.submit(recipe)
        job = await kalla.wait(run_id)
        await kalla.fetch(run_id, out)
        try:
            await kalla.get("no-such-run")
        except JobNotFound as error:
            print(json.dumps([job.status, job.counts.matched, error.code]))


asyncio.run(main(sys.argv[2], json.loads(sys.argv[3]), Path(sys.argv[4])))
"""


def test_the_client_alone_needs_httpx_and_does_what_it_does_with_the_engine(tmp_path: Path) -> None:
    tree, out = tmp_path / "tree", tmp_path / "out"
    (tmp_path / "books").mkdir()
    recipe = absolute_recipe(make_books(tmp_path / "books"))
    main(tree)

    with coordinator_process(tmp_path / "service") as coordinator:
        given = [str(tree), coordinator.url, json.dumps(recipe), str(out)]
        done = subprocess.run(
            [sys.executable, "-I", "-c", ALONE, *given], capture_output=True, text=True, timeout=120
        )

    assert done.returncode == 0, done.stderr
    status, matched, code = json.loads(done.stdout)
    evidence = read_evidence(out)
    assert (status, code) == ("succeeded", "job_not_found")
    assert matched == evidence.metadata.matched_count > 0


def test_the_client_alone_has_no_module_of_the_engine() -> None:
    rooms = {name.split(".")[1] for name in needed_modules() if "." in name}

    assert not rooms & {"engine", "sources", "cli", "settings", "s3", "answers", "recipe"}
