"""Who may come in over HTTP, and from where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from mcp.server.mcpserver import MCPServer

from kalla_core.mcp.serve import Door, guarded
from kalla_core.settings.tokens import Role, Token

JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {},
               "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip


@asynccontextmanager
async def entered(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    server: MCPServer = MCPServer("kalla", subscriptions=False, log_level="ERROR")
    app = guarded(server, door)
    async with (
        server.session_manager.run(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:9", timeout=20
        ) as http,
    ):
        yield http


async def said(door: Door, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with entered(door) as http:
        answer = await http.post("/mcp", json=HELLO, headers={**JSON, **named})
    return answer.status_code


LOCAL = Door("127.0.0.1", 0)
ASKING = Door("10.0.0.5", 0, (Token("s3cret"),), ("kalla.example",))


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:9", 200), ("localhost:9", 200), ("evil.example", 421), ("10.0.0.5", 421)],
)
async def test_only_names_of_its_own_are_answered(host: str, status: int) -> None:
    assert await said(LOCAL, host=host) == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:9", 200), ("https://evil.example", 403), ("null", 403)],
)
async def test_pages_of_other_places_are_refused(origin: str, status: int) -> None:
    assert await said(LOCAL, origin=origin) == status


@pytest.mark.parametrize(
    ("sent", "status"),
    [("Bearer s3cret", 200), ("Bearer s3cre", 401), ("Basic s3cret", 401), ("", 401)],
)
async def test_other_machines_need_a_token(sent: str, status: int) -> None:
    assert await said(ASKING, host="kalla.example", authorization=sent) == status


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.ADMIN, 200), (Role.SUBMIT, 200), (Role.READ, 403), (Role.EXECUTOR, 403)],
)
async def test_a_token_that_may_not_submit_runs_nothing_through_tools(
    role: Role, status: int
) -> None:
    door = Door("10.0.0.5", 0, (Token("s3cret", frozenset({role})),))

    assert await said(door, host="10.0.0.5", authorization="Bearer s3cret") == status


async def test_a_request_of_many_megabytes_is_refused() -> None:
    async with entered(LOCAL) as http:
        answer = await http.post("/mcp", content=b" " * (3 << 20), headers=JSON)

    assert answer.status_code == 413
