"""`kalla diff` beside DataComPy: `python -m benchmarks.diff --datacompy PYTHON`.

Two pairs of tables of which it is known how many values of each column differ:

    wide    3,000 rows of 60 columns, a table of Postgres against Parquet
    long    1,000,000 rows of 20 columns, Parquet against Parquet

Of the columns of money one is too large for doubles to tell its cents apart. Prints how many
columns each counts as they are, seconds of wall and CPU time, and the peak of memory. DataComPy
needs an environment of its own, with datacompy, pyarrow and `psycopg[binary]`; without
`--datacompy` only `kalla diff` runs.
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.postgres import load_table
from benchmarks.processes import Measured, run_measured
from kalla_core.cli.embedded_postgres import embedded_server

KEY = "id"
_KALLA = Path(sysconfig.get_path("scripts")) / "kalla"
_PEER = Path(__file__).parent / "peers" / "datacompy_peer.py"
_MIB = 1 << 20
_HUGE = 10**17
"""Cents of such amounts are beyond what a double holds."""


class Scenario(StrEnum):
    """What is compared."""

    WIDE = "wide"
    LONG = "long"


_SHAPES = {Scenario.WIDE: (3_000, 60), Scenario.LONG: (1_000_000, 20)}


@dataclass(frozen=True, slots=True)
class Tables:
    """Two versions of a table.

    Attributes:
        differ: how many values of each column do, among the keys that both have.
    """

    left: pa.Table
    right: pa.Table
    differ: Mapping[str, int]


def main(
    datacompy: Annotated[
        Path | None, typer.Option(help="an interpreter that has datacompy installed")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="of the long tables, to try it")] = None,
    work: Annotated[Path, typer.Option(help="folder for the tables")] = Path(".bench/diff"),
    only: Annotated[Scenario | None, typer.Option(help="one of the two")] = None,
) -> None:
    """Print what both count and what it takes."""
    work.mkdir(parents=True, exist_ok=True)
    for scenario in Scenario if only is None else (only,):
        count, columns = _SHAPES[scenario]
        tables = two_versions(rows or count if scenario is Scenario.LONG else count, columns)
        with ExitStack() as stack:
            left, right = str(work / f"{scenario}_left.parquet"), str(work / f"{scenario}.parquet")
            pq.write_table(tables.left, left)
            pq.write_table(tables.right, right)
            if scenario is Scenario.WIDE:
                server = stack.enter_context(embedded_server())
                load_table(server, "wide", Path(left))
                left = server.uri(table="wide")
            _compare(scenario, tables, left, right, work, datacompy)


def two_versions(rows: int, columns: int, seed: int = 7) -> Tables:
    """Return two versions of a table; one row of a hundred is on the left only."""
    chosen = np.random.default_rng(seed)
    left = {KEY: pa.array(np.arange(rows))}
    right = dict(left)
    stays = chosen.random(rows) > 0.01
    differ = {}
    for number in range(columns - 1):
        kind = _KINDS[number % len(_KINDS)]
        name = f"{kind}_{number}"
        values, changes = chosen.integers(1, 10**6, rows), chosen.random(rows) < number / 5_000
        left[name] = _column(kind, values)
        right[name] = _column(kind, values + changes)
        differ[name] = int((changes & stays).sum())
    order = pa.array(chosen.permutation(int(stays.sum())))
    return Tables(pa.table(left), pa.table(right).filter(pa.array(stays)).take(order), differ)


_KINDS = ("money", "text", "count", "day", "huge", "moment")


def _column(kind: str, values: np.ndarray) -> pa.Array:
    match kind:
        case "money":
            return _cents(values)
        case "huge":
            return _cents(values + _HUGE * 10)
        case "text":
            return pa.array(np.char.add("v", values.astype(str)))
        case "day":
            return pa.array((values % 20_000).astype(np.int32), pa.date32())
        case "moment":
            return pa.array(values * 1_000_003, pa.timestamp("us"))
        case _:
            return pa.array(values)


def _cents(values: np.ndarray) -> pa.Array:
    return pa.Array.from_buffers(
        pa.decimal128(24, 2),
        len(values),
        [None, *pa.array(values).cast(pa.decimal128(24, 0)).buffers()[1:]],
    )


def _compare(
    scenario: Scenario, tables: Tables, left: str, right: str, work: Path, peer: Path | None
) -> None:
    rows, columns = tables.left.num_rows, tables.left.num_columns
    print(f"{scenario}: {rows:,} rows, {columns} columns, {sum(tables.differ.values()):,} differ")
    ours = run_measured(
        [str(_KALLA), "diff", left, right, "--on", KEY, "--json", "--quiet"], work / "kalla"
    )
    found = json.loads(ours.stdout)["columns"]
    _print("kalla diff", ours, {one["left"]: one["different"] for one in found}, tables.differ)
    if peer is None:
        return
    theirs = run_measured([str(peer), str(_PEER), left, right, KEY], work / "datacompy")
    if theirs.exit_code:
        print(f"  DataComPy ended with {theirs.exit_code}: {theirs.stderr[-500:]}")
        return
    _print("DataComPy", theirs, json.loads(theirs.stdout), tables.differ)


def _print(name: str, how: Measured, counts: Mapping[str, int], differ: Mapping[str, int]) -> None:
    wrong = [f"{column} {counts.get(column)} for {n}" for column, n in differ.items()
             if counts.get(column) != n]  # fmt: skip
    right = len(differ) - len(wrong)
    peak = 0 if how.peak_bytes is None else how.peak_bytes // _MIB
    print(
        f"  {name:<11} {right} of {len(differ)} columns as they are; {how.seconds:.1f} s, "
        f"{how.cpu_seconds:.1f} s CPU, {peak:,} MiB"
    )
    if wrong:
        print(f"    wrong: {', '.join(wrong[:6])}{', …' if len(wrong) > 6 else ''}")


if __name__ == "__main__":
    typer.run(main)
