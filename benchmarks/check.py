"""Are the rows of a run right? `python -m benchmarks.check EVIDENCE TRUTH`.

Keys in the evidence are compared with the truth as multisets: a pair that is there twice but
should be once is as wrong as one that is missing, and null is a key like any other. DuckDB does
it within 1 GiB, on disk where that does not suffice. Beside it the accounting in metadata.json
must hold: rows of a side = rows matched + rows unmatched, and counts = rows in the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks import duck
from benchmarks.generate.truth import (
    PAIRS,
    UNMATCHED_LEFT,
    UNMATCHED_RIGHT,
    Totals,
    read_totals,
)

MATCHED = "matched.parquet"
_MEMORY_BYTES = 2**30
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a run, and the truth it is held against.

    Attributes:
        path: a Parquet file, or a folder of part files.
        keys: its key columns, in the order of those of the truth.
        truth: the truth's file; its columns are `truth_keys` and `n`.
    """

    name: str
    path: Path
    keys: tuple[str, ...]
    truth: Path
    truth_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """How the keys of one output differ from the truth; rows are counted, not distinct keys."""

    name: str
    rows: int
    missing: int
    unexpected: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line, followed by one per example."""
        lines = [f"{self.name}: {self.missing:,} rows missing, {self.unexpected:,} unexpected"]
        return "\n".join([*lines, *(f"  {example}" for example in self.examples)])


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found; `rows` tells how many rows each output has."""

    rows: Mapping[str, int]
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return not self.faults

    def __str__(self) -> str:
        """Return all faults, or the counts."""
        if self.faults:
            return "\n".join(self.faults)
        counts = ", ".join(f"{rows:,} {name}" for name, rows in self.rows.items())
        return f"equal to the truth: {counts}"


def check(evidence: Path, truth: Path) -> Report:
    """Compare Kalla's evidence in a folder with the truth in another.

    Raises:
        FileNotFoundError: there is no truth in `truth`.
    """
    report = check_outputs(evidence, truth, ("left_key", "right_key"), ("record_key", "record_key"))
    return Report(report.rows, report.faults + _accounting_faults(evidence, truth, report.rows))


def check_outputs(
    folder: Path, truth: Path, pair_keys: tuple[str, str], record_keys: tuple[str, str]
) -> Report:
    """Compare the three files of anybody's run with the truth.

    The files are `matched.parquet`, `unmatched_left.parquet`, `unmatched_right.parquet`;
    `pair_keys` names the key columns of the first, `record_keys` the one of each of the others.
    """
    read_totals(truth)
    left, right = record_keys
    record = ("record_key",)
    outputs = (
        Output("matched", folder / MATCHED, pair_keys, truth / PAIRS, ("left_key", "right_key")),
        Output("unmatched_left", folder / UNMATCHED_LEFT, (left,), truth / UNMATCHED_LEFT, record),
        Output(
            "unmatched_right", folder / UNMATCHED_RIGHT, (right,), truth / UNMATCHED_RIGHT, record
        ),
    )
    with (
        TemporaryDirectory() as temporary,
        duck.connect(
            memory_bytes=_MEMORY_BYTES, threads=2, temporary=Path(temporary)
        ) as connection,
    ):
        unreadable = [fault for output in outputs for fault in _shape_faults(connection, output)]
        if unreadable:
            return Report({}, tuple(unreadable))
        differences = [compare(connection, output) for output in outputs]
    return Report(
        {difference.name: difference.rows for difference in differences},
        tuple(str(each) for each in differences if each.missing or each.unexpected),
    )


def compare(connection: Any, output: Output) -> Difference:
    """Return how one output differs from its truth."""
    columns = ", ".join(f"k{place}" for place in range(len(output.keys)))
    found = _keys_as(output.keys)
    told = _keys_as(output.truth_keys)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE difference AS"
        f" SELECT {columns}, sum(n)::BIGINT AS n FROM ("
        f"SELECT {told}, n FROM {_parquet(output.truth)}"
        f" UNION ALL SELECT {found}, -1 FROM {_parquet(output.path)}"
        f") GROUP BY ALL HAVING sum(n) <> 0"
    )
    missing, unexpected = connection.execute(
        "SELECT coalesce(sum(n) FILTER (n > 0), 0)::BIGINT,"
        " coalesce(-sum(n) FILTER (n < 0), 0)::BIGINT FROM difference"
    ).fetchone()
    examples = connection.execute(
        f"SELECT * FROM difference ORDER BY {columns} LIMIT {_EXAMPLES}"
    ).fetchall()
    (rows,) = connection.execute(f"SELECT count(*) FROM {_parquet(output.path)}").fetchone()
    return Difference(output.name, rows, missing, unexpected, tuple(map(_example, examples)))


def _shape_faults(connection: Any, output: Output) -> list[str]:
    """Return what keeps the keys of an output from being read."""
    if not output.path.exists():
        return [f"{output.path} is not there"]
    described = connection.execute(f"DESCRIBE FROM {_parquet(output.path)}").fetchall()
    types = {name: type_ for name, type_, *_ in described}
    return [
        f"{output.path}: {key} is {types.get(key, 'not there')}, and should be text"
        for key in output.keys
        if types.get(key) != "VARCHAR"
    ]


def _accounting_faults(evidence: Path, truth: Path, rows: Mapping[str, int]) -> tuple[str, ...]:
    path = evidence / "metadata.json"
    if not path.exists():
        return (f"no {path}: the run did not complete",)
    metadata = json.loads(path.read_text())
    expected = _expected_counts(read_totals(truth), rows)
    return tuple(
        f"metadata.json: {name} is {metadata.get(name)}, not {value}"
        for name, value in expected.items()
        if metadata.get(name) != value
    )


def _expected_counts(totals: Totals, rows: Mapping[str, int]) -> dict[str, object]:
    expected: dict[str, object] = {
        "status": "completed",
        "left_record_count": totals.left_rows,
        "right_record_count": totals.right_rows,
        "matched_left_count": totals.left_rows - totals.unmatched_left,
        "matched_right_count": totals.right_rows - totals.unmatched_right,
    }
    return expected | {f"{name}_count": count for name, count in rows.items()}


def _keys_as(keys: tuple[str, ...]) -> str:
    return ", ".join(f'"{key}" AS k{place}' for place, key in enumerate(keys))


def _parquet(path: Path) -> str:
    found = path / "**" / "*.parquet" if path.is_dir() else path
    return f"read_parquet({duck.quoted(str(found))})"


def _example(row: tuple[Any, ...]) -> str:
    *keys, n = row
    shown = " and ".join("null" if key is None else str(key) for key in keys)
    return f"{'missing' if n > 0 else 'unexpected'}: {shown}" + (
        f" ({abs(n)})" if abs(n) > 1 else ""
    )


def main(
    evidence: Annotated[Path, typer.Argument(help="Folder that a run wrote.")],
    truth: Annotated[Path, typer.Argument(help="Folder `truth` of the generated data set.")],
) -> None:
    """Compare the evidence of a run with the truth; exit code 1 where they differ."""
    try:
        report = check(evidence, truth)
    except FileNotFoundError as error:
        raise typer.BadParameter(f"no truth in {truth}: {error}") from error
    print(report)
    raise typer.Exit(0 if report.ok else 1)


if __name__ == "__main__":
    typer.run(main)
