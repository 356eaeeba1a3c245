"""What more cores would make of a run of Kalla: `python -m benchmarks.cores --size 5m`.

Runs the full job on one core and on two, traces it once cut as for two cores and once as for
`--cores`, and says for each stage what one thread has to do and what all can share (see
`benchmarks.critical`). From the first it tells the time on one core and on two, to be held against
what was measured, from the second that on `--cores`. Stages are in the order of what they take
there: those at the top are what to shorten next.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.critical import Stage, stages
from benchmarks.generate import DEFAULT_SEED, Dataset, Format, PatternName
from benchmarks.run import add_result, data_for, parse_size
from benchmarks.scaling import Case, seconds_of

_FEW = 5
"""Invoices. What so few take beside what is traced is what every run takes before and after it."""


def main(
    size: Annotated[str, typer.Option(help="Invoices.")] = "5m",
    pattern: Annotated[PatternName, typer.Option()] = PatternName.ONE_TO_ONE,
    format: Annotated[Format, typer.Option()] = Format.PARQUET,
    cores: Annotated[int, typer.Option(help="That are asked about.", min=1)] = 16,
    rounds: Annotated[int, typer.Option(help="Runs of each kind.", min=1)] = 3,
    memory_limit: Annotated[str, typer.Option(help="Of each run.")] = "2GiB",
    work: Annotated[Path, typer.Option(help="Folder for data and results.")] = Path(".bench"),
) -> None:
    """Print stage by stage what is serial, and the time on other numbers of cores."""
    dataset = data_for(work, pattern, parse_size(size), format, DEFAULT_SEED)
    few = data_for(work, pattern, _FEW, format, DEFAULT_SEED)
    start = _median(Case(few, 2), rounds, memory_limit, work) - _within(few, memory_limit, work)
    measured = {
        count: _median(Case(dataset, count), rounds, memory_limit, work) for count in (1, 2)
    }
    alone = Stage("start and end", start, start)
    few_cores, found = (
        [alone, *stages(_trace(dataset, memory_limit, work, threads))] for threads in (2, cores)
    )
    told = {count: sum(stage.seconds(count) for stage in few_cores) for count in (1, 2)}
    told[cores] = sum(stage.seconds(cores) for stage in found)
    Console().print(table(found, cores))
    result = {
        "dataset": dataset.folder.name,
        "memory_limit": memory_limit,
        "measured_s": measured,
        "measured_gain": round(measured[1] / measured[2], 2),
        "told_s": {count: round(seconds, 2) for count, seconds in told.items()},
        "told_gain": round(told[1] / told[2], 2),
        f"told_gain_of_{cores}": round(told[1] / told[cores], 2),
        "stages": [(one.name, round(one.cpu, 3), round(one.seconds(cores), 3)) for one in found],
    }
    add_result(work, "cores", result)
    print(json.dumps({name: value for name, value in result.items() if name != "stages"}, indent=2))


def table(found: list[Stage], cores: int) -> Table:
    """Return the stages for a terminal, the longest on `cores` first."""
    drawn = Table(title=f"Seconds by stage, and on {cores} cores", title_justify="left")
    drawn.add_column("stage")
    for name in ("CPU", "one thread alone", "tasks", "longest task", f"on {cores} cores"):
        drawn.add_column(name, justify="right")
    for one in sorted(found, key=lambda stage: -stage.seconds(cores)):
        tasks = (str(len(one.tasks)), f"{max(one.tasks):.2f}") if one.tasks else ("", "")
        seconds = f"{one.seconds(cores):.2f}"
        drawn.add_row(one.name, f"{one.cpu:.2f}", f"{one.serial:.2f}", *tasks, seconds)
    return drawn


def _median(case: Case, rounds: int, memory_limit: str, work: Path) -> float:
    return round(statistics.median(seconds_of(case, memory_limit, work) for _ in range(rounds)), 3)


def _within(dataset: Dataset, memory_limit: str, work: Path) -> float:
    """Return how many seconds of a run are traced."""
    trace: Any = _trace(dataset, memory_limit, work, 2)
    return float(trace["end"]["wall"])


def _trace(dataset: Dataset, memory_limit: str, work: Path, threads: int) -> dict[str, object]:
    os.sync()
    command = [sys.executable, "-m", "benchmarks.traced", str(dataset.recipe_path)]
    done = subprocess.run(
        [*command, str(work), str(threads), memory_limit, "2"],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    typer.run(main)
