"""Labelled transfers beside DuckDB: `python -m benchmarks.beside_duckdb`.

    passes    the recipe of `benchmarks.labelled`; DuckDB joins the candidates of its four passes,
              each over all rows, and writes them with the keys of both sides and all columns that
              the pass decides by. That is more pairs than Kalla's passes see, of which each looks
              at what is left of those before it
    windows   one SQL that finds candidates once and reads them several times: best by reference on
              both sides first, then best by amount among what is left, and of these only who has no
              rival; DuckDB runs the same SQL and writes the pairs

Both are whole processes over the same files, measured alike and in turn (A B A B): each starts its
interpreter, imports what it needs, reads, joins and writes Parquet. Kalla decides, proves, and
explains every row that has no match besides. Prints medians of seconds of wall and CPU time, over
all processes of each, and how many times those of the other they are.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import sys
import sysconfig
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer

from benchmarks.labelled import labelled, recipe, write
from benchmarks.processes import Measured, run_measured

_KALLA = Path(sysconfig.get_path("scripts")) / "kalla"

SQL = """
WITH near AS (
    SELECT
        l.id AS lid,
        r.id AS rid,
        abs(l.amount - r.paid) AS diff,
        days_between(l.day, r.day) AS days,
        coalesce(jaro_winkler(l.ref, r.ref), 0) AS likeness,
        coalesce(l.ref = r.ref, FALSE) AS same_ref
    FROM invoices l
    JOIN payments r
      ON l.customer = r.payer
     AND l.currency = r.currency
     AND abs(l.amount - r.paid) <= 0.02 * l.amount
     AND days_between(l.day, r.day) BETWEEN 0 AND 21
),
by_ref AS (
    SELECT
        lid, rid,
        row_number() OVER (PARTITION BY lid ORDER BY diff, days, rid) AS of_left,
        row_number() OVER (PARTITION BY rid ORDER BY diff, days, lid) AS of_right
    FROM near
    WHERE same_ref
),
found AS (
    SELECT lid, rid FROM by_ref WHERE of_left = 1 AND of_right = 1
),
ranked AS (
    SELECT
        lid, rid,
        rank() OVER (PARTITION BY lid ORDER BY diff, likeness DESC, days) AS of_left,
        rank() OVER (PARTITION BY rid ORDER BY diff, likeness DESC, days) AS of_right
    FROM near
    WHERE lid NOT IN (SELECT lid FROM found) AND rid NOT IN (SELECT rid FROM found)
),
best AS (
    SELECT lid, rid FROM ranked WHERE of_left = 1 AND of_right = 1
)
SELECT lid, rid FROM found
UNION ALL
SELECT lid, rid FROM best
WHERE lid IN (SELECT lid FROM best GROUP BY lid HAVING count(*) = 1)
  AND rid IN (SELECT rid FROM best GROUP BY rid HAVING count(*) = 1)
"""

_DAYS = "days_between(l.day, r.day) BETWEEN 0 AND 21"
_ADDED = "l.id AS lid, r.id AS rid, l.amount, r.paid"
_SUMS = (
    f"SELECT {_ADDED} FROM invoices l JOIN payments r ON l.ref = r.ref AND {_DAYS}",
    f"SELECT {_ADDED} FROM invoices l JOIN payments r ON l.customer = r.payer"
    f" AND l.currency = r.currency AND {_DAYS}",
)
"""The pairs that passes by sums look at: of a block, so many days apart, with both amounts."""

_DUCKDB = """
import sys, duckdb
folder, threads, *statements = sys.argv[1:]
database = duckdb.connect(config={"threads": int(threads)})
for name in ("invoices", "payments"):
    database.read_parquet(f"{folder}/{name}.parquet").create_view(name)
for number, sql in enumerate(statements):
    database.sql(sql).write_parquet(f"{folder}/pairs-{number}.parquet")
"""


class Scenario(StrEnum):
    """What is run."""

    PASSES = "passes"
    WINDOWS = "windows"


def main(
    invoices: Annotated[int, typer.Option(help="rows a side, about")] = 50_000,
    rounds: Annotated[int, typer.Option(help="runs of each")] = 5,
    threads: Annotated[int, typer.Option(help="of each")] = 2,
    work: Annotated[Path, typer.Option(help="folder for the tables")] = Path(".bench/beside"),
    only: Annotated[Scenario | None, typer.Option(help="one of the two")] = None,
) -> None:
    """Print what both find and what it takes."""
    folder = work.resolve() / "data"
    write(labelled(invoices), folder)
    for scenario in Scenario if only is None else (only,):
        statements = _prepared(scenario, folder)
        ours: list[Measured] = []
        theirs: list[Measured] = []
        for _ in range(rounds):
            ours.append(_kalla(folder / f"{scenario}.json", work, threads))
            theirs.append(_duckdb(folder, statements, work, threads))
        found = json.loads((work / "evidence" / "metadata.json").read_text())["matched_count"]
        written = [pq.read_metadata(folder / f"pairs-{n}.parquet") for n in range(len(statements))]
        pairs = sum(one.num_rows for one in written)
        print(f"{scenario}: kalla matches {found:,} pairs, duckdb writes {pairs:,}")
        for name, how in (("kalla", ours), ("duckdb", theirs)):
            cpu, wall = _median(how, "cpu_seconds"), _median(how, "seconds")
            print(f"  {name:<7} {wall:.2f} s, {cpu:.2f} s CPU")
        wall, cpu = (
            _median(ours, what) / _median(theirs, what) for what in ("seconds", "cpu_seconds")
        )
        print(f"  kalla takes {wall:.1f} times the wall and {cpu:.1f} times the CPU time of duckdb")


def _prepared(scenario: Scenario, folder: Path) -> list[str]:
    """Write the recipe of a scenario; return the statements of DuckDB."""
    document = recipe(folder)
    if scenario is Scenario.WINDOWS:
        for name in ("passes", "amounts"):
            document.pop(name)
        document["match_sql"] = SQL
    (folder / f"{scenario}.json").write_text(json.dumps(document))
    if scenario is Scenario.WINDOWS:
        return [duckdb_sql(SQL)]
    written = [one["match_sql"] for one in document["passes"] if "match_sql" in one]
    keyed = [sql.replace("SELECT ", "SELECT l.id AS lid, r.id AS rid, ", 1) for sql in written]
    return [duckdb_sql(sql) for sql in (*keyed, *_SUMS)]


def duckdb_sql(sql: str) -> str:
    """Return a match SQL with DuckDB's names of functions."""
    days = re.sub(r"days_between\(([\w.]+), ([\w.]+)\)", r"(\2 - \1)", sql)
    return days.replace("jaro_winkler(", "jaro_winkler_similarity(")


def _kalla(recipe_path: Path, work: Path, threads: int) -> Measured:
    out = work / "evidence"
    shutil.rmtree(out, ignore_errors=True)
    command = [str(_KALLA), "run", str(recipe_path), "--output", str(out)]
    return _ended(run_measured([*command, "--quiet", "--slots", str(threads)], work / "kalla"))


def _duckdb(folder: Path, statements: list[str], work: Path, threads: int) -> Measured:
    command = [sys.executable, "-c", _DUCKDB, str(folder), str(threads), *statements]
    return _ended(run_measured(command, work / "duckdb"))


def _ended(how: Measured) -> Measured:
    if how.exit_code:
        raise SystemExit(f"it ended with {how.exit_code}: {how.stderr[-2000:]}")
    return how


def _median(how: list[Measured], what: str) -> float:
    return float(statistics.median(getattr(one, what) for one in how))


if __name__ == "__main__":
    typer.run(main)
