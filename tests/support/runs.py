"""Runs in this process, with budgets as small as a test wants them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kalla_core.engine.budget import Budget, budget
from kalla_core.engine.passes.job import run_job
from kalla_core.engine.programs.local import RunRequest, run_metadata
from kalla_core.engine.progress import OnProgress, Progress
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.output import claim_output
from kalla_core.recipe.model import Recipe

GIB = 1 << 30
AMPLE = budget(2 * GIB, threads=2)
TIGHT = replace(AMPLE, whole_bytes=200_000, join_bytes=60_000, run_bytes=50_000)
"""So little that a few thousand rows go to the spool, and a hot key is more than a join holds."""


def run_in_process(
    recipe: Recipe,
    output: str | Path,
    share: Budget = AMPLE,
    on_progress: OnProgress | None = None,
    *,
    overwrite: bool = False,
) -> RunMetadata:
    """Do what `run_local` does, without a child process."""
    request = RunRequest(recipe, "test-run", output, share.limit_bytes, share.threads)
    started_at = datetime.now(UTC)
    with claim_output(output, request.run_id, overwrite) as claimed:
        spec = JobSpec(recipe, started_at, claimed.staging, claimed.scratch, share)
        outcome = run_job(spec, on_progress or _silent)
        metadata = run_metadata(request, started_at, outcome)
        claimed.commit(metadata)
    return metadata


def _silent(_: Progress) -> None:
    return None
