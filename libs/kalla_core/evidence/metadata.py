"""The content of metadata.json: what a run did, in a form that can be checked later.

One place each turns it into JSON and back. The caller passes URIs masked; nothing here is secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, TypeVar

from kalla_core.evidence.reconciled import Reconciliation, from_fields, to_fields
from kalla_core.matching.sql.query import Side

JsonObject = Mapping[str, Any]

T = TypeVar("T")

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
        several: distinct rows in two matches or more; None of runs that did not count them.
        several_example: primary key of one of those.
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
    several: int | None = None
    several_example: str | None = None


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """All of metadata.json.

    Attributes:
        started_at: zoned; so is `completed_at`.
        matched_count: rows of `matched`, that is pairs, or members of groups.
        recipe: the recipe as its document, URIs masked.
        extras: identity of each extra source, by alias.
        durations: seconds per stage.
        versions: of `kalla` and `datafusion`, by name.
        matched_groups: matches that rows of `matched` belong to; None if they do not say to which.
        reconciliation: passes, control totals and compared columns; None of a plain join.
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
    matched_groups: int | None = None
    reconciliation: Reconciliation | None = None

    @property
    def recipe_sha256(self) -> str:
        """SHA-256 of the recipe's canonical JSON, in hexadecimal."""
        import hashlib  # brings OpenSSL; who runs a recipe loads it while the run works

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
    """Return the document, its fields as the manual names them."""
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
        **_groups_json(metadata),
        "unmatched_left_count": metadata.left.unmatched,
        "unmatched_right_count": metadata.right.unmatched,
        **_side_json(Side.LEFT, metadata.left),
        **_side_json(Side.RIGHT, metadata.right),
        **to_fields(metadata.reconciliation),
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


def to_text(metadata: RunMetadata) -> bytes:
    """Return the content of metadata.json."""
    return (json.dumps(to_json(metadata), ensure_ascii=False, indent=2) + "\n").encode()


def run_of(text: bytes) -> str | None:
    """Return the run that a metadata.json speaks of; None if it is not one of ours."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    run_id = document.get("run_id") if isinstance(document, dict) else None
    return run_id if isinstance(run_id, str) else None


def from_json(document: object) -> RunMetadata:
    """Return the metadata that a document holds; fields it does not know are left alone.

    Raises:
        MetadataError: a field is missing or of the wrong kind, or the recipe is not the one that
            the document's SHA-256 was made of.
    """
    fields = _Fields(document)
    metadata = _read(fields)
    if fields.take("recipe_sha256", str) != metadata.recipe_sha256:
        raise MetadataError("the recipe is not the one that was run, its SHA-256 differs")
    return metadata


def _groups_json(metadata: RunMetadata) -> dict[str, int]:
    groups = metadata.matched_groups
    return {} if groups is None else {"matched_group_count": groups}


def _side_json(side: Side, summary: SideSummary) -> dict[str, int | str | None]:
    return {
        f"matched_{side.word}_count": summary.matched,
        f"{side.word}_excluded_count": summary.excluded,
        f"{side.word}_duplicate_key_count": summary.duplicate_keys,
        f"{side.word}_null_key_count": summary.null_keys,
        f"{side.word}_multiple_match_count": summary.several,
        f"{side.word}_multiple_match_example": summary.several_example,
    }


class _Fields:
    """A JSON object whose fields are taken out with their type checked."""

    def __init__(self, document: object) -> None:
        if not isinstance(document, dict):
            raise MetadataError("it is not a JSON object")
        self._document = document

    def take(self, name: str, kind: type[T]) -> T:
        value = self._document.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise MetadataError(f"its field {name} is missing or not as it should be")
        return value

    def take_count_if_any(self, name: str) -> int | None:
        return None if self._document.get(name, 0) is None else self.take(name, int)

    def take_if_any(self, name: str, kind: type[T]) -> T | None:
        return None if self._document.get(name) is None else self.take(name, kind)

    def reconciliation(self) -> Reconciliation | None:
        try:
            return from_fields(self._document)
        except (TypeError, KeyError) as error:
            raise MetadataError(f"its passes are not as they should be ({error})") from error

    def take_time(self, name: str) -> datetime:
        try:
            return datetime.fromisoformat(self.take(name, str)).astimezone(UTC)
        except ValueError as error:
            raise MetadataError(f"its field {name} is no time") from error


def _read(fields: _Fields) -> RunMetadata:
    sources = _Fields(fields.take("sources", dict))
    return RunMetadata(
        run_id=fields.take("run_id", str),
        recipe_id=fields.take("recipe_id", str),
        status=fields.take("status", str),
        started_at=fields.take_time("started_at"),
        completed_at=fields.take_time("completed_at"),
        left=_read_side(Side.LEFT, fields, sources),
        right=_read_side(Side.RIGHT, fields, sources),
        matched_count=fields.take("matched_count", int),
        matched_groups=fields.take_if_any("matched_group_count", int),
        recipe=fields.take("recipe", dict),
        engine=fields.take("engine", str),
        strategy=fields.take("strategy", str),
        files=tuple(_read_file(_Fields(file)) for file in fields.take("files", list)),
        durations=fields.take("durations_s", dict),
        versions=fields.take("versions", dict),
        extras=sources.take("extras", dict),
        warnings=tuple(fields.take("warnings", list)),
        reconciliation=fields.reconciliation(),
    )


def _read_side(side: Side, fields: _Fields, sources: _Fields) -> SideSummary:
    word = side.word
    return SideSummary(
        source=fields.take(f"{word}_source", str),
        records=fields.take(f"{word}_record_count", int),
        matched=fields.take(f"matched_{word}_count", int),
        unmatched=fields.take(f"unmatched_{word}_count", int),
        excluded=fields.take_count_if_any(f"{word}_excluded_count"),
        duplicate_keys=fields.take(f"{word}_duplicate_key_count", int),
        null_keys=fields.take(f"{word}_null_key_count", int),
        identity=sources.take(word, dict),
        several=fields.take_if_any(f"{word}_multiple_match_count", int),
        several_example=fields.take_if_any(f"{word}_multiple_match_example", str),
    )


def _read_file(file: _Fields) -> WrittenFile:
    return WrittenFile(
        name=_inside(file.take("name", str)),
        rows=file.take("rows", int),
        bytes=file.take("bytes", int),
        sha256=file.take("sha256", str),
    )


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise MetadataError(f"it names the file {name!r}, which does not lie beside it")
    return name


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
