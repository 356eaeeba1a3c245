"""Who may see what an executor counts."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.executors import coordinating, executing


async def test_its_metrics_are_for_those_with_a_token_of_its_file(tmp_path: Path) -> None:
    own = "its-own"
    (tmp_path / "tokens").write_text(f"executor {own}\nread prometheus\n")
    paths = ("/health", "/ready", "/metrics")
    tokens = {"KALLA_TOKEN_FILE": str(tmp_path / "tokens")}
    async with (
        coordinating(token=own) as coordinator,
        executing(coordinator.port, tmp_path / "spool", tokens) as executor,
    ):
        await coordinator.line()
        url = f"http://127.0.0.1:{await executor.port('http_port')}"
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            without = {path: await http.get(path) for path in paths}
            told = {
                token: await http.get("/metrics", headers={"Authorization": f"Bearer {token}"})
                for token in ("wrong", "prometheus", "its-own")
            }

    assert {path: answer.status_code for path, answer in without.items()} == {
        "/health": 200,
        "/ready": 200,
        "/metrics": 401,
    }
    assert without["/metrics"].headers["www-authenticate"] == 'Bearer realm="kalla"'
    assert without["/metrics"].json()["error"]["code"] == "unauthenticated"
    assert {token: answer.status_code for token, answer in told.items()} == {
        "wrong": 401,
        "prometheus": 200,
        "its-own": 200,
    }
