"""The three servers on free ports over jobs in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from kalla_coordinator.api.serve import Ports, serving
from kalla_core.settings import CoordinatorSettings
from tests.support.books import MATCH_SQL, Books
from tests.support.job_service import MemoryJobs

PATIENCE_S = 60.0


@dataclass
class Served:
    """Jobs that are served, and how to reach them."""

    jobs: MemoryJobs
    ports: Ports
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.ports.grpc}"

    @property
    def flight(self) -> str:
        return f"grpc+tcp://127.0.0.1:{self.ports.results}"

    async def submit(self, run_id: str) -> None:
        """Submit a job that is as good as any."""
        answer = await self.http.post("/api/jobs", json=parts(run_id))
        assert answer.status_code == 202, answer.text


@asynccontextmanager
async def served(
    folder: Path,
    token: str | None = None,
    jobs: MemoryJobs | None = None,
    http_port: int = 0,
    given: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,
) -> AsyncIterator[Served]:
    """Serve jobs whose evidence lies in a folder; those given, or none yet."""
    settings: dict[str, Any] = {
        "http_port": http_port,
        "grpc_port": 0,
        "results_port": 0,
        "slots": 2,
        **given,
    }
    if token is not None:
        roles = "read reads\nsubmit submits\nexecutor executes\nadmin decides\n"
        (folder / "tokens").write_text(f"# for tests\nanother-token\n{token}\n{roles}")
        settings["token_file"] = folder / "tokens"
    jobs = jobs or MemoryJobs(folder / "evidence")
    options = {"registry": CollectorRegistry(), "grace_s": 2.0, **more}
    async with (
        serving(jobs, CoordinatorSettings(**settings), **options) as ports,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports.http}", timeout=PATIENCE_S) as client,
    ):
        yield Served(jobs, ports, client)


def parts(run_id: str, **more: Any) -> dict[str, Any]:
    """A request for a job in parts."""
    return {
        "run_id": run_id,
        "match_sql": MATCH_SQL,
        "sources": [
            {"alias": "invoices", "uri": "/data/invoices.csv", "filters": []},
            {"alias": "payments", "uri": "/data/payments.csv"},
        ],
        "primary_keys": {"invoices": ["invoice_id"], "payments": ["payment_id"]},
        **more,
    }


def absolute_recipe(books: Books) -> dict[str, Any]:
    """The recipe of books, its files named from the root."""
    sides = {
        side: {**source, "uri": str(books.folder / source["uri"])}
        for side, source in books.recipe["sources"].items()
    }
    return {**books.recipe, "sources": sides}


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.01)
