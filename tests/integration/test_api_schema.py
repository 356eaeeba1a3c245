import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kalla_core.engine.processes.children import Limits
from kalla_core.engine.processes.fork_pool import ForkPool
from kalla_core.inspection.ask import INSPECT
from tests.support.api import Served, served

CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
CALLS = 19
"""Operations of the description; a change here is a change of the API."""


def operations(url: str) -> Iterator[Any]:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for found in schema.get_all_operations():
        yield found.ok()


def attack(url: str, operation: Any, mode: GenerationMode, examples: int) -> int:
    """Send an operation what hypothesis thinks of; return how many requests that were."""
    sent = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def one(case: Any) -> None:
        nonlocal sent
        sent += 1
        answer = case.call(base_url=url, timeout=15)
        assert answer.status_code < 500 or answer.status_code in (503, 504), answer.text
        if answer.status_code >= 400 and answer.headers.get("Content-Type") == "application/json":
            assert set(answer.json()) in ({"error"}, {"ready", "reason"})
        case.validate_response(answer, checks=CHECKS)

    with suppress(Unsatisfiable):  # what takes no parameters cannot be sent anything wrong
        one()
    return sent


async def besiege(api: Served, examples: int) -> None:
    listed = await asyncio.to_thread(lambda: list(operations(api.url)))
    assert len(listed) == CALLS

    for operation in listed:
        if operation.path.endswith("/events"):
            continue  # has tests of its own: it ends with the job
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            sent = await asyncio.to_thread(attack, api.url, operation, mode, examples)
            assert sent > 0 or mode is GenerationMode.NEGATIVE
    assert (await api.http.get("/health")).status_code == 200


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    """A service with one job; what it looks at, it looks at in children that start quickly."""
    limits = Limits(400 << 20, timeout=timedelta(seconds=10))
    with ForkPool([INSPECT[-1]]) as fork_pool:
        fork_pool.open()
        async with served(tmp_path, inspection_limits=limits, start_child=fork_pool.start) as one:
            await one.submit("run-1")
            await one.jobs.succeed("run-1")
            yield one


async def test_whatever_the_description_allows_or_forbids_is_answered_as_it_says(
    api: Served,
) -> None:
    await besiege(api, examples=3)


@pytest.mark.full
async def test_a_long_siege_changes_nothing(api: Served) -> None:
    await besiege(api, examples=100)


RUBBISH = [
    b"HELO kalla\r\n\r\n",
    b"\x00" * 512,
    b"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    random.Random(7).randbytes(4096),
]


@pytest.mark.parametrize("number", range(len(RUBBISH)))
async def test_what_is_no_http_is_refused_and_forgotten(tmp_path: Path, number: int) -> None:
    async with served(tmp_path) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.ports.http)
        writer.write(RUBBISH[number])
        writer.write_eof()

        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()

        assert answer == b"" or answer.split(b" ")[1].startswith(b"4")
        assert (await api.http.get("/health")).status_code == 200
