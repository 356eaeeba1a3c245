"""How Kalla's time grows with rows, and falls with cores: `python -m benchmarks.scaling`.

The full job on Parquet, Kalla alone, sizes and cores in turn after a warm-up of each, every run
compared with the truth. What is asked (bar 6): four times the rows take at most 4.4 times the time
within the same memory, and two cores do the job at least 1.7 times as fast as one. Medians are
printed and added to `.bench/results/scaling.jsonl`.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.contenders import KALLA, Limits, contenders
from benchmarks.generate import DEFAULT_SEED, Dataset, Format, PatternName
from benchmarks.processes import Memory
from benchmarks.rounds import Course, run_once
from benchmarks.run import add_result, confine, data_for, parse_size

_MOST_GROWTH, _LEAST_GAIN = 4.4, 1.7


@dataclass(frozen=True, slots=True)
class Case:
    """A job on some cores."""

    dataset: Dataset
    cores: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.dataset.size:,} invoices on {self.cores} cores"


def main(
    small: Annotated[str, typer.Option(help="Invoices; four times as many are the other.")] = "4m",
    size: Annotated[str, typer.Option(help="Invoices of the job on one core and on two.")] = "5m",
    rounds: Annotated[int, typer.Option(help="Counted runs of each.", min=1)] = 3,
    memory_limit: Annotated[str, typer.Option(help="Of each run.")] = "2GiB",
    work: Annotated[Path, typer.Option(help="Folder for data and results.")] = Path(".bench"),
) -> None:
    """Print what four times the rows and twice the cores make of Kalla's time."""
    four_times = [_data(work, parse_size(small) * times) for times in (1, 4)]
    rows = [Case(dataset, 2) for dataset in four_times]
    cores = [Case(_data(work, parse_size(size)), count) for count in (1, 2)]
    growth = _medians(rows, rounds, memory_limit, work)
    gain = _medians(cores, rounds, memory_limit, work)
    result = {
        "memory_limit": memory_limit,
        "median_s": dict(zip([case.name for case in (*rows, *cores)], growth + gain, strict=True)),
        "growth": round(growth[1] / growth[0], 3),
        "most_growth": _MOST_GROWTH,
        "gain": round(gain[0] / gain[1], 3),
        "least_gain": _LEAST_GAIN,
    }
    add_result(work, "scaling", result)
    typer.echo(json.dumps(result, indent=2))


def _data(work: Path, invoices: int) -> Dataset:
    return data_for(work, PatternName.ONE_TO_ONE, invoices, Format.PARQUET, DEFAULT_SEED)


def _medians(cases: Sequence[Case], rounds: int, memory_limit: str, work: Path) -> list[float]:
    """Return the median seconds of each case, taken in turn."""
    taken: list[list[float]] = [[] for _ in cases]
    for number in range(rounds + 1):
        for case, seconds in zip(cases, taken, strict=True):
            took = seconds_of(case, memory_limit, work)
            typer.echo(f"{case.name}, {number or 'warm-up'}: {took:.2f} s")
            if number:
                seconds.append(took)
    return [round(statistics.median(seconds), 3) for seconds in taken]


def seconds_of(case: Case, memory_limit: str, work: Path) -> float:
    """Run a case once, compare it with the truth, and return its seconds of wall.

    Raises:
        typer.BadParameter: it failed, or there are fewer cores.
    """
    kalla = next(one for one in contenders() if one.name == KALLA)
    out = work / "out"
    out.mkdir(parents=True, exist_ok=True)
    os.sync()
    with _confined(case.cores):
        course = Course(Limits(memory_limit, case.cores), 1, out)
        measured, failure = run_once(case.dataset, kalla, course, Memory.RSS)
    if failure is not None:
        raise typer.BadParameter(f"{case.name}: {failure}")
    return measured.seconds


@contextmanager
def _confined(cores: int) -> Iterator[None]:
    """Keep what is started meanwhile to so many cores.

    Raises:
        typer.BadParameter: there are fewer.
    """
    before = os.sched_getaffinity(0)
    try:
        if confine(cores) < cores:
            raise typer.BadParameter(f"this takes {cores} cores, and {len(before)} are there")
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    typer.run(main)
