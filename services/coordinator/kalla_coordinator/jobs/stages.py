"""A job after a report of progress, and after its success. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kalla_coordinator.jobs.model import Counts, Job, StageProgress
from kalla_core.engine.progress import Progress, Stage
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import ALWAYS, SOMETIMES


def with_progress(job: Job, progress: Progress) -> Job:
    """Return the job after a report; a stage that is not known yet is the last one then."""
    stage = StageProgress(
        stage=progress.stage.value,
        source=progress.source,
        fragments_done=progress.fragments_done,
        fragments_total=progress.fragments_total,
        rows_done=progress.rows_done,
        rows_total=progress.rows_total,
        bytes_done=progress.bytes_done,
        bytes_total=progress.bytes_total,
    )
    counts = job.counts
    if progress.stage is not Stage.STAGING:
        counts = replace(counts, matched=progress.matched_rows)
    return replace(
        job,
        stage=stage.stage,
        stages=_with(job.stages, stage),
        counts=counts,
        warnings=progress.warnings or job.warnings,
    )


def succeeded(metadata: RunMetadata, output_path: str) -> dict[str, Any]:
    """Return the fields of a job that its evidence tells."""
    left, right = metadata.left, metadata.right
    return {
        "counts": Counts(
            matched=metadata.matched_count,
            unmatched_left=left.unmatched,
            unmatched_right=right.unmatched,
            matched_left=left.matched,
            matched_right=right.matched,
            total_left=left.records,
            total_right=right.records,
            several_left=left.several,
            several_right=right.several,
            groups=metadata.matched_groups,
        ),
        "output_paths": output_paths(metadata, output_path),
        "strategy": metadata.strategy,
        "engine": metadata.engine,
        "durations_s": dict(metadata.durations),
        "warnings": metadata.warnings,
        "passes": () if metadata.reconciliation is None else metadata.reconciliation.passes,
    }


def output_paths(metadata: RunMetadata, output_path: str) -> dict[str, str]:
    """Return where each output lies: a file, or a folder of part files, which ends in `/`."""
    root = output_path.rstrip("/")
    files = {file.name for file in metadata.files}
    outputs = {file.name.partition("/")[0] for file in metadata.files}
    return {
        name.removesuffix(".parquet"): f"{root}/{name}" + ("" if name in files else "/")
        for name in (*ALWAYS, *(name for name in SOMETIMES if name in outputs))
    }


def _with(stages: tuple[StageProgress, ...], news: StageProgress) -> tuple[StageProgress, ...]:
    which = (news.stage, news.source)
    if any((one.stage, one.source) == which for one in stages):
        return tuple(news if (one.stage, one.source) == which else one for one in stages)
    return (*stages, news)
