"""The results that the repository shows: `make bench`, or `python -m benchmarks.page --size 5m`.

Takes Kalla and the DuckDB script in turn over the shapes and sizes that there are bars for, five
rows from the command line, and small jobs on a warm coordinator; then writes `README.md` and its
plots beside this module. With the full size that takes a quarter of an hour on two idle cores, most
of it for data that is made once and kept in `.bench/data`. A busy machine gives no figures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import profile, report
from benchmarks.contenders import KALLA, Contender, Limits, contenders, kalla_command
from benchmarks.generate import DEFAULT_SEED, Format, PatternName
from benchmarks.plots import plot
from benchmarks.processes import run_measured
from benchmarks.ratios import Outcome, Scenario, cpu_ratio, ratio
from benchmarks.rounds import Course, run_scenario
from benchmarks.run import confine, data_for, parse_size

PEER = "duckdb"
_GROWTH = (0.02, 0.06, 0.5)
"""Further sizes of the plots, as shares of the full one."""
_FIVE_ROWS_BAR_S, _SMALL_JOBS_BAR_S = 0.45, 0.060
_HERE = Path(__file__).parent

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A data set to measure, and how many times its peer's time Kalla may take at most.

    Attributes:
        share: of the full size.
        bar: None where there is none, and the figure is for the plots.
    """

    pattern: PatternName
    share: float
    format: Format
    bar: float | None = None


