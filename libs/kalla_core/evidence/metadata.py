"""The content of metadata.json: what a run did, in a form that can be checked later.

One place each turns it into JSON and back. The caller passes URIs masked; nothing here is secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kalla_core.matching.query import Side

JsonObject = Mapping[str, Any]

COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file of the evidence; `name` is relative to the output folder."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SideSummary:
    """One side of a run.

    Attributes:
        source: the URI, masked.
        records: rows that the source delivered, filters applied.
        matched: distinct rows in a match.
        unmatched: rows in the unmatched output.
        excluded: rows that the filters removed; None where the source itself applied them.
        duplicate_keys: rows whose primary key an earlier row has already.
        null_keys: rows with a null in their primary key.
        identity: what the source was, as its connector pinned it.
    """

    source: str
    records: int
    matched: int
    unmatched: int
    excluded: int | None
    duplicate_keys: int
    null_keys: int
    identity: JsonObject


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """All of metadata.json.

    Attributes:
        started_at: zoned; so is `completed_at`.
        matched_count: rows of `matched`, that is pairs.
        recipe: the recipe as its document, URIs masked.
        extras: identity of each extra source, by alias.
        durations: seconds per stage.
        versions: of `kalla` and `datafusion`, by name.
    """

    run_id: str
    recipe_id: str
    started_at: datetime
    completed_at: datetime
    left: SideSummary
    right: SideSummary
    matched_count: int
    recipe: JsonObject
    engine: str
    strategy: str
    files: tuple[WrittenFile, ...]
    durations: Mapping[str, float]
    versions: Mapping[str, str]
    extras: Mapping[str, JsonObject]
    warnings: tuple[str, ...] = ()
    status: str = COMPLETED

    @property
    def recipe_sha256(self) -> str:
        """SHA-256 of the recipe's canonical JSON, in hexadecimal."""
        return hashlib.sha256(canonical_json(self.recipe)).hexdigest()


class MetadataError(ValueError):
    """A document that is not metadata of a run."""


def canonical_json(document: JsonObject) -> bytes:
    """Return the one spelling of a document: keys sorted, no spaces, UTF-8, no NaN."""
    text = json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def to_json(metadata: RunMetadata) -> dict[str, Any]:
    """Return the document, its fields as CONTRACT names them."""
    return {
        "run_id": metadata.run_id,
        "recipe_id": metadata.recipe_id,
        "status": metadata.status,
        "started_at": _time_text(metadata.started_at),
        "completed_at": _time_text(metadata.completed_at),
        "left_source": metadata.left.source,
        "right_source": metadata.right.source,
        "left_record_count": metadata.left.records,
        "right_record_count": metadata.right.records,
        "matched_count": metadata.matched_count,
        "unmatched_left_count": metadata.left.unmatched,
        "unmatched_right_count": metadata.right.unmatched,
        **_side_json(Side.LEFT, metadata.left),
        **_side_json(Side.RIGHT, metadata.right),
        "engine": metadata.engine,
        "strategy": metadata.strategy,
        "sources": {
            "left": metadata.left.identity,
            "right": metadata.right.identity,
            "extras": dict(metadata.extras),
        },
        "files": [
            {"name": file.name, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
            for file in metadata.files
        ],
        "durations_s": dict(metadata.durations),
        "versions": dict(metadata.versions),
        "warnings": list(metadata.warnings),
        "recipe_sha256": metadata.recipe_sha256,
        "recipe": metadata.recipe,
    }


def from_json(document: object) -> RunMetadata:
    """Return the metadata that a document holds; fields it does not know are left alone.

    Raises:
        MetadataError: a field is missing or of the wrong kind, or the recipe is not the one that
            the document's SHA-256 was made of.
    """
    try:
        metadata = _read(document)
        recipe_sha256 = document["recipe_sha256"]  # type: ignore[index]  # caught below
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MetadataError(f"not the metadata of a run: {error!r}") from error
    if recipe_sha256 != metadata.recipe_sha256:
        raise MetadataError("the recipe is not the one that was run: its SHA-256 differs")
    return metadata


def _side_json(side: Side, summary: SideSummary) -> dict[str, int | None]:
    return {
        f"matched_{side.word}_count": summary.matched,
        f"{side.word}_excluded_count": summary.excluded,
        f"{side.word}_duplicate_key_count": summary.duplicate_keys,
        f"{side.word}_null_key_count": summary.null_keys,
    }


def _read(document: Any) -> RunMetadata:
    return RunMetadata(
        run_id=document["run_id"],
        recipe_id=document["recipe_id"],
        status=document["status"],
        started_at=_time(document["started_at"]),
        completed_at=_time(document["completed_at"]),
        left=_read_side(Side.LEFT, document),
        right=_read_side(Side.RIGHT, document),
        matched_count=document["matched_count"],
        recipe=document["recipe"],
        engine=document["engine"],
        strategy=document["strategy"],
        files=tuple(
            WrittenFile(file["name"], file["rows"], file["bytes"], file["sha256"])
            for file in document["files"]
        ),
        durations=document["durations_s"],
        versions=document["versions"],
        extras=document["sources"]["extras"],
        warnings=tuple(document["warnings"]),
    )


def _read_side(side: Side, document: Any) -> SideSummary:
    word = side.word
    return SideSummary(
        source=document[f"{word}_source"],
        records=document[f"{word}_record_count"],
        matched=document[f"matched_{word}_count"],
        unmatched=document[f"unmatched_{word}_count"],
        excluded=document[f"{word}_excluded_count"],
        duplicate_keys=document[f"{word}_duplicate_key_count"],
        null_keys=document[f"{word}_null_key_count"],
        identity=document["sources"][word],
    )


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
