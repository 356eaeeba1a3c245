"""The fragment of a cluster run that carries out all passes over what the scans have read."""

from __future__ import annotations

from kalla_core.engine.failures import FailedOnValue
from kalla_core.engine.fragments.evidence_parts import writing_parts
from kalla_core.engine.fragments.join_fragment import duplicate_keys
from kalla_core.engine.fragments.remote_run import RemoteRun
from kalla_core.engine.passes.plan import plan_passes
from kalla_core.engine.passes.reconciling import Reconciling
from kalla_core.engine.passes.search import Means
from kalla_core.engine.passes.writing import outputs_of
from kalla_core.engine.run.culprit import raise_located
from kalla_core.engine.spool.requests import Inputs
from kalla_core.errors import EngineFailure
from kalla_core.evidence.reconciled import to_fields
from kalla_core.fragments.outcome import JoinDone
from kalla_core.fragments.remote import JoinWork


def run_passes(run: RemoteRun, work: JoinWork, inputs: Inputs) -> JoinDone:
    """Carry out the passes over all buckets; write all of the evidence.

    Raises:
        KallaError: what went wrong; nothing that was written counts then. On a value it names the
            row by the SQL of the pass that failed, as far as it can be found.
        FetchFailed: an input is damaged.
    """
    job = run.job
    plan = plan_passes(job.recipe, (job.left, job.right, *job.extras), job.started_at)
    duplicates = duplicate_keys(work, inputs)
    means = Means(
        store=run.store(work, inputs, numbers=True),
        extras=run.extras(work, inputs),
        budget=run.budget,
        scratch=run.scratch,
        on_progress=run.report,
    )
    reconciling = Reconciling(plan, means)
    outputs = outputs_of(job.recipe, plan)
    try:
        with writing_parts(
            run, outputs, lambda files: reconciling.sinks(files, job.started_at)
        ) as parts:
            totals = reconciling.match(parts.sinks)
            files = parts.finish()
    except (FailedOnValue, EngineFailure) as error:
        raise_located(error, reconciling.planned, run.reread())
    return JoinDone(
        files=files,
        joined=totals.joined,
        matched=totals.matched,
        duplicate_keys=duplicates,
        several=totals.several,
        fetched_bytes=run.fetched_bytes,
        reconciliation=to_fields(reconciling.found()),
    )