MEASUREMENTS = (
    Measurement(PatternName.ONE_TO_ONE, 1.0, Format.PARQUET, 1.3),
    Measurement(PatternName.ONE_TO_ONE, 1.0, Format.CSV, 1.0),
    Measurement(PatternName.ONE_TO_ONE, 0.2, Format.PARQUET, 1.5),
    Measurement(PatternName.SPLIT, 0.4, Format.PARQUET, 1.3),
    Measurement(PatternName.BATCH, 0.4, Format.PARQUET, 1.3),
    Measurement(PatternName.HARD, 0.4, Format.PARQUET, 1.3),
    *(Measurement(PatternName.ONE_TO_ONE, share, Format.PARQUET) for share in _GROWTH),
)


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of something small, against what it may take."""

    name: str
    median_s: float
    best_s: float
    bar_s: float
    command: str


def main(
    size: Annotated[str, typer.Option(help="Invoices of the largest data set.")] = "5m",
    rounds: Annotated[int, typer.Option(help="Counted runs of each.", min=1)] = 5,
    memory_limit: Annotated[str, typer.Option(help="For both engines.")] = "2GiB",
    cores: Annotated[int, typer.Option(help="For both.", min=1)] = 2,
    page: Annotated[Path, typer.Option(help="Folder for README.md and plots.")] = _HERE,
    work: Annotated[Path, typer.Option(help="Folder for data.")] = Path(".bench"),
) -> None:
    """Measure, print what misses its bar, and write the page; exit code 1 if Kalla failed."""
    console = Console()
    full = parse_size(size)
    limits = Limits(memory_limit, confine(cores))
    taking_part = [one for one in contenders() if one.name in (KALLA, PEER)]
    course = Course(limits, rounds, work / "out", lambda line: console.print(line, style="dim"))
    measured = [(one, _scenario(one, full, taking_part, course, work)) for one in MEASUREMENTS]
    latencies = [_five_rows(course, rounds), _small_jobs(course)]
    stages = _stages(course, data_folder=work, full=full)
    setting = report.setting_of("benchmarks.page", taking_part, limits, rounds)
    _write(page, measured, latencies, stages, setting)
    for line in _verdicts(measured, latencies):
        console.print(line, soft_wrap=True)
    console.print(f"written: {page / 'README.md'}")
    failed = [scenario.outcomes[KALLA].failure for _, scenario in measured]
    for failure in filter(None, failed):
        console.print(f"Kalla: {failure}", style="red", markup=False)
    raise typer.Exit(1 if any(failed) else 0)


def _scenario(
    one: Measurement, full: int, taking_part: Sequence[Contender], course: Course, work: Path
) -> Scenario:
    size = max(int(full * one.share), 1)
    dataset = data_for(work, one.pattern, size, one.format, DEFAULT_SEED)
    course.tell(f"{one.pattern}, {size:,} invoices, {one.format}")
    return run_scenario(dataset, taking_part, course)


def _five_rows(course: Course, rounds: int) -> Latency:
    """Run five rows of CSV from the command line, after one run that warms the caches."""
    folder = course.work / "five"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "left.csv").write_text("id,amount\n" + "".join(f"A{n},{n}.50\n" for n in range(5)))
    (folder / "right.csv").write_text("id,amount\n" + "".join(f"A{n},{n}.50\n" for n in range(5)))
    sql = "SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.id = r.id"
    sources = {
        side: {"alias": side + "s", "type": "file", "uri": f"{side}.csv", "primary_key": ["id"]}
        for side in ("left", "right")
    }
    recipe = {"recipe_id": "five", "name": "Five rows", "match_sql": sql, "sources": sources}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    command = (
        *(str(Path(sys.executable).with_name("kalla")), "run", str(folder / "recipe.json")),
        *("--output", str(folder / "out"), "--overwrite", "--json"),
    )
    seconds = []
    for number in range(2 * rounds + 1):
        measured = run_measured(command, course.work / "five.log")
        if measured.exit_code != 0:
            raise typer.BadParameter(f"five rows failed: {measured.stderr}")
        if number:
            seconds.append(measured.seconds)
    course.tell(f"five rows: {statistics.median(seconds):.3f} s")
    return Latency(
        "five rows of CSV, `kalla run` from start to end",
        statistics.median(seconds),
        min(seconds),
        _FIVE_ROWS_BAR_S,
        "kalla run recipe.json",
    )


def _small_jobs(course: Course) -> Latency:
    command = (sys.executable, "-m", "benchmarks.small_jobs")
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said)
    course.tell(f"small jobs: {found['median_s']:.3f} s")
    return Latency(
        "10k x 10k of CSV over HTTP on a running coordinator, until its callback",
        found["median_s"],
        found["best_s"],
        _SMALL_JOBS_BAR_S,
        "python -m benchmarks.small_jobs",
    )


def _stages(course: Course, *, data_folder: Path, full: int) -> dict[str, float]:
    """Return the seconds by stage of one run of the largest Parquet."""
    dataset = data_for(data_folder, PatternName.ONE_TO_ONE, full, Format.PARQUET, DEFAULT_SEED)
    out, started_at = course.work / "stages", datetime.now(UTC)
    command = kalla_command(dataset, out, course.limits)
    measured = run_measured(command, course.work / "stages.log")
    if measured.exit_code != 0:
        return {}
    return dict(profile.shares(out, started_at, measured.seconds))


def _verdicts(
    measured: Sequence[tuple[Measurement, Scenario]], latencies: Sequence[Latency]
) -> list[str]:
    """Return a line for each bar: what was asked, what was measured, and whether it is met."""
    lines = []
    for one, scenario in measured:
        if one.bar is not None:
            wall, cpu = ratios_of(scenario)
            met = all(found is not None and found <= one.bar for found in (wall, cpu))
            lines.append(
                f"{'met   ' if met else 'missed'} {scenario.name}: {_times(wall)} wall, "
                f"{_times(cpu)} CPU, asked {one.bar} x"
            )
    for latency in latencies:
        met = latency.median_s <= latency.bar_s
        lines.append(
            f"{'met   ' if met else 'missed'} {latency.name}: {latency.median_s:.3f} s, "
            f"asked {latency.bar_s:.3f} s"
        )
    return lines


def ratios_of(scenario: Scenario) -> tuple[float | None, float | None]:
    """Return Kalla's wall and CPU time, as multiples of its peer's."""
    kalla, peer = (scenario.outcomes.get(name, Outcome()) for name in (KALLA, PEER))
    return ratio(kalla, peer), cpu_ratio(kalla, peer)


def _write(
    folder: Path,
    measured: Sequence[tuple[Measurement, Scenario]],
    latencies: Sequence[Latency],
    stages: dict[str, float],
    setting: report.Setting,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scenarios = [scenario for _, scenario in measured]
    for name, svg in plots(scenarios).items():
        (folder / name).write_text(svg)
    (folder / "README.md").write_text(markdown(measured, latencies, stages, setting))


def plots(scenarios: Sequence[Scenario]) -> dict[str, str]:
    """Return the plots by file name: rows against seconds and against peak memory."""
    grown = sorted(
        (one for one in scenarios if (one.pattern, one.format) == ("one_to_one", "parquet")),
        key=lambda one: one.size,
    )
    names = [name for name in (KALLA, PEER) if any(name in one.outcomes for one in grown)]
    seconds = {name: _points(grown, name, lambda one: one.seconds) for name in names}
    peak = {name: _points(grown, name, _peak_mib) for name in names}
    rows = "rows of both sides"
    drawn = {}
    if any(seconds.values()):
        drawn["seconds.svg"] = plot("Parquet, one_to_one: time", rows, "seconds", seconds)
    if any(peak.values()):
        drawn["peak.svg"] = plot("Parquet, one_to_one: peak memory", rows, "MiB", peak)
    return drawn


def _points(
    scenarios: Sequence[Scenario], name: str, value: Callable[[Outcome], float | None]
) -> list[tuple[float, float]]:
    found = [
        (float(one.left_rows + one.right_rows), value(one.outcomes.get(name, Outcome())))
        for one in scenarios
    ]
    return [(rows, measured) for rows, measured in found if measured]


def _peak_mib(outcome: Outcome) -> float | None:
    return None if outcome.pss_bytes is None else outcome.pss_bytes / (1 << 20)


def markdown(
    measured: Sequence[tuple[Measurement, Scenario]],
    latencies: Sequence[Latency],
    stages: dict[str, float],
    setting: report.Setting,
) -> str:
    """Return the page."""
    scenarios = [scenario for _, scenario in measured]
    lines = report.markdown(scenarios, setting).splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("## "))
    bars = [
        "## Bars",
        "",
        f"How many times the {PEER} script's time Kalla takes, median over rounds. `make bench`"
        " measures all of this again and writes this page.",
        "",
        "| data | wall | CPU | asked |",
        "|---|---:|---:|---:|",
        *(
            f"| {scenario.name} | {_times(wall)} | {_times(cpu)} | {one.bar} x |"
            for one, scenario in measured
            if one.bar is not None
            for wall, cpu in (ratios_of(scenario),)
        ),
        "",
        "| small | median | fastest | asked |",
        "|---|---:|---:|---:|",
        *(
            f"| {one.name} (`{one.command}`) | {one.median_s:.3f} s | {one.best_s:.3f} s |"
            f" {one.bar_s:.3f} s |"
            for one in latencies
        ),
        "",
        *(f"![{name.removesuffix('.svg')}]({name})" for name in plots(scenarios)),
        "",
        "## Time by stage, the largest Parquet",
        "",
        "| stage | seconds |",
        "|---|---:|",
        *(f"| {name} | {seconds:.2f} |" for name, seconds in stages.items()),
        "",
    ]
    return "\n".join([*lines[:head], *bars, *lines[head:]]) + "\n"


def _times(found: float | None) -> str:
    return "not measured" if found is None else f"{found:.2f} x"


if __name__ == "__main__":
    typer.run(main)
