"""Run a recipe on this machine: claim the output, let a child do the work, commit.

The child writes below the output folder's staging; nothing is visible under the final names
until this process commits, and a run that fails, is cancelled or killed leaves nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path

from kalla_core.engine.budget import MIB, budget
from kalla_core.engine.processes.children import RUN, Limits, running
from kalla_core.engine.processes.spawned import Start, environment_within
from kalla_core.engine.processes.vitals import private_bytes
from kalla_core.engine.programs import messages
from kalla_core.engine.progress import OnProgress
from kalla_core.engine.run.job_outcome import JobOutcome, SideOutcome
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.errors import Crashed, InvalidSetting, OutOfMemory
from kalla_core.evidence.finding import Findings
from kalla_core.evidence.metadata import RunMetadata, SideSummary
from kalla_core.evidence.output import claim_output
from kalla_core.matching.sql.held import with_windows
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe, SourceSpec
from kalla_core.recipe.uris import LOCAL, scheme_of
from kalla_core.recipe.write import masked_uri, to_document
from kalla_core.sources.protocol import EVERYTHING, SourceAccess

_LEAST_BYTES = 224 * MIB
"""Measured: a process of a run with everything imported, and room for its first rows."""
_LATER_BYTES = 4 * MIB
"""Measured: what this process loads once the work is given away, and a little more."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run of a recipe on this machine.

    Attributes:
        output: folder for the evidence, made if it is not there; or `s3://bucket/prefix`.
        memory_limit_bytes: for the process that does the work.
        alone: nobody else has a share of that memory, and this process takes its own from it.
        threads: cores to use.
        overwrite: replace complete evidence of another run.
        run_attempt: try at the run, from 1.
        started_at: what `now()` is in the match SQL; by default when the run starts.
        timeout: how long the work may take; by default what the recipe says.
        access: what sources may be reached.
    """

    recipe: Recipe
    run_id: str
    output: str | Path
    memory_limit_bytes: int
    threads: int
    overwrite: bool = False
    run_attempt: int = 1
    started_at: datetime | None = None
    timeout: timedelta | None = None
    access: SourceAccess = EVERYTHING
    alone: bool = True


def _at_once() -> None:
    """Do nothing more: commit without asking anybody."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """How whoever started a run has a hand in it.

    Attributes:
        stop: once set, from any thread, the run ends with `Cancelled`; the commit is not stopped.
        before_commit: called when only the commit is left; raises to prevent it.
        start: how the process that does the work is started; see `children.running`.
        on_findings: called with the reasons of unmatched rows before the commit; where it is None,
            nobody looks for them.
        meanwhile: done as soon as the process works; what is loaded then holds nobody up.
    """

    stop: threading.Event | None = None
    before_commit: Callable[[], None] = _at_once
    start: Start | None = None
    on_findings: Callable[[Findings], object] | None = None
    meanwhile: Callable[[], object] = _at_once


def run_local(
    request: RunRequest,
    on_progress: OnProgress,
    supervision: Supervision = Supervision(),
) -> RunMetadata:
    """Carry out a run and commit its evidence.

    Raises:
        KallaError: what went wrong; the output folder is as it was.
        KeyboardInterrupt: likewise.
    """
    started_at = request.started_at or datetime.now(UTC)
    share = budget(request.memory_limit_bytes, request.threads)
    claim = claim_output(request.output, request.run_id, request.overwrite, request.run_attempt)
    with claim as claimed, ExitStack() as ending:
        spec = JobSpec(
            recipe=request.recipe,
            started_at=started_at,
            staging=claimed.staging,
            spool=claimed.scratch,
            budget=share,
            access=replace(
                request.access,
                thread_bytes=share.limit_bytes // share.threads,
                threads=share.threads,
            ),
        )
        limits = Limits(
            memory_bytes=_for_the_work(share.limit_bytes) if request.alone else share.limit_bytes,
            timeout=request.timeout or request.recipe.options.timeout,
            stop=supervision.stop,
        )
        try:
            outcome = _work(spec, limits, on_progress, supervision, ending)
        except OutOfMemory as error:
            raise with_windows(error, request.recipe.match_sql) from error
        metadata = run_metadata(request, started_at, outcome)
        supervision.before_commit()
        claimed.commit(metadata)
    return metadata


def _for_the_work(limit_bytes: int) -> int:
    """Return what a limit leaves beside this process.

    Raises:
        InvalidSetting: less than the work needs before it holds any row.
    """
    own = private_bytes(os.getpid()) + _LATER_BYTES
    if limit_bytes - own < _LEAST_BYTES:
        raise InvalidSetting(
            f"The memory limit of {limit_bytes // MIB} MiB is for this process as well, which has "
            f"{own // MIB} MiB; a run needs {_LEAST_BYTES // MIB} MiB beside it."
        )
    return limit_bytes - own


def _work(
    spec: JobSpec,
    limits: Limits,
    on_progress: OnProgress,
    supervision: Supervision,
    ending: ExitStack,
) -> JobOutcome:
    """Let a process carry out a run.

    Args:
        ending: is to end the process, which has nothing to do any more but to give its memory
            back; what comes after the work need not wait for that.
    """
    start, on_findings = supervision.start, supervision.on_findings
    message = {
        **messages.spec_json(spec),
        "stays": start is not None and _leaves_nothing(spec),
        "findings": on_findings is not None,
    }
    within = environment_within(spec.budget.limit_bytes)
    child = ending.enter_context(running(RUN, limits, within, start))
    for answer in child.ask(message, partial(_load_for_the_end, supervision.meanwhile)):
        match answer["event"]:
            case "progress":
                on_progress(messages.progress(answer))
            case "done":
                if message["stays"]:
                    child.keep()
                    ending.close()
                if on_findings is not None:
                    on_findings(messages.findings(answer["findings"]))
                return messages.outcome(answer["outcome"])
            case "error":
                raise messages.error(answer)
            case event:
                raise Crashed(f"The process of the run told of an unknown event: {event}.")
    raise Crashed("The process of the run ended without saying how the run went.")


def _load_for_the_end(and_more: Callable[[], object]) -> None:
    """Load and look up what is needed once the work is done."""
    import hashlib  # noqa: F401

    _versions()
    and_more()


def _leaves_nothing(spec: JobSpec) -> bool:
    """Whether a run leaves a process as good as new: a database's driver keeps what it learnt."""
    recipe = spec.recipe
    uris = [source.uri or "" for source in (recipe.left, recipe.right, *recipe.extras)]
    return all(scheme_of(uri) in (LOCAL, "s3") for uri in uris)


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
        matched_groups=outcome.groups,
        recipe=to_document(recipe, masked=True),
        engine="local",
        strategy=outcome.strategy,
        files=outcome.files,
        durations=outcome.durations,
        versions=_versions(),
        extras=outcome.extras,
        warnings=outcome.warnings,
        reconciliation=outcome.reconciliation,
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
        several=side.several.rows,
        several_example=side.several.example,
        identity=side.identity,
    )


@cache
def _versions() -> Mapping[str, str]:
    from importlib.metadata import version  # brings what reads e-mails

    return {"kalla": version("kalla"), "datafusion": version("datafusion")}
