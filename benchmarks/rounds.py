"""Taking Kalla and its peers in turn: a warm-up, then rounds A B C, A B C, ... of checked runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.contenders import Contender, Limits
from benchmarks.generate import Dataset
from benchmarks.generate.truth import read_totals
from benchmarks.processes import Measured, Memory, run_measured
from benchmarks.ratios import Outcome, Scenario, Trial

_LAST_LINES = 6

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Course:
    """How a scenario is run.

    Attributes:
        rounds: counted runs of each contender; with 0, there is only the warm-up.
        work: folder for outputs and logs; outputs are removed once they are checked.
        tell: is given a line on every run.
    """

    limits: Limits
    rounds: int
    work: Path
    tell: Tell = field(default=lambda _: None)


def run_scenario(dataset: Dataset, contenders: Sequence[Contender], course: Course) -> Scenario:
    """Run all contenders on one data set. Who fails or is wrong once, is out."""
    course.work.mkdir(parents=True, exist_ok=True)
    outcomes = {contender.name: _warmed_up(dataset, contender, course) for contender in contenders}
    for number in range(1, course.rounds + 1):
        for contender in contenders:
            outcome = outcomes[contender.name]
            if outcome.failure is None:
                outcomes[contender.name] = _tried(dataset, contender, course, number, outcome)
    return Scenario(
        pattern=dataset.pattern,
        size=dataset.size,
        format=dataset.format,
        seed=dataset.seed,
        left_rows=dataset.left_rows,
        right_rows=dataset.right_rows,
        pairs=read_totals(dataset.truth).pairs,
        outcomes=outcomes,
    )


def _warmed_up(dataset: Dataset, contender: Contender, course: Course) -> Outcome:
    measured, failure = run_once(dataset, contender, course, Memory.PSS)
    course.tell(f"{contender.name}, warm-up: {failure or f'{measured.seconds:.2f} s'}")
    return Outcome(pss_bytes=measured.peak_bytes, failure=failure)


def _tried(
    dataset: Dataset, contender: Contender, course: Course, number: int, outcome: Outcome
) -> Outcome:
    os.sync()  # what the one before left to be written is not for this one to pay
    measured, failure = run_once(dataset, contender, course, Memory.RSS)
    course.tell(f"{contender.name}, round {number}: {failure or f'{measured.seconds:.2f} s'}")
    trial = Trial(number, measured.seconds, measured.cpu_seconds, measured.peak_bytes)
    return replace(outcome, trials=(*outcome.trials, trial), failure=failure)


def run_once(
    dataset: Dataset, contender: Contender, course: Course, memory: Memory
) -> tuple[Measured, str | None]:
    """Run a contender once and check its rows; return the measures and what was wrong, if so."""
    out = course.work / contender.name
    shutil.rmtree(out, ignore_errors=True)
    command = contender.command(dataset, out, course.limits)
    measured = run_measured(command, course.work / f"{contender.name}.log", memory)
    failure = _failure(contender, measured, out, dataset.truth)
    shutil.rmtree(out, ignore_errors=True)
    return measured, failure


def _failure(contender: Contender, measured: Measured, out: Path, truth: Path) -> str | None:
    if measured.exit_code != 0:
        said = "\n".join(measured.stderr.strip().splitlines()[-_LAST_LINES:])
        return f"exit code {measured.exit_code}: {said}"
    report = contender.check(out, truth)
    return None if report.ok else f"wrong rows: {report}"
