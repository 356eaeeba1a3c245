"""Evidence, recipes and sources over gRPC: the same as over HTTP, to the byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from kalla_coordinator.api import guard
from kalla_coordinator.jobs.stages import succeeded
from kalla_core.jobs.model import JobStatus
from kalla_core.recipe.parse import load_recipe
from kalla_core.wire.generated import evidence_pb2 as pb
from kalla_core.wire.generated import evidence_pb2_grpc
from kalla_core.wire.status import error_from_grpc
from tests.support.api import Served, absolute_recipe, served
from tests.support.books import make_books
from tests.support.evidence import commit_evidence
from tests.support.runs import run_in_process

GUEST = "a-good-token"
PARQUET = "application/vnd.apache.parquet"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        await one.submit("test-run")
        output = one.jobs.jobs["test-run"].output_path
        (tmp_path / "there").mkdir()
        metadata = run_in_process(load_recipe(make_books(tmp_path / "there").write()), output)
        fields = succeeded(metadata, output)
        await one.jobs.change("test-run", status=JobStatus.SUCCEEDED, **fields)
        yield one


@pytest.fixture
async def channel(api: Served) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(api.grpc) as one:
        yield one


@pytest.fixture
def evidence(channel: grpc.aio.Channel) -> Any:
    return evidence_pb2_grpc.EvidenceStub(channel)  # type: ignore[no-untyped-call]


@pytest.fixture
def recipes(channel: grpc.aio.Channel) -> Any:
    return evidence_pb2_grpc.RecipesStub(channel)  # type: ignore[no-untyped-call]


async def whole(call: Any) -> bytes:
    return b"".join([piece.data async for piece in call])


async def code_of(call: Any) -> str:
    """The code of the error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await (whole(call) if isinstance(call, grpc.aio.UnaryStreamCall) else call)
    return error_from_grpc(told.value).code


async def test_rows_files_and_metadata_are_those_of_http(api: Served, evidence: Any) -> None:
    metadata = json.loads(
        (await evidence.GetMetadata(pb.GetMetadataRequest(run_id="test-run"))).json
    )
    over_http = (await api.http.get("/api/jobs/test-run/metadata")).json()
    rows = {
        media: (
            await whole(
                evidence.GetRows(
                    pb.GetRowsRequest(run_id="test-run", set="matched", media_type=media, limit=2)
                )
            ),
            (
                await api.http.get(
                    "/api/jobs/test-run/evidence/matched?limit=2",
                    headers={"Accept": media or "application/json"},
                )
            ).content,
        )
        for media in ("", "text/csv", PARQUET)
    }
    files = [
        await whole(evidence.GetFile(pb.GetFileRequest(run_id="test-run", name=file["name"])))
        for file in metadata["files"]
    ]

    assert metadata == over_http
    assert [one for one, other in rows.values() if one != other] == []
    assert len(json.loads(rows[""][0])) == 2
    assert [len(data) for data in files] == [file["bytes"] for file in metadata["files"]]


async def test_the_fate_of_a_row_is_that_of_http(api: Served, evidence: Any) -> None:
    asked = {"key": "3", "side": "left"}

    told = await evidence.GetWhy(pb.GetWhyRequest(run_id="test-run", key=["3"], side="left"))
    over_http = await api.http.get("/api/jobs/test-run/why", params=asked)

    assert json.loads(told.json)["found"]
    assert json.loads(told.json) == over_http.json()


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("GetMetadata", pb.GetMetadataRequest(run_id="no-such"), "job_not_found"),
        ("GetRows", pb.GetRowsRequest(run_id="test-run", set="all"), "invalid_setting"),
        ("GetRows", pb.GetRowsRequest(run_id="test-run", set="suggested"), "evidence_gone"),
        (
            "GetRows",
            pb.GetRowsRequest(run_id="test-run", set="matched", media_type="image/png"),
            "invalid_setting",
        ),
        (
            "GetRows",
            pb.GetRowsRequest(run_id="test-run", set="matched", limit=1 << 60),
            "invalid_setting",
        ),
        ("GetFile", pb.GetFileRequest(run_id="test-run", name="../../etc/passwd"), "evidence_gone"),
        ("GetWhy", pb.GetWhyRequest(run_id="test-run"), "invalid_setting"),
        ("GetWhy", pb.GetWhyRequest(run_id="test-run", key=["1"], side="up"), "invalid_setting"),
    ],
)
async def test_what_cannot_be_is_told_as_the_error_that_it_is(
    evidence: Any, method: str, request_: Any, code: str
) -> None:
    assert await code_of(getattr(evidence, method)(request_)) == code


