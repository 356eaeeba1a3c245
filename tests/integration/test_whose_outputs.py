"""What one token's runs have written is read and replaced by nobody else, through every door."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from kalla_core.wire.generated import jobs_pb2, jobs_pb2_grpc
from tests.support.api import absolute_recipe
from tests.support.books import make_books
from tests.support.coordinators import Process, coordinator_process, select_pause

TOKENS = "submit,read ALICE\nsubmit,read BOB\nadmin BOSS\n"
PATIENCE_S = 60


@dataclass
class Callers:
    """A coordinator that knows three tokens, and a run of the first."""

    process: Process
    staging: Path
    recipe: dict[str, Any]

    def post(self, token: str, path: str, body: Any) -> httpx.Response:
        return httpx.post(f"{self.process.url}{path}", json=body, headers=bearer(token), timeout=60)

    def submit(
        self, token: str, run_id: str, source: str | None = None, output: str | None = None
    ) -> httpx.Response:
        body = {"run_id": run_id, "recipe": self.reading(source), "output_path": output}
        return self.post(token, "/api/jobs", body)

    def reading(self, source: str | None) -> dict[str, Any]:
        recipe: dict[str, Any] = json.loads(json.dumps(self.recipe))
        if source is not None:
            recipe["sources"]["left"]["uri"] = source
        return recipe

    def ended(self, run_id: str) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = httpx.get(
                f"{self.process.url}/api/jobs/{run_id}", headers=bearer("BOSS"), timeout=60
            )
            job: dict[str, Any] = found.json()
            if job["ended_at"] is not None:
                return job
            select_pause()
        raise TimeoutError(run_id)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    folder = tmp_path_factory.mktemp("callers")
    tokens, staging = folder / "tokens", folder / "staging"
    tokens.write_text(TOKENS)
    recipe = absolute_recipe(make_books(folder))
    recipe["options"] = {**recipe.get("options", {}), "single_file": True}
    with coordinator_process(staging, "--token-file", str(tokens)) as process:
        found = Callers(process, staging, recipe)
        found.submit("ALICE", "alice-1")
        found.submit("ALICE", "alice-2", output="named/out")
        assert [found.ended(f"alice-{n}")["status"] for n in (1, 2)] == ["succeeded"] * 2
        runs = staging / "runs"
        (staging / "link").symlink_to(runs / "alice-1")
        (staging / "hard.parquet").hardlink_to(runs / "alice-1" / "unmatched_left.parquet")
        yield found


SOURCES = [
    "{staging}/runs/alice-1/unmatched_left.parquet",
    "{staging}/runs/bob-0/../alice-1/unmatched_left.parquet",
    "file://{staging}/%72uns/alice-1/unmatched%5Fleft.parquet",
    "{staging}/link/unmatched_left.parquet",
    "{staging}/hard.parquet",
    "{staging}/named/out/unmatched_left.parquet",
    "{staging}/named/../named/out/unmatched_left.parquet",
]


@pytest.mark.parametrize("source", SOURCES)
def test_evidence_of_another_token_is_read_through_no_door(source: str, callers: Callers) -> None:
    uri = source.format(staging=callers.staging)

    answers = [
        callers.submit("BOB", "bob-1", uri),
        callers.post("BOB", "/api/validate", callers.reading(uri)),
        callers.post("BOB", "/api/explain", callers.reading(uri)),
        callers.post("BOB", "/api/sources/preview", {"uri": uri}),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{callers.process.grpc}") as channel:
        jobs: Any = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        metadata = [("authorization", "Bearer BOB")]
        recipe = json.dumps(callers.reading(uri))
        told = []
        for call, message in (
            (jobs.SubmitJob, jobs_pb2.SubmitJobRequest(run_id="bob-2", recipe_json=recipe)),
            (jobs.ExplainJob, jobs_pb2.ExplainJobRequest(recipe_json=recipe)),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call(message, metadata=metadata, timeout=60)
            told.append(error.value.code())

    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [
        (403, "not_allowed")
    ] * 4
    assert told == [grpc.StatusCode.PERMISSION_DENIED] * 2


@pytest.mark.parametrize("token", ["ALICE", "BOSS"])
def test_evidence_is_read_by_its_own_token_and_by_an_admin(token: str, callers: Callers) -> None:
    for number, source in enumerate((SOURCES[0], SOURCES[3], SOURCES[5])):
        uri, run_id = source.format(staging=callers.staging), f"{token.lower()}-reads-{number}"

        preview = callers.post(token, "/api/sources/preview", {"uri": uri})
        submitted = callers.submit(token, run_id, uri)

        assert preview.status_code == 200, preview.text
        assert submitted.status_code == 202, submitted.text
        assert callers.ended(run_id)["status"] == "succeeded"


def test_nobody_replaces_the_evidence_of_another_token(callers: Callers) -> None:
    for output in ("named/out", "named/out/matched.parquet", "runs/alice-1", "link"):
        refused = callers.submit("BOB", "bob-3", output=output)

        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
    assert callers.submit("BOB", "bob-4", output="named/else").status_code == 202


def test_nobody_is_shut_out_of_a_folder_that_another_token_names_as_an_output(
    callers: Callers,
) -> None:
    of_all = Path(callers.recipe["sources"]["left"]["uri"]).parent

    named = callers.submit("BOB", "bob-5", output=str(of_all))
    reads_there = callers.submit("ALICE", "alice-5", output=str(of_all / "of-alice"))
    preview = callers.post("ALICE", "/api/sources/preview", {"uri": f"{of_all}/metadata.json"})

    assert (named.status_code, reads_there.status_code) == (202, 202)
    assert callers.ended("alice-5")["status"] == "succeeded"
    assert preview.json()["error"]["code"] == "not_allowed"
