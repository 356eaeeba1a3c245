"""The services of the compose files as plain processes: what the files say has run.

Names become this machine's own address, mounted folders become folders of the test, ports become
free ones; commands, variables, secrets and the health check are those of the files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from kalla_core.cli.embedded_postgres import EmbeddedServer
from tests.support.certificates import make_certificates
from tests.support.coordinators import coordinator_process
from tests.support.deployed import DEPLOY, Started, started
from tests.support.postgres import Database, fresh_server
from tests.support.real_cluster import Service, until
from tests.support.s3 import s3_server
from tests.support.wires import Wire, free_port, wire

ROWS = 500
EXECUTORS = 2
APPS = 2
BUCKETS = ("kalla-data", "kalla-results", "kalla-uploads")
PATIENCE_S = 120.0


def as_process(service: Started, folder: Path, given: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a container, for a process on this machine."""
    folder.mkdir()
    here = {"http://minio:9000": s3_server().endpoint, "/run/secrets": str(given["secrets"])}
    here |= {"postgres:5432/kalla": given["database"], "/data": str(folder)}
    here |= {"0.0.0.0": "127.0.0.1"}  # noqa: S104 - what it stands for
    found = {}
    for name, value in service.environment.items():
        for there, mine in here.items():
            value = value.replace(there, mine)
        found[name] = value
    return {**found, "PATH": "/usr/bin:/bin", "AWS_REGION": "eu-central-1", **given["more"]}


def csv_of(keys: Iterable[int]) -> bytes:
    return b"id,amount\n" + b"".join(b"%d,%d.50\n" % (key, key) for key in keys)


def put(bucket: str, name: str, keys: range) -> None:
    s3_server().bucket(bucket).put(name, csv_of(keys))


def healthy(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(DEPLOY / "healthy.py")]
    return subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=30, check=False
    )


@dataclass
class Topology:
    """The services of the compose files, as they run here.

    Attributes:
        http: the port of each that answers /health.
        apps: a client of each app, that has no token.
        callbacks: what the coordinator calls the app by; leads to the first at first.
    """

    secrets: Path
    coordinator: Service
    executors: list[Service]
    apps: list[httpx.Client]
    http: list[int]
    callbacks: Wire

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("topology")
    (folder / "make-secrets").write_bytes((DEPLOY / "compose" / "make-secrets").read_bytes())
    subprocess.run(["bash", folder / "make-secrets"], check=True, timeout=20)
    secrets = folder / "secrets"
    of = {one.place: one for one in started()}
    client = s3_server().bucket("kalla-data").client
    for bucket in BUCKETS:
        client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
    put("kalla-data", "left.csv", range(ROWS))
    put("kalla-data", "right.csv", range(10, ROWS + 10))

    with ExitStack() as stack:
        server = stack.enter_context(fresh_server(tcp=True))
        demand_password(server, (secrets / "postgres_password").read_text().strip())
        base = {"secrets": str(secrets), "database": f"127.0.0.1:{server.port}/postgres"}

        def start(name: str, number: int, **more: str) -> Service:
            service = of[f"compose {name}"]
            mine = as_process(service, folder / f"{name}{number}", {**base, "more": more})
            return stack.enter_context(Service.started(*service.command[1:], environment=mine))

        coordinator = start(
            "coordinator", 0, HTTP_PORT="0", GRPC_PORT="0", RESULTS_PORT="0", **memory("2GiB")
        )
        ready = coordinator.event("coordinator_ready")
        at = {"COORDINATOR_HOST": "127.0.0.1", "COORDINATOR_PORT": str(ready["grpc_port"])}
        at |= {"BIND_PORT": "0", "BIND_GRPC_PORT": "0", "EXECUTOR_HTTP_PORT": "0"}
        executors = [start("executor", n, **at, **memory("1GiB")) for n in range(EXECUTORS)]
        callbacks = stack.enter_context(wire(("127.0.0.1", 1)))
        url = f"http://127.0.0.1:{ready['http_port']}"
        told = f"http://127.0.0.1:{callbacks.port}"
        to_coordinator = {"WORKER_URL": url, "KALLA_APP_CALLBACK_URL": told}
        app_ports = [free_port() for _ in range(APPS)]  # its log tells the public address
        apps = [
            start("app", n, KALLA_APP_PORT=str(port), **to_coordinator)
            for n, port in enumerate(app_ports)
        ]
        for one in apps:
            one.event("app_ready")
        callbacks.target = ("127.0.0.1", app_ports[0])
        http = [
            ready["http_port"],
            *(one.event("executor_started")["http_port"] for one in executors),
            *app_ports,
        ]
        clients = [
            stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
            for port in app_ports
        ]
        yield Topology(secrets, coordinator, executors, clients, http, callbacks)


