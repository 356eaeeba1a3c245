"""A real Prometheus that scrapes a real cluster: every panel and rule gets an answer."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from benchmarks.generate import generate
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.support.apps import app_process
from tests.support.deployed import DEPLOY, document
from tests.support.real_cluster import Cluster, until

PATIENCE_S = 60.0
ONLY_AFTER_TROUBLE = {"kalla_fragment_retries_total", "kalla:job_failures:ratio_rate15m"}
ONLY_AFTER_TROUBLE |= {"kalla:app_failures:ratio_rate5m"}
"""Series that there are once something was done again, or ended in this time."""


@contextmanager
def prometheus(cluster: Cluster, app_url: str, folder: Path) -> Iterator[httpx.Client]:
    """Prometheus with the files of `deploy/`, looking at cluster and app every second."""
    shutil.copytree(DEPLOY / "prometheus", folder)
    config = document(folder / "prometheus.yaml")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    coordinator, executor, app = config["scrape_configs"]
    ports = [one["http_port"] for one in cluster.service.events("executor_started")]
    places = {
        coordinator["job_name"]: [cluster.url.removeprefix("http://")],
        executor["job_name"]: [f"127.0.0.1:{port}" for port in ports],
        app["job_name"]: [app_url.removeprefix("http://")],
    }
    config["scrape_configs"] = [
        {"job_name": name, "static_configs": [{"targets": targets}]}
        for name, targets in places.items()
    ]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    command = ["prometheus", "--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address={address}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=10) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def answer(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    """The series that a query gives now."""
    said = client.get("/api/v1/query", params={"query": query}).json()
    assert said["status"] == "success", (query, said)
    return list(said["data"]["result"])


def scraped(client: httpx.Client, targets: int) -> bool:
    try:
        up = answer(client, "min_over_time(up[5s]) == 1")
    except httpx.TransportError:  # it starts
        return False
    return len(up) == targets and bool(answer(client, "kalla_job_rows_count > 0"))


def test_every_panel_and_rule_gets_an_answer_from_a_prometheus_that_scrapes_a_cluster(
    cluster: Cluster, tmp_path: Path
) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "kalla.json").read_bytes())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [
        rule
        for group in document(DEPLOY / "prometheus" / "rules.yaml")["groups"]
        for rule in group["rules"]
    ]
    dataset = generate("one_to_one", 500, 7, tmp_path / "data", "parquet")

    with (
        app_process(tmp_path / "app", cluster.url) as app,
        prometheus(cluster, app.url, tmp_path / "prometheus") as client,
    ):
        recipe = load_recipe(dataset.recipe_path)
        cluster.run(recipe, tmp_path / "out")
        run = httpx.post(f"{app.url}/api/runs", json={"recipe": to_document(recipe)}, timeout=30)
        assert run.status_code == 202, run.text
        targets = 2 + len(cluster.service.events("executor_started"))
        assert until(lambda: scraped(client, targets), PATIENCE_S)
        asked = {*queries, *(rule["record"] for rule in rules if "record" in rule)}
        wanted = {one for one in asked if not any(name in one for name in ONLY_AFTER_TROUBLE)}

        until(lambda: all(answer(client, query) for query in wanted), PATIENCE_S)

        shown = {query: answer(client, query) for query in asked}
        alerts = {one["alert"]: answer(client, one["expr"]) for one in rules if "alert" in one}
        taken = client.get("/api/v1/rules").json()["data"]["groups"]

    assert all(shown[query] for query in wanted), [one for one in wanted if not shown[one]]
    assert shown['kalla_slots{job="kalla-coordinator"}'][0]["value"][1] == str(
        sum(one["slots"] for one in cluster.executors())
    )
    assert not any(alerts.values()), alerts
    assert {rule["health"] for group in taken for rule in group["rules"]} == {"ok"}
