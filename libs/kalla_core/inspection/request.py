"""What is asked of an inspection, as data that travels to the process that carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kalla_core.sources.access_json import access_json, access_of
from kalla_core.sources.protocol import SourceAccess


class Kind(StrEnum):
    """What is to be found out."""

    VALIDATE = "validate"
    EXPLAIN = "explain"
    PREVIEW = "preview"
    PROPOSE = "propose"
    TRY = "try"


@dataclass(frozen=True, slots=True)
class Inspection:
    """One question.

    Attributes:
        document: the recipe; for a preview `uri`, `types`, `filters`, `format`, `rows` and `guess`;
            for what proposes or tries as `proving` says.
        memory_limit_bytes, threads: of the run that is explained, not of the inspection.
        access: what sources may be reached.
        scratch: an empty folder for what proposes or tries; empty for all else.
    """

    kind: Kind
    document: Mapping[str, Any]
    memory_limit_bytes: int
    threads: int
    access: SourceAccess
    scratch: str = ""


def to_json(inspection: Inspection) -> dict[str, Any]:
    """Return a question as JSON."""
    return {
        "kind": inspection.kind.value,
        "document": dict(inspection.document),
        "memory_limit_bytes": inspection.memory_limit_bytes,
        "threads": inspection.threads,
        "access": access_json(inspection.access),
        "scratch": inspection.scratch,
    }


def from_json(document: Mapping[str, Any]) -> Inspection:
    """Return the question that `to_json` described."""
    return Inspection(
        kind=Kind(document["kind"]),
        document=document["document"],
        memory_limit_bytes=document["memory_limit_bytes"],
        threads=document["threads"],
        access=access_of(document["access"]),
        scratch=document["scratch"],
    )
