"""What the unmatched outputs of a run say, in brief: each reason, how often, and one example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import UNMATCHED
from kalla_core.evidence.places import place_of
from kalla_core.matching.sql.query import Side


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason on one side.

    Attributes:
        reason: the code, as in `rejection_reason`.
        rows: how many rows of the side have it.
        key: `record_key` of the first of them.
        detail: its `reason_detail`.
    """

    reason: str
    rows: int
    key: str
    detail: str


def findings(output: str | Path, metadata: RunMetadata, side: Side) -> tuple[Finding, ...]:
    """Return the reasons in the evidence of one side, the most frequent first.

    Reads the column of the reasons, a row group at a time, and beside it only the row groups in
    which a reason is seen for the first time.
    """
    found: dict[str, Finding] = {}
    place = place_of(output)
    for name in _files(metadata, side):
        with (
            closing(place.open(name)) as stored,
            stored.arrow() as raw,
            pq.ParquetFile(raw) as file,
        ):
            for seen in _by_row_group(file, found):
                before = found.get(seen.reason)
                found[seen.reason] = seen if before is None else _added(before, seen.rows)
    return tuple(sorted(found.values(), key=lambda finding: (-finding.rows, finding.reason)))


def _files(metadata: RunMetadata, side: Side) -> Sequence[str]:
    """Return the file of the side, or the parts in the folder that has its name."""
    name = UNMATCHED[side]
    names = [file.name for file in metadata.files]
    return [one for one in names if one == name or one.startswith(f"{name}/")]


def _by_row_group(file: pq.ParquetFile, known: dict[str, Finding]) -> Iterator[Finding]:
    for number in range(file.num_row_groups):
        reasons = file.read_row_group(number, columns=["rejection_reason"]).column(0)
        counted = pc.value_counts(reasons)
        for entry in counted.to_pylist():
            reason, rows = entry["values"], entry["counts"]
            if reason in known:
                yield replace(known[reason], rows=rows)
            else:
                first = pc.indices_nonzero(pc.equal(reasons, reason))[0].as_py()
                yield _example(file, number, first, reason, rows)


def _example(file: pq.ParquetFile, number: int, row: int, reason: str, rows: int) -> Finding:
    columns = file.read_row_group(number, columns=["record_key", "reason_detail"])
    example = columns.slice(row, 1).to_pylist()[0]
    return Finding(reason, rows, str(example["record_key"]), str(example["reason_detail"]))


def _added(before: Finding, rows: int) -> Finding:
    return replace(before, rows=before.rows + rows)