async def test_recipes_and_sources_are_looked_at_as_over_http(
    api: Served, recipes: Any, tmp_path: Path
) -> None:
    (tmp_path / "books").mkdir()
    good = absolute_recipe(make_books(tmp_path / "books"))
    wrong = {**good, "match_sql": "SELECT 1", "nobody": "knows"}
    source = {"uri": good["sources"]["left"]["uri"], "rows": 2}

    told = [json.loads((await recipes.ValidateRecipe(_recipe(one))).json) for one in (good, wrong)]
    over_http = [(await api.http.post("/api/validate", json=one)).json() for one in (good, wrong)]
    asked = pb.PreviewSourceRequest(request_json=json.dumps(source))
    preview = json.loads((await recipes.PreviewSource(asked)).json)

    assert told == over_http
    assert [one["valid"] for one in told] == [True, False]
    assert preview == (await api.http.post("/api/sources/preview", json=source)).json()
    for no_json in ("", "{", '{"uri": 1}'):
        broken = pb.PreviewSourceRequest(request_json=no_json)
        assert await code_of(recipes.PreviewSource(broken)) == "invalid_recipe"


async def test_a_reader_that_takes_nothing_is_let_go_with_all_that_it_held(
    api: Served, evidence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "STUCK_PATIENCE_S", 0.3)
    output = Path(api.jobs.jobs["test-run"].output_path)
    commit_evidence(output, "test-run", matched=400_000, left=0, right=0, overwrite=True)
    await api.jobs.change("test-run", status=JobStatus.SUCCEEDED)

    pieces = aiter(evidence.GetRows(pb.GetRowsRequest(run_id="test-run", set="matched")))
    first = await anext(pieces)
    async with asyncio.timeout(30):
        while _open_below(output):
            await asyncio.sleep(0.01)

    async with asyncio.timeout(30):
        with pytest.raises(grpc.aio.AioRpcError) as told:
            _ = [piece async for piece in pieces]

    assert first.data
    assert told.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def _open_below(folder: Path) -> list[Path]:
    links = (one.readlink() for one in Path("/proc/self/fd").iterdir() if one.is_symlink())
    return [link for link in links if link.is_relative_to(folder)]


async def test_a_token_is_good_for_what_its_roles_say(tmp_path: Path) -> None:
    async with (
        served(tmp_path, token=GUEST) as api,
        grpc.aio.insecure_channel(api.grpc) as channel,
    ):
        evidence: Any = evidence_pb2_grpc.EvidenceStub(channel)  # type: ignore[no-untyped-call]
        recipes: Any = evidence_pb2_grpc.RecipesStub(channel)  # type: ignore[no-untyped-call]

        async def refused(call: Any, request: Any, token: str) -> bool:
            try:
                await call(request, metadata=(("authorization", f"Bearer {token}"),))
            except grpc.RpcError as error:
                return bool(error.code() is grpc.StatusCode.PERMISSION_DENIED)
            return False

        found = {
            token: (
                await refused(evidence.GetMetadata, pb.GetMetadataRequest(run_id="r"), token),
                await refused(recipes.ValidateRecipe, _recipe({}), token),
            )
            for token in ("reads", "submits", "executes", "decides", GUEST)
        }

    assert found == {
        "reads": (False, True),
        "submits": (True, False),
        "executes": (True, True),
        "decides": (False, False),
        GUEST: (False, False),
    }


def _recipe(document: dict[str, Any]) -> pb.ValidateRecipeRequest:
    return pb.ValidateRecipeRequest(recipe_json=json.dumps(document))
