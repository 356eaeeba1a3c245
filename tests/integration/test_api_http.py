import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from kalla_core.errors import StoreUnavailable
from kalla_core.jobs.document import job_of
from kalla_core.jobs.model import JobStatus
from tests.support.api import Served, absolute_recipe, eventually, parts, served
from tests.support.books import make_books
from tests.support.machine import stretched

GUEST = "a-good-token"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


def error_of(answer: httpx.Response) -> dict[str, object]:
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert isinstance(body["error"]["details"], list)
    return dict(body["error"])


async def test_a_job_is_accepted_and_the_same_request_has_the_same_answer(api: Served) -> None:
    answers = [await api.http.post("/api/jobs", json=parts("run-1")) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert {answer.text for answer in answers} == {'{"run_id":"run-1","status":"accepted"}'}


async def test_a_run_id_belongs_to_one_request(api: Served) -> None:
    await api.submit("run-1")

    answer = await api.http.post("/api/jobs", json=parts("run-1", output_path="/elsewhere"))

    assert answer.status_code == 409
    assert error_of(answer)["code"] == "job_conflict"


async def test_a_whole_recipe_is_taken_as_well(api: Served, tmp_path: Path) -> None:
    recipe = absolute_recipe(make_books(tmp_path))

    answer = await api.http.post("/api/jobs", json={"run_id": "run-1", "recipe": recipe})

    assert answer.status_code == 202
    assert api.jobs.requests["run-1"].recipe.recipe_id == "books"


async def test_a_job_is_shown_as_it_is(api: Served) -> None:
    await api.submit("run-1")
    running = await api.jobs.begin("run-1")

    shown = (await api.http.get("/api/jobs/run-1")).json()

    assert job_of(shown) == running
    assert shown["progress"] == 0.3
    assert shown["counts"]["matched_count"] == 2
    assert shown["accepted_at"] == "2026-03-31T12:00:00Z"


@pytest.mark.parametrize(
    ("body", "status", "code", "path"),
    [
        (b"{", 400, "invalid_json", "(document)"),
        (b"\xff\xfe", 400, "invalid_json", "(document)"),
        (b"[1]", 422, "wrong_type", "(document)"),
        (json.dumps(parts("run-1", surprise=1)).encode(), 422, "unknown_field", "surprise"),
        (json.dumps(parts("../etc")).encode(), 422, "invalid_run_id", "run_id"),
        (b'{"run_id": "a", "run_id": "b"}', 422, "duplicate_field", "run_id"),
        (b"", 400, "invalid_json", "(document)"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said_with_its_place(
    api: Served, body: bytes, status: int, code: str, path: str
) -> None:
    answer = await api.http.post("/api/jobs", content=body)

    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (status, "invalid_recipe")
    assert (code, path) in [(one["code"], one["path"]) for one in error["details"]]  # type: ignore[index,attr-defined]


async def test_a_body_without_end_is_refused_before_it_is_read(api: Served) -> None:
    declared = await api.http.post("/api/jobs", content=b"x" * (1 << 20) + b"x")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * (1 << 16)

    streamed = await api.http.post("/api/jobs", content=endless())

    assert [one.status_code for one in (declared, streamed)] == [413, 413]
    assert error_of(streamed)["code"] == "too_large"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/jobs/", 404, "not_found"),
        ("DELETE", "/api/jobs", 405, "method_not_allowed"),
        ("GET", "/api/jobs/unknown", 404, "job_not_found"),
        ("GET", "/api/jobs/..%2Fx", 404, "not_found"),
        ("GET", "/api/jobs/unknown/events", 404, "job_not_found"),
        ("POST", "/api/jobs/unknown/cancel", 404, "job_not_found"),
        ("GET", "/api/jobs/unknown/evidence/matched", 404, "job_not_found"),
        ("GET", "/api/jobs/unknown/evidence/other", 422, "invalid_request"),
        ("GET", "/api/jobs?limit=0", 422, "invalid_request"),
        ("GET", "/api/jobs?status=lost", 422, "invalid_request"),
        ("GET", "/api/jobs?cursor=x", 422, "invalid_setting"),
    ],
)
async def test_every_error_has_the_same_form(
    api: Served, method: str, path: str, status: int, code: str
) -> None:
    answer = await api.http.request(method, path)

    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


async def test_a_wrong_parameter_is_named(api: Served) -> None:
    answer = await api.http.get("/api/jobs?limit=many")

    details = error_of(answer)["details"]
    assert [one["path"] for one in details] == ["query.limit"]  # type: ignore[index,attr-defined]


async def test_a_full_queue_says_when_to_come_back(api: Served) -> None:
    api.jobs.queue_limit = 1
    await api.submit("run-1")

    full = await api.http.post("/api/jobs", json=parts("run-2"))
    again = await api.http.post("/api/jobs", json=parts("run-1"))

    assert (full.status_code, full.headers["retry-after"]) == (429, "7")
    assert error_of(full)["details"] == [{"retry_after_s": 7}]
    assert again.status_code == 202


async def test_a_store_that_does_not_answer_is_told_and_not_ready(api: Served) -> None:
    api.jobs.broken = StoreUnavailable("The store postgres://u:secret@db/x does not answer.")

    answer = await api.http.get("/api/jobs")
    ready = await api.http.get("/ready")
    health = await api.http.get("/health")

    assert (answer.status_code, error_of(answer)["code"]) == (503, "store_unavailable")
    assert "secret" not in answer.text
    assert "retry-after" in answer.headers
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert health.status_code == 200


async def test_what_nobody_foresaw_is_an_error_without_a_traceback(api: Served) -> None:
    api.jobs.broken = ZeroDivisionError("secret")

    answer = await api.http.get("/api/jobs")

    assert (answer.status_code, error_of(answer)["code"]) == (500, "internal")
    assert "secret" not in answer.text


async def test_pages_stay_as_they_were_while_jobs_arrive(api: Served) -> None:
    for number in range(7):
        await api.submit(f"run-{number}")

    seen: list[str] = []
    cursor: str | None = None
    for page in range(4):
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        body = (await api.http.get("/api/jobs", params=query)).json()
        seen += [job["run_id"] for job in body["jobs"]]
        cursor = body["cursor"]
        await api.submit(f"late-{page}")

    assert seen == [f"run-{number}" for number in reversed(range(7))]
    assert cursor is None


async def test_jobs_are_listed_by_status(api: Served) -> None:
    for name in ("a", "b"):
        await api.submit(name)
    await api.jobs.begin("b")

    body = (await api.http.get("/api/jobs", params={"status": "running"})).json()

    assert [job["run_id"] for job in body["jobs"]] == ["b"]


async def test_a_job_is_cancelled_once(api: Served) -> None:
    await api.submit("run-1")

    first = await api.http.post("/api/jobs/run-1/cancel")
    second = await api.http.post("/api/jobs/run-1/cancel")

    assert (first.status_code, first.json()["status"]) == (202, "cancelled")
    assert (second.status_code, error_of(second)["code"]) == (409, "job_ended")


async def events_of(answer: httpx.Response) -> AsyncIterator[dict[str, object]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_events_tell_each_change_and_end_with_the_final_state(api: Served) -> None:
    await api.submit("run-1")

    statuses = []
    async with api.http.stream("GET", "/api/jobs/run-1/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for event in events_of(answer):
            statuses.append(event["status"])
            if event["status"] == "queued":
                await api.jobs.begin("run-1")
            elif event["status"] == "running":
                await api.jobs.succeed("run-1")

    assert statuses == ["queued", "running", "succeeded"]
    assert api.jobs.watchers == 0


async def test_a_silent_stream_shows_that_it_lives(tmp_path: Path) -> None:
    async with served(tmp_path, heartbeat_s=0.05) as api:
        await api.submit("run-1")

        async with api.http.stream("GET", "/api/jobs/run-1/events") as answer:
            lines = answer.aiter_lines()
            comments = 0
            while comments < 2:
                comments += (await anext(lines)).startswith(":")

        await eventually(lambda: api.jobs.watchers == 0)


async def test_a_client_that_goes_away_leaves_no_watch(api: Served) -> None:
    await api.submit("run-1")

    async with api.http.stream("GET", "/api/jobs/run-1/events") as answer:
        await anext(events_of(answer))
        assert api.jobs.watchers == 1

    await eventually(lambda: api.jobs.watchers == 0)


async def test_streams_end_when_the_service_does(tmp_path: Path) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        async with served(tmp_path) as api:
            await api.submit("run-1")
            request = client.build_request("GET", f"{api.url}/api/jobs/run-1/events")
            answer = await client.send(request, stream=True)
            events = events_of(answer)
            await anext(events)
            started = asyncio.get_running_loop().time()
        took = asyncio.get_running_loop().time() - started

        rest = [event async for event in events]
        await answer.aclose()

    assert rest == []
    assert took < stretched(5)


async def test_executors_and_metrics_are_shown(api: Served) -> None:
    executors = await api.http.get("/api/executors")
    metrics = await api.http.get("/metrics")

    assert executors.json() == {"executors": []}
    assert metrics.headers["content-type"].startswith("text/plain")


async def test_the_page_of_the_api_needs_nothing_from_elsewhere(api: Served) -> None:
    page = (await api.http.get("/docs")).text

    for path in (await api.http.get("/openapi.json")).json()["paths"]:
        assert path in page
    assert "://" not in page.replace("http://app.example", "").replace("postgres://", "").replace(
        "^https?://", ""
    )


async def test_every_call_has_a_name_that_programs_made_from_the_description_keep(
    api: Served,
) -> None:
    paths = (await api.http.get("/openapi.json")).json()["paths"]
    calls = {
        f"{method.upper()} {path}": one["operationId"]
        for path, methods in paths.items()
        for method, one in methods.items()
    }

    assert len(set(calls.values())) == len(calls)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name) for name in calls.values()), calls
    kept = {  # what was published keeps its name
        "POST /api/jobs": "submitJob",
        "GET /api/jobs": "listJobs",
        "GET /api/jobs/{run_id}": "getJob",
        "GET /api/jobs/{run_id}/events": "watchJob",
        "POST /api/jobs/{run_id}/cancel": "cancelJob",
        "GET /api/jobs/{run_id}/evidence/{set}": "getRows",
        "GET /api/jobs/{run_id}/metadata": "getMetadata",
        "GET /api/jobs/{run_id}/files/{name}": "getFile",
        "POST /api/validate": "validateRecipe",
        "POST /api/explain": "explainRecipe",
        "POST /api/sources/preview": "previewSource",
        "GET /api/executors": "listExecutors",
        "GET /health": "getHealth",
        "GET /ready": "getReadiness",
        "GET /metrics": "getMetrics",
    }
    assert kept.items() <= calls.items()


async def test_every_call_can_be_tried_out_on_the_page_and_nothing_else_be_reached(
    api: Served,
) -> None:
    answer = await api.http.get("/docs")
    paths = (await api.http.get("/openapi.json")).json()["paths"]

    calls = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    for method, path in calls:
        assert f'<form data-method="{method}" data-path="{path}">' in answer.text
    script = answer.text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert "connect-src 'self'" in policy


@pytest.mark.parametrize("path", ["/api/jobs", "/metrics", "/nowhere", "/api/executors"])
async def test_without_its_token_nobody_comes_in(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, token=GUEST) as api:
        sent = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": GUEST}]
        refused = [await api.http.get(path, headers=headers) for headers in sent]
        let_in = await api.http.get(path, headers={"Authorization": f"Bearer {GUEST}"})
        health = await api.http.get("/health")

    assert [answer.status_code for answer in refused] == [401, 401, 401]
    assert {str(error_of(answer)["code"]) for answer in refused} == {"unauthenticated"}
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in refused)
    assert let_in.status_code != 401
    assert health.status_code == 200


@pytest.mark.parametrize(
    ("token", "may"),
    [
        ("reads", {"GET /api/jobs", "GET /metrics"}),
        ("submits", {"POST /api/jobs", "POST /api/validate", "POST /api/jobs/r/cancel"}),
        ("executes", set[str]()),
    ],
)
async def test_a_token_is_good_for_what_its_roles_say(
    tmp_path: Path, token: str, may: set[str]
) -> None:
    calls = ["GET /api/jobs", "GET /metrics", "POST /api/jobs", "POST /api/validate"]
    calls.append("POST /api/jobs/r/cancel")
    async with served(tmp_path, token=GUEST) as api:
        allowed = set()
        for call in calls:
            method, path = call.split()
            headers = {"Authorization": f"Bearer {token}"}
            answer = await api.http.request(method, path, headers=headers, content=b"{}")
            if answer.status_code != 403:
                allowed.add(call)
            else:
                assert error_of(answer)["code"] == "not_allowed"
                assert token not in answer.text
            headers["Authorization"] = "Bearer decides"
            everything = await api.http.request(method, path, headers=headers, content=b"{}")
            assert everything.status_code not in (401, 403)

    assert allowed == may


async def test_final_states_are_final_for_late_watchers_too(api: Served) -> None:
    await api.submit("run-1")
    await api.jobs.succeed("run-1")

    async with api.http.stream("GET", "/api/jobs/run-1/events") as answer:
        events = [event async for event in events_of(answer)]

    assert [event["status"] for event in events] == [JobStatus.SUCCEEDED]
