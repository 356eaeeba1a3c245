"""The results that the repository shows: `make bench`, or `python -m benchmarks.page --size 5m`.

Takes Kalla and its peers in turn over the shapes and sizes that there are bars for; then five rows
from the command line, small jobs on a warm coordinator, a cluster beside Sail, and Postgres beside
two COPYs; and writes `README.md` and its plots beside this module. With the full size that takes
half an hour on two idle cores, some of it for data that is made once and kept in `.bench/data`. A
busy machine gives no figures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import profile, report
from benchmarks.contenders import KALLA, Contender, Limits, contenders, kalla_command
from benchmarks.generate import DEFAULT_SEED, Format, PatternName
from benchmarks.processes import run_measured
from benchmarks.ratios import Scenario
from benchmarks.results import PEER, Bar, Latency, bar_of, write
from benchmarks.rounds import Course, run_scenario
from benchmarks.run import confine, data_for, parse_size

_GROWTH = (0.02, 0.06, 0.5)
"""Further sizes of the plots, as shares of the full one."""
_SAIL_BAR, _LOCAL_BAR, _COPIES_BAR = 1.0, 1.2, 2.5
_FIVE_ROWS_BAR_S, _SMALL_JOBS_BAR_S = 0.45, 0.060
_HERE = Path(__file__).parent

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A data set to measure, and how many times its peer's time Kalla may take at most.

    Attributes:
        share: of the full size.
        bar: None where there is none, and the figure is for the plots.
        all_peers: all there are take part, for the plots, and not only the one of the bars.
    """

    pattern: PatternName
    share: float
    format: Format
    bar: float | None = None
    all_peers: bool = False


MEASUREMENTS = (
    Measurement(PatternName.ONE_TO_ONE, 1.0, Format.PARQUET, 1.3, all_peers=True),
    Measurement(PatternName.ONE_TO_ONE, 1.0, Format.CSV, 1.0),
    Measurement(PatternName.ONE_TO_ONE, 0.2, Format.PARQUET, 1.5, all_peers=True),
    Measurement(PatternName.SPLIT, 0.4, Format.PARQUET, 1.3),
    Measurement(PatternName.BATCH, 0.4, Format.PARQUET, 1.3),
    Measurement(PatternName.HARD, 0.4, Format.PARQUET, 1.3),
    *(
        Measurement(PatternName.ONE_TO_ONE, share, Format.PARQUET, all_peers=True)
        for share in _GROWTH
    ),
)


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
    course = Course(limits, rounds, work / "out", lambda line: console.print(line, style="dim"))
    measured = [(one, _scenario(one, full, course, work)) for one in MEASUREMENTS]
    latencies = [_five_rows(course, rounds), _small_jobs(course)]
    stages = _stages(course, data_folder=work, full=full)
    scenarios = [scenario for _, scenario in measured]
    bars = [
        *(bar_of(scenario, one.bar) for one, scenario in measured if one.bar is not None),
        *_cluster(course, work, size),
        *_postgres(course, work, size),
    ]
    setting = report.setting_of("benchmarks.page", contenders(), limits, rounds)
    write(page, scenarios, bars, latencies, stages, setting)
    for verdict in [one.verdict for one in bars] + [one.verdict for one in latencies]:
        console.print(verdict, soft_wrap=True)
    console.print(f"written: {page / 'README.md'}")
    failed = [scenario.outcomes[KALLA].failure for scenario in scenarios]
    for failure in filter(None, failed):
        console.print(f"Kalla: {failure}", style="red", markup=False)
    raise typer.Exit(1 if any(failed) else 0)


def _scenario(one: Measurement, full: int, course: Course, work: Path) -> Scenario:
    size = max(int(full * one.share), 1)
    dataset = data_for(work, one.pattern, size, one.format, DEFAULT_SEED)
    course.tell(f"{one.pattern}, {size:,} invoices, {one.format}")
    return run_scenario(dataset, _taking_part(one), course)


def _taking_part(one: Measurement) -> Sequence[Contender]:
    return [each for each in contenders() if one.all_peers or each.name in (KALLA, PEER)]


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


def _cluster(course: Course, work: Path, size: str) -> list[Bar]:
    """Measure two executors beside Sail's workers and beside Kalla's own local engine."""
    if find_spec("pysail") is None:
        course.tell("no Sail: it takes `pip install '.[bench]'`")
    found = _other("clusters", course, work, size)
    asked = {"sail": _SAIL_BAR, "local": _LOCAL_BAR}
    return [
        Bar(
            f"two executors, {found['size']:,} invoices, {found['format']}, beside {peer}",
            found["ratios"].get(f"cluster / {peer}"),
            found["cpu_ratios"].get(f"cluster / {peer}"),
            bar,
            found["command"],
        )
        for peer, bar in asked.items()
    ]


def _postgres(course: Course, work: Path, size: str) -> list[Bar]:
    """Measure a run over two tables beside two binary COPYs of them."""
    found = _other("postgres", course, work, size, "--only", "job")
    taken = found["contenders"]["kalla run"]
    name = f"one_to_one, {found['size']:,} invoices, Postgres, beside two COPYs"
    return [Bar(name, taken["ratio"], taken["cpu_ratio"], _COPIES_BAR, found["command"])]


def _other(name: str, course: Course, work: Path, size: str, *arguments: str) -> Mapping[str, Any]:
    """Run another benchmark; return the result that it added to its own, with its command."""
    rounds = ("--rounds", str(course.rounds))
    module = (f"benchmarks.{name}", "--size", size, *rounds, *arguments)
    course.tell(f"{name}, {size}")
    folders = ("--work", str(work))
    subprocess.run((sys.executable, "-m", *module, *folders), check=True, stdout=sys.stderr)
    last = (work / "results" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    return {**json.loads(last), "command": " ".join(("python", "-m", *module))}


if __name__ == "__main__":
    typer.run(main)