def demand_password(server: EmbeddedServer, password: str) -> None:
    """Let nobody in over TCP who does not know it, as the image of Postgres does."""
    Database(server, "postgres").run(f"ALTER USER kalla PASSWORD '{password}'")
    rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (server.data / "pg_hba.conf").write_text(rules)
    Database(server, "postgres").run("SELECT pg_reload_conf()")


def memory(limit: str) -> dict[str, str]:
    return {"KALLA_MEMORY_LIMIT": limit}


def test_the_cluster_of_the_compose_files_does_a_job_and_is_scraped(topology: Topology) -> None:
    headers = {"Authorization": f"Bearer {topology.secret('token')}"}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{topology.http[0]}", headers=headers, timeout=60
    ) as api:
        until(lambda: len(api.get("/api/executors").json()["executors"]) == EXECUTORS, PATIENCE_S)

        run_id = str(uuid.uuid4())
        accepted = api.post("/api/jobs", json=job(run_id))
        assert accepted.status_code == 202, accepted.text
        ended = until(lambda: over(api, run_id), PATIENCE_S)

    assert ended is not None
    assert ended["status"] == "succeeded", ended
    assert ended["engine"] == "cluster"
    counts = ended["counts"]
    assert (counts["matched_count"], counts["unmatched_left_count"]) == (ROWS - 10, 10)
    written = s3_server().bucket("kalla-results").keys()
    assert "run/metadata.json" in written
    read = {"Authorization": f"Bearer {topology.secret('read_token')}"}
    for port in topology.http:
        scraped = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=read, timeout=60)
        assert scraped.status_code == 200
        assert "kalla_slots" in scraped.text or "kalla_app_runs" in scraped.text
        assert healthy(at_port(port)).returncode == 0


def at_port(port: int) -> dict[str, str]:
    return dict.fromkeys(("HTTP_PORT", "EXECUTOR_HTTP_PORT", "KALLA_APP_PORT"), str(port))


def test_a_service_that_is_gone_is_not_healthy_and_which_one_is_told() -> None:
    port = free_port()

    gone = healthy(at_port(port))

    assert gone.returncode == 1
    assert f"port {port}" in gone.stderr


