"""What each pass of a run did, as metadata.json, job documents and callbacks have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PassFigures:
    """What one pass did; see `kalla_core.evidence.reconciled`.

    Attributes:
        amounts: by currency; empty where the recipe names no amounts.
    """

    name: str
    kind: str
    cardinality: str | None
    accept: str
    candidates: int
    accepted: int
    held: int
    suggested: int
    rows: Mapping[str, int]
    left_over: Mapping[str, int]
    amounts: tuple[JsonObject, ...] = ()
    notes: tuple[str, ...] = ()


def pass_document(one: PassFigures) -> dict[str, Any]:
    """Return it as JSON."""
    return {**asdict(one), "amounts": list(one.amounts), "notes": list(one.notes)}


def pass_of(document: JsonObject) -> PassFigures:
    """Return what `pass_document` described.

    Raises:
        TypeError: it lacks a field, or has one too many.
    """
    listed = {name: tuple(document[name]) for name in ("amounts", "notes")}
    return PassFigures(**{**document, **listed})
