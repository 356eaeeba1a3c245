"""What a run's process and its parent tell each other, as JSON; one place each way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from kalla_core.engine.budget import budget
from kalla_core.engine.census import KeyCounts
from kalla_core.engine.job import JobOutcome, JobSpec, SideOutcome
from kalla_core.engine.progress import Progress, Stage
from kalla_core.errors import EngineFailure, Fault, InvalidSql, KallaError, RecipeInvalid
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.matching.query import Side
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.write import to_document

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
    }


def spec(document: Mapping[str, Any]) -> JobSpec:
    """Return the run that `spec_json` described."""
    return JobSpec(
        recipe=parse_recipe(document["recipe"]),
        started_at=datetime.fromisoformat(document["started_at"]),
        staging=Path(document["staging"]),
        spool=Path(document["spool"]),
        budget=budget(document["memory_bytes"], document["threads"]),
    )


def outcome_json(outcome: JobOutcome) -> Json:
    """Return what a run did as JSON."""
    return asdict(outcome)


def outcome(document: Mapping[str, Any]) -> JobOutcome:
    """Return what `outcome_json` described."""
    return JobOutcome(
        sides={
            Side(name): SideOutcome(**{**side, "keys": KeyCounts(**side["keys"])})
            for name, side in document["sides"].items()
        },
        extras=document["extras"],
        strategy=document["strategy"],
        files=tuple(WrittenFile(**file) for file in document["files"]),
        durations=document["durations"],
        joins=document["joins"],
        warnings=tuple(document["warnings"]),
    )


def progress_json(progress: Progress) -> Json:
    """Return a report as JSON."""
    return asdict(progress)


def progress(document: Mapping[str, Any]) -> Progress:
    """Return the report that `progress_json` described; an `event` beside it is left out."""
    fields = {name: value for name, value in document.items() if name != "event"}
    return Progress(**{**fields, "stage": Stage(document["stage"])})


def error_json(error: KallaError) -> Json:
    """Return an error as JSON."""
    described: Json = {
        "code": error.code,
        "message": error.message,
        "details": _plain(error.details),
    }
    if isinstance(error, InvalidSql):
        described |= {"line": error.line, "column": error.column}
    if isinstance(error, RecipeInvalid):
        described["subject"] = error.subject
        described["faults"] = [
            {
                "code": fault.code,
                "path": fault.path,
                "message": fault.message,
                "details": _plain(fault.details),
            }
            for fault in error.faults
        ]
    return described


def error(document: Mapping[str, Any]) -> KallaError:
    """Return the error that `error_json` described; a `traceback` beside it becomes a note."""
    made = _made(document)
    if "traceback" in document:
        made.add_note(document["traceback"])
    return made


def _made(document: Mapping[str, Any]) -> KallaError:
    kind = _KINDS.get(document["code"], EngineFailure)
    if issubclass(kind, RecipeInvalid):
        return kind([Fault(**fault) for fault in document["faults"]], document["subject"])
    if issubclass(kind, InvalidSql):
        position = {"line": document["line"], "column": document["column"]}
        return kind(document["message"], **position, **document["details"])
    return kind(document["message"], **document["details"])


def _kinds(kind: type[KallaError]) -> Iterator[type[KallaError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


_KINDS = {kind.code: kind for kind in _kinds(KallaError) if "code" in vars(kind)}


def _plain(value: object) -> Any:
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)
