"""The trace of a job on a real cluster, as a collector gets it, from caller to callback."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.generate import generate
from kalla_core.recipe.model import EngineChoice
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.support.command import clean_environment
from tests.support.real_cluster import KALLAD, real_cluster, until
from tests.support.receiver import receiving_apart

PATIENCE_S = 60.0
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True)
class Told:
    """A span, as the collector was told of it."""

    name: str
    trace: str
    id: str
    parent: str
    service: str
    failed: str
    attributes: dict[str, str | int]


@dataclass
class Collector:
    url: str
    spans: list[Told] = field(default_factory=list)

    def of(self, run_id: str) -> dict[str, list[Told]]:
        found: dict[str, list[Told]] = {}
        for one in list(self.spans):
            if one.attributes.get("kalla.run_id") == run_id:
                found.setdefault(one.name, []).append(one)
        return found


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector of OTLP over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = ExportTraceServiceRequest.FromString(body)
            for of_service in request.resource_spans:
                named = {one.key: one.value.string_value for one in of_service.resource.attributes}
                for scope in of_service.scope_spans:
                    found.spans.extend(
                        Told(
                            one.name,
                            one.trace_id.hex(),
                            one.span_id.hex(),
                            one.parent_span_id.hex(),
                            named["service.name"],
                            one.status.message,
                            {
                                pair.key: pair.value.string_value or pair.value.int_value
                                for pair in one.attributes
                            },
                        )
                        for one in scope.spans
                    )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield found
        finally:
            server.shutdown()
            serving.join()


def test_one_trace_tells_of_a_job_from_its_caller_over_its_fragments_to_its_callback(
    tmp_path: Path,
) -> None:
    dataset = generate("one_to_one", 500, 7, tmp_path / "data", "csv")
    recipe = load_recipe(dataset.recipe_path)
    options = replace(recipe.options, engine=EngineChoice.CLUSTER, partitions=2, buckets=2)
    run_id = str(uuid.uuid4())
    with collector() as told, receiving_apart() as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": told.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with real_cluster(tmp_path, executors=1, more=variables) as cluster:
            body = {
                "run_id": run_id,
                "recipe": to_document(replace(recipe, options=options)),
                "output_path": str(tmp_path / "out"),
                "callback_url": receiver.url,
            }
            url = f"{cluster.url}/api/jobs"
            accepted = httpx.post(url, json=body, headers={"traceparent": CALLER}, timeout=30)
            job = cluster.ended(run_id)
            until(lambda: "kalla.callback" in told.of(run_id), PATIENCE_S)

        spans = told.of(run_id)

    assert accepted.status_code == 202
    assert job["status"] == "succeeded", job["error"]
    (submit,), (ran,), (commit,) = (spans[f"kalla.{name}"] for name in ("submit", "job", "commit"))
    trace, caller = CALLER.split("-")[1:3]
    assert {one.trace for each in spans.values() for one in each} == {trace}
    assert (submit.parent, ran.parent, commit.parent) == (caller, submit.id, ran.id)
    assert ran.attributes["kalla.engine"] == "cluster"
    fragments = [one for stage in ("scan", "join") for one in spans[f"kalla.{stage}"]]
    assert {(one.parent, one.service) for one in fragments} == {(ran.id, "kalla-executor")}
    scanned = sum(int(one.attributes["kalla.rows"]) for one in spans["kalla.scan"])
    assert scanned == job["counts"]["total_left"] + job["counts"]["total_right"]
    assert {one.parent for one in spans["kalla.callback"]} == {submit.id}
    heard = {got.headers["traceparent"] for got in receiver.got}
    assert heard == {f"00-{trace}-{one.id}-01" for one in spans["kalla.callback"]}


@pytest.mark.parametrize("service", ["coordinator", "executor"])
def test_a_service_that_is_to_trace_and_cannot_says_what_to_install(
    service: str, tmp_path: Path
) -> None:
    # As if it were not installed: what is None there cannot be imported.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None"
    )
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "PYTHONPATH": str(tmp_path)}
    places = {"STAGING_PATH": str(tmp_path), "KALLA_SPOOL_PATH": str(tmp_path)}

    done = subprocess.run(
        [*KALLAD, service, "--http-port=0", "--grpc-port=0"],
        env=clean_environment({**more, **places}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert done.returncode == 2
    assert "pip install 'kalla[tracing]'" in done.stderr