def test_two_apps_share_sessions_uploads_and_runs_and_either_is_told_how_a_run_goes(
    topology: Topology,
) -> None:
    one, two = topology.apps
    admin = {"Authorization": f"Bearer {topology.secret('app_token')}"}
    entered = one.post("/login", data={"token": topology.secret("app_token")})
    two.cookies.update(entered.cookies)

    # What the first has signed for is put to the second, and looked into by the first.
    uris = {}
    for name, keys in (("left", range(ROWS)), ("right", range(10, ROWS + 10))):
        asked = one.post("/api/uploads/presign", json={"filename": f"{name}.csv"}, headers=admin)
        signed = urlsplit(asked.json()["presigned_url"])
        taken = two.put(f"{signed.path}?{signed.query}", content=csv_of(keys))
        assert taken.status_code == 200, taken.text
        confirm = f"/api/uploads/{asked.json()['upload_id']}/confirm"
        seen = one.post(confirm, headers=admin).json()
        assert seen["row_count"] == ROWS, seen
        uris[name] = seen["s3_uri"]
    runs = []
    for app, told in ((one, topology.http[-1]), (two, topology.http[-2])):
        topology.callbacks.target = ("127.0.0.1", told)  # always the other
        topology.callbacks.snap()
        begun = app.post("/api/runs", json={"recipe": recipe(uris)}, headers=admin)
        assert begun.status_code == 202, begun.text
        run_id = begun.json()["run_id"]
        other = two if app is one else one
        with other.stream("GET", f"/api/runs/{run_id}/events", headers=admin) as events:
            last = [line for line in events.iter_lines() if line.startswith("data: ")][-1]
        runs.append(json.loads(last[6:]))

    assert (entered.status_code, two.get("/").status_code) == (303, 200)
    assert all(uri.startswith("s3://kalla-uploads/") for uri in uris.values())
    for run in runs:
        assert run["status"] == "succeeded", run
        written = s3_server().bucket("kalla-results").keys()
        assert f"app/{run['run_id']}/metadata.json" in written
        for app in (one, two):
            rows = app.get(f"/api/runs/{run['run_id']}/rows/unmatched_left", headers=admin).json()
            assert rows["total"] == 10, rows
    for app in (one, two):
        assert until(lambda: told_of(app, admin, "taken"), PATIENCE_S)  # noqa: B023
        assert not told_of(app, admin, "forged")


def told_of(app: httpx.Client, headers: Mapping[str, str], outcome: str) -> bool:
    """Whether callbacks with an outcome have come to an app."""
    metrics = app.get("/metrics", headers=dict(headers)).text
    return f'kalla_app_callbacks_total{{outcome="{outcome}"}}' in metrics


@pytest.mark.parametrize(("shown", "well"), [("mine", 0), ("another", 1)])
def test_a_service_that_speaks_tls_is_healthy_if_it_shows_its_own_certificate(
    tmp_path: Path, shown: str, well: int
) -> None:
    made = {name: make_certificates(tmp_path / name) for name in ("mine", "another")}
    served = made[shown]
    flags = [f"--tls-cert={served.certificate}", f"--tls-key={served.key}"]

    with coordinator_process(tmp_path / "staging", *flags) as coordinator:
        found = healthy(
            {
                "HTTP_PORT": str(coordinator.http),
                "EXECUTOR_HTTP_PORT": str(coordinator.http),
                "KALLA_TLS_CERT_FILE": str(made["mine"].certificate),
            }
        )

    assert found.returncode == well, found.stderr


def job(run_id: str) -> dict[str, object]:
    sql = (
        "SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.id = r.id AND l.amount = r.amount"
    )
    return {
        "run_id": run_id,
        "match_sql": sql,
        "sources": [
            {"alias": "left_src", "uri": "s3://kalla-data/left.csv"},
            {"alias": "right_src", "uri": "s3://kalla-data/right.csv"},
        ],
        "primary_keys": {"left_src": ["id"], "right_src": ["id"]},
        "output_path": "s3://kalla-results/run",
        "options": {"engine": "cluster"},
    }


def recipe(uris: Mapping[str, str]) -> dict[str, object]:
    sides = {
        side: {"alias": alias, "type": "file", "uri": uris[side], "primary_key": ["id"]}
        for side, alias in (("left", "l"), ("right", "r"))
    }
    sql = "SELECT l.id FROM l JOIN r ON l.id = r.id AND l.amount = r.amount"
    return {"recipe_id": "uploaded", "name": "Uploaded", "match_sql": sql, "sources": sides}


def over(api: httpx.Client, run_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] = api.get(f"/api/jobs/{run_id}").json()
    return found if found["status"] in ("succeeded", "failed", "cancelled") else None
