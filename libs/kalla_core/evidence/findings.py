"""What the unmatched outputs of a run say, in brief: each reason, how often, and one example."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_core.evidence.finding import Finding


def findings_in(files: Iterable[pq.ParquetFile]) -> tuple[Finding, ...]:
    """Return the reasons in the unmatched output of one side, the most frequent first.

    Reads the column of the reasons, a row group at a time, and beside it only the row groups in
    which a reason is seen for the first time.

    Args:
        files: the output, or its parts; each is read before the next is asked for.
    """
    found: dict[str, Finding] = {}
    for file in files:
        for seen in _by_row_group(file, found):
            before = found.get(seen.reason)
            found[seen.reason] = seen if before is None else _added(before, seen.rows)
    return tuple(sorted(found.values(), key=lambda finding: (-finding.rows, finding.reason)))


def findings_below(folder: Path, names: Iterable[str]) -> tuple[Finding, ...]:
    """Return the reasons in files of a folder that this process has just written."""
    return findings_in(_opened(folder / name for name in names))


def _opened(paths: Iterable[Path]) -> Iterator[pq.ParquetFile]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            yield file


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
