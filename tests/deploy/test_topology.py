"""The services of the compose files as plain processes: what the files say has run.

Names become this machine's own address, mounted folders become folders of the test, ports become
free ones; commands, variables, secrets and the health check are those of the files.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pytest

from tests.support.certificates import make_certificates
from tests.support.coordinators import coordinator_process
from tests.support.deployed import DEPLOY, Started, started
from tests.support.postgres import fresh_server
from tests.support.real_cluster import Service, until
from tests.support.s3 import s3_server

ROWS = 500
EXECUTORS = 2
PATIENCE_S = 120.0


def as_process(service: Started, folder: Path, given: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a container, for a process on this machine."""
    folder.mkdir()
    here = {"http://minio:9000": s3_server().endpoint, "/run/secrets": str(given["secrets"])}
    here |= {"postgresql://kalla@postgres:5432/kalla": given["database"], "/data": str(folder)}
    here |= {"0.0.0.0": "127.0.0.1"}  # noqa: S104 - what it stands for
    found = {}
    for name, value in service.environment.items():
        for there, mine in here.items():
            value = value.replace(there, mine)
        found[name] = value
    return {**found, "PATH": "/usr/bin:/bin", "AWS_REGION": "eu-central-1", **given["more"]}


def put(bucket: str, name: str, keys: range) -> None:
    table = pa.table({"id": list(keys), "amount": [f"{key}.50" for key in keys]})
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink)
    s3_server().bucket(bucket).put(name, sink.getvalue().to_pybytes())


def healthy(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(DEPLOY / "healthy.py")]
    return subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=30, check=False
    )


def test_the_cluster_of_the_compose_files_does_a_job_and_is_scraped(tmp_path: Path) -> None:
    (tmp_path / "make-secrets").write_bytes((DEPLOY / "compose" / "make-secrets").read_bytes())
    subprocess.run(["bash", tmp_path / "make-secrets"], check=True, timeout=20)
    secrets = tmp_path / "secrets"
    of = {one.place: one for one in started()}
    client = s3_server().bucket("kalla-data").client
    for bucket in ("kalla-data", "kalla-results"):
        client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
    put("kalla-data", "left.csv", range(ROWS))
    put("kalla-data", "right.csv", range(10, ROWS + 10))

    with ExitStack() as stack:
        server = stack.enter_context(fresh_server(tcp=True))
        base = {"secrets": str(secrets), "database": server.uri("postgres")}
        ports = {"HTTP_PORT": "0", "GRPC_PORT": "0", "RESULTS_PORT": "0"}
        environment = as_process(
            of["compose coordinator"], tmp_path / "coordinator", {**base, "more": ports}
        )
        environment["KALLA_MEMORY_LIMIT"] = "2GiB"
        coordinator = stack.enter_context(Service.started("coordinator", environment=environment))
        ready = coordinator.event("coordinator_ready")
        executors = []
        for number in range(EXECUTORS):
            ports = {"COORDINATOR_HOST": "127.0.0.1", "COORDINATOR_PORT": str(ready["grpc_port"])}
            ports |= {"BIND_PORT": "0", "BIND_GRPC_PORT": "0", "EXECUTOR_HTTP_PORT": "0"}
            mine = as_process(
                of["compose executor"], tmp_path / f"executor{number}", {**base, "more": ports}
            )
            mine["KALLA_MEMORY_LIMIT"] = "1GiB"
            executors.append(stack.enter_context(Service.started("executor", environment=mine)))
        api = httpx.Client(
            base_url=f"http://127.0.0.1:{ready['http_port']}",
            headers={"Authorization": f"Bearer {(secrets / 'token').read_text().strip()}"},
        )
        stack.enter_context(api)
        until(lambda: len(api.get("/api/executors").json()["executors"]) == EXECUTORS, PATIENCE_S)

        run_id = str(uuid.uuid4())
        accepted = api.post("/api/jobs", json=job(run_id))
        assert accepted.status_code == 202, accepted.text
        ended = until(lambda: over(api, run_id), PATIENCE_S)

        assert ended["status"] == "succeeded", ended
        assert ended["engine"] == "cluster"
        counts = ended["counts"]
        assert (counts["matched_count"], counts["unmatched_left_count"]) == (ROWS - 10, 10)
        written = s3_server().bucket("kalla-results").keys()
        assert "run/metadata.json" in written
        read = {"Authorization": f"Bearer {(secrets / 'read_token').read_text().strip()}"}
        http = [
            ready["http_port"],
            *(one.event("executor_started")["http_port"] for one in executors),
        ]
        for port in http:
            scraped = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=read)
            assert scraped.status_code == 200
            assert "kalla_slots" in scraped.text
            assert (
                healthy({"HTTP_PORT": str(port), "EXECUTOR_HTTP_PORT": str(port)}).returncode == 0
            )

    gone = healthy({"HTTP_PORT": str(http[0]), "EXECUTOR_HTTP_PORT": str(http[1])})
    assert gone.returncode == 1
    assert f"port {http[0]}" in gone.stderr


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


def over(api: httpx.Client, run_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] = api.get(f"/api/jobs/{run_id}").json()
    return found if found["status"] in ("succeeded", "failed", "cancelled") else None
