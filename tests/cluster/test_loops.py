"""No event loop waits for a file: every use of one, in real processes, is looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx

from benchmarks.generate import generate
from kalla_core.recipe.parse import load_recipe
from tests.support.real_cluster import real_cluster

WATCH = Path(__file__).parents[1] / "support" / "loop_watch"


def test_no_loop_of_a_service_uses_a_file_while_jobs_come_and_go(tmp_path: Path) -> None:
    mark, report = tmp_path / "mark", tmp_path / "report"
    dataset = generate("one_to_one", 2000, 7, tmp_path / "data", "parquet")
    recipe = load_recipe(dataset.recipe_path)
    recipe = replace(recipe, options=replace(recipe.options, buckets=3, partitions=2))
    watched = {
        "PYTHONPATH": str(WATCH),
        "LOOP_WATCH_MARK": str(mark),
        "LOOP_WATCH_REPORT": str(report),
    }

    with real_cluster(tmp_path, more=watched) as cluster:
        mark.touch()
        run_id = cluster.submit(recipe, tmp_path / "out")
        ended = cluster.ended(run_id)
        cancelled = cluster.submit(recipe, tmp_path / "cancelled")
        httpx.post(f"{cluster.url}/api/jobs/{cancelled}/cancel", timeout=30)
        cluster.ended(cancelled)
        source = {"uri": recipe.left.uri}
        answers = [
            httpx.post(f"{cluster.url}/api/sources/preview", json=source, timeout=60),
            httpx.get(f"{cluster.url}/api/jobs/{run_id}/evidence/matched", timeout=60),
            httpx.get(f"{cluster.url}/api/jobs/{run_id}/metadata", timeout=60),
            httpx.get(f"{cluster.url}/ready", timeout=60),
        ]
        mark.unlink()

    assert ended["status"] == "succeeded"
    assert [answer.status_code for answer in answers] == [200] * 4
    assert not report.exists(), report.read_text()
