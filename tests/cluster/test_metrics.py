"""The metrics of a cluster, the coordinator's and its executors', after a run that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.generate import generate
from kalla_core.recipe.parse import load_recipe
from tests.support.metrics import Scrape, scrape
from tests.support.real_cluster import END_PATIENCE_S, Cluster, Service, executor_apart, until

BUCKETS = 4
PARTS = 2


def executors(cluster: Cluster, apart: Service) -> Scrape:
    """The sums over all executors that live."""
    known = {one["executor_id"] for one in cluster.executors()}
    sums = Scrape()
    for started in (
        *cluster.service.events("executor_started"),
        apart.event("executor_started"),
    ):
        if started["executor_id"] in known:
            for key, value in scrape(f"http://127.0.0.1:{started['http_port']}").items():
                sums[key] += value
    return sums


def test_coordinator_and_executors_count_the_same_work(cluster: Cluster, tmp_path: Path) -> None:
    dataset = generate("one_to_one", 3000, 7, tmp_path / "data", "parquet")
    recipe = load_recipe(dataset.recipe_path)
    options = replace(recipe.options, buckets=BUCKETS, partitions=PARTS)
    with executor_apart(cluster, tmp_path / "spools") as apart:
        before, of_executors = scrape(cluster.url), executors(cluster, apart)

        job = cluster.run(replace(recipe, options=options), tmp_path / "out")

        value = scrape(cluster.url).since(before)
        done = executors(cluster, apart).since(of_executors)
        now, known = scrape(cluster.url), cluster.executors()
    assert until(lambda: len(cluster.executors()) < len(known), END_PATIENCE_S)
    rows = job["counts"]["total_left"] + job["counts"]["total_right"]
    scans = "kalla_fragments_total{outcome=done,stage=scan}"
    joins = "kalla_fragments_total{outcome=done,stage=join}"
    assert value["kalla_scanned_rows_total"] == value["kalla_spooled_rows_total"] == rows
    assert value["kalla_job_rows_sum"] == rows
    assert value[scans] == done[scans] == 2 * PARTS
    assert value[joins] == done[joins] > 0
    for name in ("scanned_rows", "scanned_bytes", "spooled_rows", "spooled_bytes", "fetched_bytes"):
        assert value[f"kalla_{name}_total"] == done[f"kalla_{name}_total"] > 0, name
    assert done["kalla_fragment_rows_total{stage=join}"] == rows
    assert value["kalla_fetched_bytes_total"] == job["shuffled_bytes"]
    # Where nothing is at hand, each row travels once for its join, and its key once to be counted.
    assert 0 < done["kalla_fetched_rows_total"] <= 2 * rows
    assert done["kalla_fetch_wait_seconds_total"] > 0
    assert done["kalla_permit_wait_seconds_total{permit=stream}"] > 0
    assert done["kalla_served_bytes_total"] > 0
    assert now["kalla_executors{state=registered}"] == len(known)
    assert now["kalla_slots"] == sum(one["slots"] for one in known)
