"""Run a recipe on this machine: claim the output, let a child do the work, commit.

The child writes below the output folder's staging; nothing is visible under the final names
until this process commits, and a run that fails, is cancelled or killed leaves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from kalla_core.engine import messages
from kalla_core.engine.budget import GIB, MIB, budget
from kalla_core.engine.children import RUN, Limits, running
from kalla_core.engine.job import JobOutcome, JobSpec, SideOutcome
from kalla_core.engine.progress import OnProgress
from kalla_core.errors import Crashed
from kalla_core.evidence.folder import OutputFolder
from kalla_core.evidence.metadata import RunMetadata, SideSummary
from kalla_core.matching.query import Side
from kalla_core.recipe.model import Recipe, SourceSpec
from kalla_core.recipe.write import masked_uri, to_document

_PARENT_BYTES = 96 * MIB
"""Measured: what the command line itself keeps resident while a run goes on."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run of a recipe on this machine.

    Attributes:
        output: folder for the evidence; made if it is not there.
        memory_limit_bytes: for this process and its children together.
        threads: cores to use.
        overwrite: replace complete evidence of another run.
    """

    recipe: Recipe
    run_id: str
    output: Path
    memory_limit_bytes: int
    threads: int
    overwrite: bool = False


def run_local(request: RunRequest, on_progress: OnProgress) -> RunMetadata:
    """Carry out a run and commit its evidence.

    Raises:
        KallaError: what went wrong; the output folder is as it was.
        KeyboardInterrupt: likewise.
    """
    started_at = datetime.now(UTC)
    share = budget(request.memory_limit_bytes, request.threads)
    with OutputFolder.claim(request.output, request.run_id, request.overwrite) as folder:
        spec = JobSpec(request.recipe, started_at, folder.staging, folder.scratch, share)
        outcome = _work(spec, on_progress)
        metadata = run_metadata(request, started_at, outcome)
        folder.commit(metadata)
    return metadata


def _work(spec: JobSpec, on_progress: OnProgress) -> JobOutcome:
    limits = Limits(
        memory_bytes=spec.budget.limit_bytes * 5 // 4 - _PARENT_BYTES,
        timeout=spec.recipe.options.timeout,
    )
    with running(RUN, limits, _environment(spec.budget.limit_bytes)) as child:
        for answer in child.ask(messages.spec_json(spec)):
            match answer["event"]:
                case "progress":
                    on_progress(messages.progress(answer))
                case "done":
                    return messages.outcome(answer["outcome"])
                case "error":
                    raise messages.error(answer)
                case event:
                    raise Crashed(f"The process of the run told of an unknown event: {event}.")
    raise Crashed("The process of the run ended without saying how the run went.")


def _environment(limit_bytes: int) -> Mapping[str, str]:
    """Return the variables of a child with little memory.

    Pages that are kept for a second, for they may be wanted again, add up to 110 MiB.
    """
    return {"MIMALLOC_PURGE_DELAY": "10"} if limit_bytes < GIB else {}


def run_metadata(request: RunRequest, started_at: datetime, outcome: JobOutcome) -> RunMetadata:
    """Return what metadata.json says of a run that ends now."""
    recipe = request.recipe
    return RunMetadata(
        run_id=request.run_id,
        recipe_id=recipe.recipe_id,
        started_at=started_at,
        completed_at=datetime.now(UTC),
        left=_summary(recipe.left, outcome.sides[Side.LEFT]),
        right=_summary(recipe.right, outcome.sides[Side.RIGHT]),
        matched_count=outcome.files[0].rows,
        recipe=to_document(recipe, masked=True),
        engine="local",
        strategy=outcome.strategy,
        files=outcome.files,
        durations=outcome.durations,
        versions=_versions(),
        extras=outcome.extras,
        warnings=outcome.warnings,
    )


def _summary(spec: SourceSpec, side: SideOutcome) -> SideSummary:
    return SideSummary(
        source=masked_uri(spec) or "",
        records=side.records,
        matched=side.matched,
        unmatched=side.unmatched,
        excluded=side.excluded,
        duplicate_keys=side.keys.duplicates,
        null_keys=side.keys.nulls,
        identity=side.identity,
    )


def _versions() -> Mapping[str, str]:
    return {"kalla": version("kalla"), "datafusion": version("datafusion")}
