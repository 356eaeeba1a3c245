"""What a run's process and its parent tell each other, as JSON; one place each way.

The run itself is pickled inside it: nobody else writes to the process, and to read a recipe as
people write it takes longer than many runs. What comes back is plain: who says it has read data
from anywhere.
"""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.engine.progress import Progress, Stage
from kalla_core.engine.run.job_outcome import JobOutcome, SideOutcome
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.error_json import error as error
from kalla_core.error_json import error_json as error_json
from kalla_core.evidence.finding import Finding, Findings
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.reconciled import Reconciliation, from_fields, to_fields
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side

Json = dict[str, Any]


def spec_json(spec: JobSpec) -> Json:
    """Return a run as JSON."""
    return {"run": base64.b64encode(pickle.dumps(spec)).decode()}


def spec(document: Mapping[str, Any]) -> JobSpec:
    """Return the run that `spec_json` described."""
    spec = pickle.loads(base64.b64decode(document["run"]))  # noqa: S301 - of who started us
    assert isinstance(spec, JobSpec)  # noqa: S101 - so the types know
    return spec


def outcome_json(outcome: JobOutcome) -> Json:
    """Return what a run did as JSON."""
    found = outcome.reconciliation
    told = None if found is None else to_fields(found)
    return {**asdict(replace(outcome, reconciliation=None)), "reconciliation": told}


def outcome(document: Mapping[str, Any]) -> JobOutcome:
    """Return what `outcome_json` described."""
    return JobOutcome(
        sides={
            Side(name): SideOutcome(
                **{
                    **side,
                    "keys": KeyCounts(**side["keys"]),
                    "several": Several(**side["several"]),
                }
            )
            for name, side in document["sides"].items()
        },
        extras=document["extras"],
        strategy=document["strategy"],
        files=tuple(WrittenFile(**file) for file in document["files"]),
        durations=document["durations"],
        joins=document["joins"],
        warnings=tuple(document["warnings"]),
        groups=document["groups"],
        reconciliation=_reconciliation(document["reconciliation"]),
    )


def _reconciliation(document: Mapping[str, Any] | None) -> Reconciliation | None:
    return None if document is None else from_fields(document)


def findings_json(findings: Findings) -> Json:
    """Return the reasons of a run as JSON."""
    return {side.value: [asdict(one) for one in told] for side, told in findings.items()}


def findings(document: Mapping[str, Any]) -> Findings:
    """Return what `findings_json` described."""
    return {Side(name): tuple(Finding(**one) for one in told) for name, told in document.items()}


def progress_json(progress: Progress) -> Json:
    """Return a report as JSON."""
    return asdict(progress)


def progress(document: Mapping[str, Any]) -> Progress:
    """Return the report that `progress_json` described; an `event` beside it is left out."""
    fields = {name: value for name, value in document.items() if name != "event"}
    told = {"stage": Stage(document["stage"]), "warnings": tuple(document["warnings"])}
    return Progress(**{**fields, **told})
