"""A cluster in which everything that is said goes over TLS, with a token."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from benchmarks.check import check
from benchmarks.generate import generate
from kalla_core.client import Client
from kalla_core.recipe.model import EngineChoice
from kalla_core.recipe.parse import load_recipe
from tests.support.certificates import make_certificates
from tests.support.metrics import scrape
from tests.support.modes import modes_below
from tests.support.real_cluster import executor_apart, real_cluster

GUEST = "cluster-token"


def test_executors_register_shuffle_and_write_over_tls(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    (tmp_path / "tokens").write_text(f"{GUEST}\nexecutor cluster-executor\n")
    dataset = generate("one_to_one", 1000, 7, tmp_path / "data", "parquet")
    recipe = load_recipe(dataset.recipe_path)
    options = replace(recipe.options, engine=EngineChoice.CLUSTER, partitions=2, buckets=4)
    flags = (*certificates.flags, f"--token-file={tmp_path / 'tokens'}")

    with (
        real_cluster(tmp_path, executors=1, flags=(*flags, "--slots=1")) as cluster,
        executor_apart(cluster, tmp_path / "apart", flags) as apart,
    ):
        address = cluster.url.replace("http://", "https://")

        async def run() -> dict[str, object]:
            trusted = certificates.authority.read_bytes()
            async with Client(address, GUEST, authorities=trusted) as kalla:
                output = str(tmp_path / "out")
                run_id = await kalla.submit(replace(recipe, options=options), output_path=output)
                job = await kalla.wait(run_id)
                return {
                    "status": job.status.value,
                    "shuffled": job.shuffled_bytes,
                    "error": job.error,
                }

        job = asyncio.run(run())
        executors = [
            *cluster.service.events("executor_started"),
            apart.event("executor_started"),
        ]
        counted = [
            scrape(f"https://localhost:{one['http_port']}", GUEST, certificates.authority)
            for one in executors
        ]

    report = check(tmp_path / "out", dataset.truth)
    assert job["status"] == "succeeded", json.dumps(job, default=str)
    assert report.ok, str(report)
    assert modes_below(tmp_path / "out") == (frozenset({0o600}), frozenset({0o700}))
    assert job["shuffled"] == sum(one["kalla_fetched_bytes_total"] for one in counted) != 0
