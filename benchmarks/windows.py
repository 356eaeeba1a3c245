"""Labelled transfers matched by one SQL of windows, beside DuckDB: `python -m benchmarks.windows`.

The SQL finds candidates once and reads them several times: best by reference on both sides first,
then best by amount among what is left, and of these only who has no rival. Both engines run it as
whole processes over the same files, in turn, and write what they find: Kalla its evidence with the
reasons of all other rows, DuckDB the pairs. Prints medians of seconds of wall and CPU time.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import sys
import sysconfig
from pathlib import Path
from typing import Annotated

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

_DUCKDB = """
import sys, duckdb
database = duckdb.connect(config={"threads": int(sys.argv[4])})
for name in ("invoices", "payments"):
    database.read_parquet(f"{sys.argv[1]}/{name}.parquet").create_view(name)
database.sql(sys.argv[2]).write_parquet(sys.argv[3])
print(database.read_parquet(sys.argv[3]).count("*").fetchall()[0][0])
"""


def main(
    invoices: Annotated[int, typer.Option(help="rows a side, about")] = 50_000,
    rounds: Annotated[int, typer.Option(help="runs of each")] = 5,
    threads: Annotated[int, typer.Option(help="of each")] = 2,
    work: Annotated[Path, typer.Option(help="folder for the tables")] = Path(".bench/windows"),
) -> None:
    """Print what both find and what it takes."""
    folder = (work / "data").resolve()
    write(labelled(invoices), folder)
    document = recipe(folder)
    for name in ("passes", "amounts"):
        document.pop(name)
    (folder / "windows.json").write_text(json.dumps({**document, "match_sql": SQL}))
    ours: list[Measured] = []
    theirs: list[Measured] = []
    for _ in range(rounds):
        ours.append(_kalla(folder, work, threads))
        theirs.append(_duckdb(folder, work, threads))
    found = json.loads((work / "evidence" / "metadata.json").read_text())["matched_count"]
    print(f"pairs: kalla {found:,}, duckdb {int(theirs[-1].stdout):,}")
    for name, how in (("kalla", ours), ("duckdb", theirs)):
        print(f"  {name:<7} {_median(how, 'seconds'):.2f} s, {_median(how, 'cpu_seconds'):.2f} CPU")
    times = _median(ours, "cpu_seconds") / _median(theirs, "cpu_seconds")
    print(f"  kalla takes {times:.1f} times the CPU time of duckdb")


def duckdb_sql(sql: str) -> str:
    """Return a match SQL with DuckDB's names of functions."""
    days = re.sub(r"days_between\(([\w.]+), ([\w.]+)\)", r"(\2 - \1)", sql)
    return days.replace("jaro_winkler(", "jaro_winkler_similarity(")


def _kalla(folder: Path, work: Path, threads: int) -> Measured:
    out = work / "evidence"
    shutil.rmtree(out, ignore_errors=True)
    command = [str(_KALLA), "run", str(folder / "windows.json"), "--output", str(out)]
    return _ended(run_measured([*command, "--quiet", "--slots", str(threads)], work / "kalla"))


def _duckdb(folder: Path, work: Path, threads: int) -> Measured:
    code = [sys.executable, "-c", _DUCKDB]
    arguments = [str(folder), duckdb_sql(SQL), str(work / "pairs.parquet"), str(threads)]
    return _ended(run_measured([*code, *arguments], work / "duckdb"))


def _ended(how: Measured) -> Measured:
    if how.exit_code:
        raise SystemExit(f"it ended with {how.exit_code}: {how.stderr[-2000:]}")
    return how


def _median(how: list[Measured], what: str) -> float:
    return statistics.median(getattr(one, what) for one in how)


if __name__ == "__main__":
    typer.run(main)
