"""Clients that others generate: of the OpenAPI description in Python, of the gRPC files in Node.

The generators are installed into a temporary folder, of pinned versions; they are none of ours.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import absolute_recipe
from tests.support.books import make_books
from tests.support.coordinators import Process, coordinator_process

ROOT = Path(__file__).parents[2]
GENERATOR = "openapi-python-client==0.29.1"
STUBS = ("@grpc/grpc-js@1.14.7", "@grpc/proto-loader@0.8.1")
PATIENCE_S = 600

pytestmark = pytest.mark.full

IN_PYTHON = """
import json, sys, time
from kalla_generated import Client
from kalla_generated.api.evidence import get_file, get_metadata, get_rows
from kalla_generated.api.jobs import get_job, submit_job
from kalla_generated.models import ErrorDocument, EvidenceSet, JobOfRecipe

with Client(base_url=sys.argv[1]) as client:
    body = JobOfRecipe.from_dict({"run_id": "generated", "recipe": json.loads(sys.argv[2])})
    accepted = submit_job.sync(client=client, body=body)
    assert accepted.run_id == "generated", accepted
    until = time.monotonic() + 120
    while (job := get_job.sync("generated", client=client)).status not in ("succeeded", "failed"):
        assert time.monotonic() < until
        time.sleep(0.1)
    rows = get_rows.sync("generated", EvidenceSet.UNMATCHED_LEFT, client=client)
    unknown = get_job.sync("no-such-run", client=client)
    assert isinstance(unknown, ErrorDocument), unknown
    file = get_file.sync("generated", "matched.parquet", client=client).payload.read()
    print(json.dumps({
        "status": job.status, "matched": job.counts.matched_count, "error": unknown.error.code,
        "rows": [row.to_dict() for row in rows], "file": file[:4].decode(),
    }))
"""

IN_NODE = """
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const [address, recipe, folder] = process.argv.slice(2);
const names = ["jobs", "evidence"].map((name) => `kalla/v1/${name}.proto`);
const { v1 } = grpc.loadPackageDefinition(
  loader.loadSync(names, { keepCase: true, longs: Number, includeDirs: [folder] })).kalla;
const secure = grpc.credentials.createInsecure();
const jobs = new v1.Jobs(address, secure), evidence = new v1.Evidence(address, secure);
const all = (stream) => new Promise((good, bad) => {
  const found = [];
  stream.on("data", (one) => found.push(one)).on("end", () => good(found)).on("error", bad);
});
jobs.SubmitJob({ run_id: "from-node", recipe_json: recipe }, async (error, accepted) => {
  if (error) throw error;
  const seen = await all(jobs.WatchJob({ run_id: accepted.run_id }));
  const pieces = await all(evidence.GetRows({ run_id: accepted.run_id, set: "unmatched_left" }));
  const rows = JSON.parse(Buffer.concat(pieces.map((one) => one.data)).toString());
  jobs.GetJob({ run_id: "no-such-run" }, (missing) => {
    const [told] = missing.metadata.get("kalla-error-bin");
    const last = seen[seen.length - 1];
    console.log(JSON.stringify({ status: last.status, matched: last.counts.matched_count, rows,
      error: JSON.parse(told.toString()).code, grpc: missing.code }));
  });
});
"""


@dataclass
class Service:
    """A coordinator, and a recipe that it can run."""

    coordinator: Process
    recipe: str


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("books")
    recipe = json.dumps(absolute_recipe(make_books(folder)))
    with coordinator_process(folder / "staging") as coordinator:
        yield Service(coordinator, recipe)


def told(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_a_client_generated_from_the_description_submits_waits_and_reads(
    service: Service, tmp_path: Path
) -> None:
    python = str(tmp_path / "venv" / "bin" / "python")
    told([sys.executable, "-m", "venv", "venv"], tmp_path)
    told([python, "-m", "pip", "install", "--quiet", GENERATOR], tmp_path)
    overrides = "content_type_overrides: {application/vnd.apache.parquet: application/octet-stream}"
    (tmp_path / "config.yml").write_text(f"{overrides}\npost_hooks: []\n")
    description = str(ROOT / "docs" / "reference" / "openapi.json")
    generate = ["generate", "--path", description, "--config", "config.yml", "--meta", "none"]
    said = told(
        [
            *(str(tmp_path / "venv" / "bin" / "openapi-python-client"), *generate),
            *("--output-path", "kalla_generated", "--fail-on-warning"),
        ],
        tmp_path,
    )
    assert "WARNING" not in said, said
    (tmp_path / "use.py").write_text(IN_PYTHON)

    seen = json.loads(told([python, "use.py", service.coordinator.url, service.recipe], tmp_path))

    assert seen["file"] == "PAR1"
    as_expected(seen)


def test_a_stub_in_node_submits_watches_and_reads(service: Service, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed (Debian: npm)")
    (tmp_path / "package.json").write_text("{}")
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    told(["npm", "install", *quiet, *STUBS], tmp_path)
    (tmp_path / "use.js").write_text(IN_NODE)
    address = f"127.0.0.1:{service.coordinator.grpc}"

    said = told(["node", "use.js", address, service.recipe, str(ROOT / "proto")], tmp_path)

    seen = json.loads(said)
    assert seen["grpc"] == 5  # NOT_FOUND
    as_expected(seen)


def as_expected(seen: dict[str, Any]) -> None:
    assert (seen["status"], seen["error"]) == ("succeeded", "job_not_found")
    assert seen["matched"] > 0
    assert seen["rows"]
    assert all("reason" in " ".join(row) for row in seen["rows"]), seen["rows"]
