"""What the coordinator counts."""

from __future__ import annotations

from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.engine.progress import Progress, Stage


def test_what_was_scanned_is_counted_once_however_often_it_is_reported() -> None:
    metrics = CoordinatorMetrics()
    reports = [
        Progress(Stage.STAGING, "left", rows_done=rows, bytes_done=10 * rows, fragments_done=done)
        for rows, done in ((0, 0), (5, 0), (5, 0), (9, 1))
    ]

    for before, now in zip([None, *reports], reports, strict=False):
        metrics.count_progress(before, now)
    metrics.count_progress(None, Progress(Stage.MATCHING, rows_done=9, fragments_done=2))

    value = metrics.registry.get_sample_value
    assert value("kalla_rows_scanned_total") == 9
    assert value("kalla_bytes_scanned_total") == 90
    assert value("kalla_fragments_done_total", {"stage": "staging"}) == 1
    assert value("kalla_fragments_done_total", {"stage": "matching"}) == 2
