"""What a run's process and its parent tell each other, as JSON; one place each way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kalla_core.engine.budget import budget
from kalla_core.engine.keys.census import KeyCounts
from kalla_core.engine.progress import Progress, Stage
from kalla_core.engine.run.job import JobSpec
from kalla_core.engine.run.job_outcome import JobOutcome, SideOutcome
from kalla_core.error_json import error as error
from kalla_core.error_json import error_json as error_json
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.reconciled import Reconciliation, from_fields, to_fields
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.write import to_document
from kalla_core.sources.access_json import access_json, access_of

Json = dict[str, Any]


def spec_json(spec: JobSpec) -> Json:
    """Return a run as JSON."""
    return {
        "recipe": to_document(spec.recipe),
        "started_at": spec.started_at.isoformat(),
        "staging": str(spec.staging),
        "spool": str(spec.spool),
        "memory_bytes": spec.budget.limit_bytes,
        "threads": spec.budget.threads,
        "access": access_json(spec.access),
    }


def spec(document: Mapping[str, Any]) -> JobSpec:
    """Return the run that `spec_json` described."""
    return JobSpec(
        recipe=parse_recipe(document["recipe"]),
        started_at=datetime.fromisoformat(document["started_at"]),
        staging=Path(document["staging"]),
        spool=Path(document["spool"]),
        budget=budget(document["memory_bytes"], document["threads"]),
        access=access_of(document["access"]),
    )


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


def progress_json(progress: Progress) -> Json:
    """Return a report as JSON."""
    return asdict(progress)


def progress(document: Mapping[str, Any]) -> Progress:
    """Return the report that `progress_json` described; an `event` beside it is left out."""
    fields = {name: value for name, value in document.items() if name != "event"}
    told = {"stage": Stage(document["stage"]), "warnings": tuple(document["warnings"])}
    return Progress(**{**fields, **told})
