"""What a run that compares two tables found.

As JSON:

    {"equal": false,
     "left": {"source": "...", "rows": 4, "repeated_keys": 0, "null_keys": 0,
              "alone": 1, "key_null": 0, "surplus": 0, "ambiguous": 0,
              "examples": ["4"], "columns": [{"name": "note", "type": "text"}]},
     "right": {...},
     "on": [{"left": "id", "right": "id"}],
     "pairs": 3, "pairs_differing": 2,
     "columns": [{"left": "status", "right": "STATUS", "types": ["text", "text"],
                  "tolerance": null, "equal": 2, "different": 1, "null_against_value": 0,
                  "largest_difference": null, "examples": [{"left_key": "3", "right_key": "3",
                  "left": "active", "right": "closed"}]}],
     "notes": ["..."], "run_id": "...", "evidence": "moved" | null}

`repeated_keys` counts rows that have the key of another row before them. Rows without a partner
are `alone` (their key is on no row of the other side), `key_null`, `surplus` (their key has more
rows here than there) or `ambiguous` (pairs of their key differ in as few columns as others).
`columns` of a side are those that only it has. A column whose types have no value in common was
not compared, and its counts are null.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.differences.columns import Columns, Pair
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import DIFFERENCES_FIELD
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.column_types import type_word

_EXAMPLES = 3
_ALONE, _KEY_NULL, _AMBIGUOUS = "key_not_found", "key_null", "ambiguous"


@dataclass(frozen=True, slots=True)
class SideFound:
    """Rows and columns that only one side has; see the module's page."""

    source: str
    rows: int
    repeated_keys: int
    null_keys: int
    alone: int
    key_null: int
    surplus: int
    ambiguous: int
    examples: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]

    @property
    def without_partner(self) -> int:
        """How many rows have none."""
        return self.alone + self.key_null + self.surplus + self.ambiguous


@dataclass(frozen=True, slots=True)
class ColumnFound:
    """One column of both sides; `figures` as in metadata.json, None where it was not compared."""

    left: str
    right: str
    types: tuple[str, str]
    figures: Mapping[str, Any] | None

    @property
    def differs(self) -> bool:
        """Whether a value of it differs, or none can be equal."""
        return self.figures is None or bool(self.figures["different"])


@dataclass(frozen=True, slots=True)
class Found:
    """What a comparison found."""

    sides: Mapping[Side, SideFound]
    on: tuple[tuple[str, str], ...]
    pairs: int
    pairs_differing: int
    columns: tuple[ColumnFound, ...]
    notes: tuple[str, ...]
    run_id: str

    @property
    def equal(self) -> bool:
        """Whether both sides have the same columns, rows and values; types may be others."""
        return not any(side.without_partner or side.columns for side in self.sides.values()) and (
            not any(column.differs for column in self.columns)
        )


def found_of(evidence: Evidence, columns: Columns, notes: Sequence[str]) -> Found:
    """Return what a run of the made recipe found.

    Args:
        columns: what the recipe was made of.
        notes: sentences for the reader, besides those on columns.
    """
    metadata = evidence.metadata
    told = metadata.reconciliation
    figures = {} if told is None else {one["left"]: one for one in told.compared}
    return Found(
        sides={side: _side(evidence, side, columns) for side in Side},
        on=tuple((pair.left.name, pair.right.name) for pair in columns.on),
        pairs=metadata.matched_count,
        pairs_differing=_differing(evidence),
        columns=tuple(_column(pair, figures) for pair in columns.shared),
        notes=(*columns.notes, *notes),
        run_id=metadata.run_id,
    )


def found_json(found: Found, evidence: str | None) -> dict[str, Any]:
    """Return it as JSON; `evidence` is where it was kept, if it was."""
    return {
        "equal": found.equal,
        **{side.word: _side_json(found.sides[side]) for side in Side},
        "on": [{"left": left, "right": right} for left, right in found.on],
        "pairs": found.pairs,
        "pairs_differing": found.pairs_differing,
        "columns": [_column_json(one) for one in found.columns],
        "notes": list(found.notes),
        "run_id": found.run_id,
        "evidence": evidence,
    }


def _side_json(side: SideFound) -> dict[str, Any]:
    columns = [{"name": name, "type": word} for name, word in side.columns]
    return {**asdict(side), "examples": list(side.examples), "columns": columns}


def _column_json(one: ColumnFound) -> dict[str, Any]:
    names = {"left": one.left, "right": one.right, "types": list(one.types)}
    counted = ("tolerance", "equal", "different", "null_against_value", "largest_difference")
    figures = one.figures or {}
    return {
        **names,
        **{name: figures.get(name) for name in counted},
        "examples": list(figures.get("examples", ())),
    }


def _column(pair: Pair, figures: Mapping[str, Mapping[str, Any]]) -> ColumnFound:
    types = (type_word(pair.left.type), type_word(pair.right.type))
    return ColumnFound(pair.left.name, pair.right.name, types, figures.get(pair.left.name))


def _side(evidence: Evidence, side: Side, columns: Columns) -> SideFound:
    summary = _summary(evidence.metadata, side)
    reasons, examples = _reasons(evidence, side)
    told = {_ALONE, _KEY_NULL, _AMBIGUOUS}
    return SideFound(
        source=summary.source,
        rows=summary.records,
        repeated_keys=summary.duplicate_keys,
        null_keys=summary.null_keys,
        alone=reasons[_ALONE],
        key_null=reasons[_KEY_NULL],
        surplus=sum(rows for reason, rows in reasons.items() if reason not in told),
        ambiguous=reasons[_AMBIGUOUS],
        examples=examples,
        columns=tuple((one.name, type_word(one.type)) for one in columns.alone[side]),
    )


def _summary(metadata: RunMetadata, side: Side) -> Any:
    return metadata.left if side is Side.LEFT else metadata.right


def _reasons(evidence: Evidence, side: Side) -> tuple[Counter[str], tuple[str, ...]]:
    """Return how many rows have each reason, and the least keys of rows without partner."""
    counts: Counter[str] = Counter()
    least = pa.array([], pa.string())
    names = ["record_key", "rejection_reason"]
    for batch in evidence.batches(UNMATCHED[side], columns=names):
        reasons = batch.column("rejection_reason").cast(pa.string())
        for one in reasons.value_counts().to_pylist():
            counts[one["values"]] += one["counts"]
        keys = batch.column("record_key").cast(pa.string()).drop_null()
        some = pa.concat_arrays([least, keys])
        least = some.take(pc.array_sort_indices(some)[:_EXAMPLES])
    return counts, tuple(least.to_pylist())


def _differing(evidence: Evidence) -> int:
    """Return how many pairs differ in some column."""
    if DIFFERENCES_FIELD.name not in evidence.schema(MATCHED).names:
        return 0
    return sum(
        pc.sum(pc.greater(pc.list_value_length(batch.column(0)), 0).cast(pa.int64())).as_py() or 0
        for batch in evidence.batches(MATCHED, columns=[DIFFERENCES_FIELD.name])
    )
