import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from kalla_core.evidence.metadata import (
    MetadataError,
    RunMetadata,
    SideSummary,
    WrittenFile,
    canonical_json,
    from_json,
    to_json,
)
from kalla_core.evidence.reconciled import Reconciliation
from kalla_core.jobs.passes import PassFigures

LEFT = SideSummary(
    source="postgres://user:***@host/db?table=invoices",
    records=10,
    matched=7,
    unmatched=3,
    excluded=None,
    duplicate_keys=1,
    null_keys=2,
    identity={"snapshot": "00000003-1"},
)
RIGHT = SideSummary("payments.csv", 8, 7, 1, 4, 0, 0, {"files": [{"path": "payments.csv"}]})
METADATA = RunMetadata(
    run_id="5f0c",
    recipe_id="invoices",
    started_at=datetime(2024, 3, 31, 12, 30, tzinfo=UTC),
    completed_at=datetime(2024, 3, 31, 14, 30, 1, 5, tzinfo=timezone(timedelta(hours=2))),
    left=LEFT,
    right=RIGHT,
    matched_count=9,
    recipe={"recipe_id": "invoices", "name": "Rechnungen, ö"},
    engine="local",
    strategy="copartition",
    files=(WrittenFile("matched.parquet", 9, 1234, "ab" * 32),),
    durations={"scan": 0.5},
    versions={"kalla": "0.1.0", "datafusion": "55.0.0"},
    extras={"fx": {"files": []}},
    warnings=("something",),
)


def test_the_fields_are_called_as_the_contract_says() -> None:
    document = to_json(METADATA)

    assert document == {
        "run_id": "5f0c",
        "recipe_id": "invoices",
        "status": "completed",
        "started_at": "2024-03-31T12:30:00Z",
        "completed_at": "2024-03-31T12:30:01.000005Z",
        "left_source": LEFT.source,
        "right_source": RIGHT.source,
        "left_record_count": 10,
        "right_record_count": 8,
        "matched_count": 9,
        "unmatched_left_count": 3,
        "unmatched_right_count": 1,
        "matched_left_count": 7,
        "matched_right_count": 7,
        "left_excluded_count": None,
        "right_excluded_count": 4,
        "left_duplicate_key_count": 1,
        "right_duplicate_key_count": 0,
        "left_null_key_count": 2,
        "right_null_key_count": 0,
        "left_multiple_match_count": None,
        "left_multiple_match_example": None,
        "right_multiple_match_count": None,
        "right_multiple_match_example": None,
        "engine": "local",
        "strategy": "copartition",
        "sources": {
            "left": LEFT.identity,
            "right": RIGHT.identity,
            "extras": {"fx": {"files": []}},
        },
        "files": [
            {"name": "matched.parquet", "rows": 9, "bytes": 1234, "sha256": "ab" * 32},
        ],
        "durations_s": {"scan": 0.5},
        "versions": {"kalla": "0.1.0", "datafusion": "55.0.0"},
        "warnings": ["something"],
        "recipe_sha256": METADATA.recipe_sha256,
        "recipe": {"recipe_id": "invoices", "name": "Rechnungen, ö"},
    }


@pytest.mark.parametrize("groups", [None, 0, 5])
def test_metadata_comes_back_from_its_json_as_it_was(groups: int | None) -> None:
    metadata = replace(METADATA, matched_groups=groups)
    document = json.loads(json.dumps(to_json(metadata)))

    again = from_json(document)

    assert again == metadata
    assert ("matched_group_count" in document) is (groups is not None)


def test_what_a_reconciliation_did_comes_back_as_it_was() -> None:
    figures = PassFigures(
        name="reference",
        kind="match_sql",
        cardinality="1:N",
        accept="auto",
        candidates=12,
        accepted=7,
        held=2,
        suggested=0,
        rows={"left": 5, "right": 7},
        left_over={"left": 3, "right": 1},
        amounts=({"currency": "EUR", "left": "10.00", "right": "10.00"},),
        notes=("a note",),
    )
    totals = {"left": [], "right": [], "bridge": []}
    compared = ({"left": "status", "right": "state", "equal": 3, "different": 0},)
    metadata = replace(METADATA, reconciliation=Reconciliation((figures,), totals, compared))

    document = json.loads(json.dumps(to_json(metadata)))

    assert document["passes"][0]["left_over"] == {"left": 3, "right": 1}
    assert document["control_totals"] == totals
    assert document["compared"] == list(compared)
    assert from_json(document) == metadata


def test_a_pass_without_its_figures_is_no_metadata() -> None:
    document = {**to_json(METADATA), "passes": [{"name": "reference"}]}

    with pytest.raises(MetadataError, match="passes"):
        from_json(document)


def test_the_sha256_is_that_of_the_recipes_canonical_json() -> None:
    canonical = '{"name":"Rechnungen, ö","recipe_id":"invoices"}'.encode()

    assert canonical_json(METADATA.recipe) == canonical
    assert METADATA.recipe_sha256 == hashlib.sha256(canonical).hexdigest()


def test_the_order_of_a_recipes_fields_does_not_change_its_sha256() -> None:
    turned = replace(METADATA, recipe=dict(reversed(METADATA.recipe.items())))

    assert turned.recipe_sha256 == METADATA.recipe_sha256


def test_fields_that_are_not_known_are_left_alone() -> None:
    document = to_json(METADATA) | {"later": 1}

    assert from_json(document) == METADATA


def test_evidence_of_a_time_before_rows_in_several_matches_were_counted_is_read() -> None:
    document = {k: v for k, v in to_json(METADATA).items() if "_multiple_match_" not in k}

    assert from_json(document) == METADATA


def test_rows_in_several_matches_come_back_as_they_were() -> None:
    counted = replace(METADATA, left=replace(METADATA.left, several=2, several_example="INV-1"))

    assert from_json(to_json(counted)) == counted


@pytest.mark.parametrize("name", sorted(set(to_json(METADATA)) - {"left_excluded_count"}))
@pytest.mark.parametrize("value", [None, True, [[]], {"a": "b"}, "x"])
def test_a_field_that_is_missing_or_wrong_is_named(name: str, value: Any) -> None:
    if from_json_takes(name, value):
        return
    document = to_json(METADATA) | {name: value}

    with pytest.raises(MetadataError):
        from_json(document)


def from_json_takes(name: str, value: Any) -> bool:
    texts = {"run_id", "recipe_id", "status", "left_source", "right_source", "engine", "strategy"}
    return (
        (name in texts and isinstance(value, str))
        or ("_multiple_match_" in name and value is None)
        or (name.endswith("_example") and isinstance(value, str))
        or (name in {"durations_s", "versions"} and isinstance(value, dict))
        or (name == "warnings" and isinstance(value, list))
        or (name == "right_excluded_count" and value is None)
    )


@pytest.mark.parametrize("document", [None, [], "metadata", 7])
def test_a_document_that_is_no_object_is_no_metadata(document: Any) -> None:
    with pytest.raises(MetadataError, match="not a JSON object"):
        from_json(document)


def test_a_recipe_that_was_changed_afterwards_shows() -> None:
    document = to_json(METADATA)
    document["recipe"] = {"recipe_id": "another"}

    with pytest.raises(MetadataError, match="not the one that was run"):
        from_json(document)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../other", "matched.parquet/../../x", "a\0b"])
def test_a_file_that_does_not_lie_beside_it_is_none_of_the_evidence(name: str) -> None:
    document = to_json(METADATA)
    document["files"] = [{"name": name, "rows": 1, "bytes": 1, "sha256": ""}]

    with pytest.raises(MetadataError, match="does not lie beside it"):
        from_json(document)
