"""One attempt at a fragment of a cluster run, whatever kind it is."""

from __future__ import annotations

from kalla_core.engine.failures import FailedOnValue
from kalla_core.engine.fragments.deliver_fragment import run_deliver
from kalla_core.engine.fragments.join_fragment import run_join
from kalla_core.engine.fragments.prove_fragment import run_prove
from kalla_core.engine.fragments.remote_run import RemoteRun
from kalla_core.engine.fragments.scan_fragment import run_scan
from kalla_core.engine.fragments.settle_fragment import run_settle
from kalla_core.engine.passes.fragment import run_passes
from kalla_core.engine.run.culprit import raise_located
from kalla_core.engine.spool.requests import Inputs
from kalla_core.errors import EngineFailure
from kalla_core.fragments.outcome import JoinDone, ProveDone, ScanDone, SettleDone
from kalla_core.fragments.remote import (
    DeliverWork,
    JoinWork,
    ProveWork,
    ScanWork,
    SettleWork,
    Work,
)

Done = ScanDone | JoinDone | SettleDone | ProveDone


def run_fragment(run: RemoteRun, work: Work, inputs: Inputs) -> Done:
    """Carry out an attempt.

    Args:
        inputs: a file for each of `kalla_core.engine.spool.requests.requests_of(work)`.

    Raises:
        KallaError: what went wrong; on a value it names the row, as far as it can be found.
    """
    if isinstance(work, JoinWork) and run.job.recipe.reconciles:
        return run_passes(run, work, inputs)
    try:
        return _run(run, work, inputs)
    except (FailedOnValue, EngineFailure) as error:
        raise_located(error, run.planned_whole, run.reread())


def _run(run: RemoteRun, work: Work, inputs: Inputs) -> Done:
    match work:
        case ScanWork():
            return run_scan(run, work)
        case JoinWork():
            return run_join(run, work, inputs)
        case SettleWork():
            return run_settle(run, work, inputs)
        case DeliverWork():
            return run_deliver(run, work, inputs)
        case ProveWork():
            return run_prove(run.job, work, run.access)
