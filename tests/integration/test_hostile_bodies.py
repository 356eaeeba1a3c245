"""Bodies that are made to be much work: each is refused, and none keeps the event loop."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalla_core.serving.bodies import MAX_BODY_BYTES
from tests.support.api import Served, served
from tests.support.machine import slowness, tries
from tests.support.recipe_documents import changed

MOST_LOOP_S = 0.005
"""Of the loop's processor, on the machine where `tests.support.machine` was set."""
MOST_ANSWER_BYTES = 600_000


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


@dataclass
class Longest:
    """The most that the loop's thread computed between two turns of a task of its own."""

    cpu_s: float = 0.0


@asynccontextmanager
async def loop_watched() -> AsyncIterator[Longest]:
    longest = Longest()

    async def watch() -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest.cpu_s, before = max(longest.cpu_s, now - before), now

    gc.collect()
    gc.disable()  # looking through what other tests have left is no work of a request
    task = asyncio.create_task(watch())
    try:
        yield longest
    finally:
        task.cancel()
        gc.enable()


def _recipe(**changes: Any) -> dict[str, Any]:
    return {**changed(), **changes}


def _left(**changes: Any) -> dict[str, Any]:
    recipe = changed()
    recipe["sources"]["left"] |= changes
    return recipe


def _hostile(size: int) -> Mapping[str, bytes]:
    """Return bodies of about `size` bytes at most."""
    long, few = "a" * size, size // 100
    documents: dict[str, Any] = {
        "uri": _left(uri=long),
        "masked": _left(uri="postgres://u:" + "a:@" * (size // 3)),
        "alias": _left(alias=long),
        "names": _recipe(**{f"recipe_ids{i}": 1 for i in range(few)}),
        "more names": _recipe(**{f"n{i}": 1 for i in range(size // 15)}),
        "one name": _recipe(**{"r" * size: 1}),
        "sql": _recipe(match_sql="SELECT " + "(" * size, options={"engine": "?"}),
        "filters": _left(filters=[1] * (size // 3)),
        "columns": _left(schema=[1] * (size // 3)),
        "keys": _left(primary_key=[""] * (size // 5)),
        "extras": _recipe(extras=[{}] * (size // 5)),
        "types": _left(types={f"c{i}": "decima" for i in range(few)}),
        "choice": _recipe(options={"engine": long}),
        "prose": _recipe(description=long, options={"engine": "?"}),
    }
    texts = {name: json.dumps(document).encode() for name, document in documents.items()}
    return {
        **texts,
        "depth": b"[" * size,
        "numbers": b"[" + b"1," * (size // 2) + b"1]",
        "digits": b"9" * size,
        "twice": b"{" + b'"a":1,' * few + b'"a":1}',
    }


HOSTILE = _hostile(900_000)
SMALL = {f"small {name}": body for name, body in _hostile(14_000).items()}
BODIES = {**HOSTILE, **SMALL}


@pytest.mark.parametrize("path", ["/api/jobs", "/api/validate"])
@pytest.mark.parametrize("name", BODIES)
async def test_no_body_keeps_the_loop_or_has_a_long_answer(
    api: Served, name: str, path: str
) -> None:
    body = BODIES[name]
    if path == "/api/jobs" and body.startswith(b'{"'):
        body = b'{"run_id":"' + b"r" * 100 + b'","recipe":' + body + b"}"
    assert len(body) <= MAX_BODY_BYTES
    await api.http.post(path, content=b"{}")  # what is imported at the first request is loaded

    least_s = math.inf
    for _ in tries():  # a busy machine makes work longer, never shorter
        async with loop_watched() as longest:  # and the client works elsewhere
            answer = await asyncio.to_thread(
                httpx.post, f"{api.url}{path}", content=body, timeout=60
            )
        least_s = min(least_s, longest.cpu_s / slowness())
        if least_s < MOST_LOOP_S:
            break

    refused = answer.status_code in (400, 413, 422) or answer.json()["valid"] is False
    assert refused, answer.text[:500]
    assert len(answer.content) < MOST_ANSWER_BYTES
    assert least_s < MOST_LOOP_S


async def test_a_text_that_is_too_long_is_refused_with_its_length(api: Served) -> None:
    answer = await api.http.post("/api/validate", content=HOSTILE["uri"])

    told = [fault["message"] for fault in answer.json()["faults"]]
    assert told[0] == "Takes 8192 characters at most, not 900000."
