"""Ratios of Kalla to its peers: `python -m benchmarks.run --size 1m --pattern split`.

Sizes: `small` takes a few minutes, `5m` is the full size; any number, `250k` and `20m` work too.
Data is made once and kept in `.bench/data`, results are added to `.bench/results`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import profile, report
from benchmarks.contenders import KALLA, Contender, Limits, contenders
from benchmarks.generate import (
    DATA_VERSION,
    DEFAULT_SEED,
    Dataset,
    Format,
    PatternName,
    generate,
    load,
)
from benchmarks.processes import run_measured
from benchmarks.ratios import Scenario
from benchmarks.rounds import Course, run_scenario

SMALL = 300_000
_MANY = 1_000_000
_UNITS = {"k": 1_000, "m": 1_000_000}


def parse_size(text: str) -> int:
    """Return how many invoices `small`, `250k`, `5m` or a number mean.

    Raises:
        ValueError: none of these.
    """
    folded = text.strip().lower()
    if folded == "small":
        return SMALL
    unit = _UNITS.get(folded[-1:], 1)
    digits = folded[:-1] if unit > 1 else folded
    if not digits.isdecimal():
        raise ValueError(f"a size is `small`, `250k`, `5m` or a number, not `{text}`")
    return int(digits) * unit


def data_for(work: Path, pattern: PatternName, size: int, format_: Format, seed: int) -> Dataset:
    """Return the data set, from an earlier run if it is there."""
    folder = work / "data" / f"v{DATA_VERSION}" / f"{pattern}-{size}-{seed}-{format_}"
    try:
        return load(folder)
    except FileNotFoundError:
        shutil.rmtree(folder, ignore_errors=True)
        return generate(pattern, size, seed, folder, format_)


def main(
    size: Annotated[str, typer.Option(help="Invoices: small, 250k, 5m, ...")] = "small",
    pattern: Annotated[
        list[PatternName] | None, typer.Option(help="May be given again; else one_to_one.")
    ] = None,
    format: Annotated[
        list[Format] | None, typer.Option(help="May be given again; else both.")
    ] = None,
    peer: Annotated[
        list[str] | None, typer.Option(help="May be given again; else all of them.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="Counted runs each; 5, or 3 below a million.", min=1)
    ] = None,
    memory_limit: Annotated[str, typer.Option(help="For every engine that knows one.")] = "2GiB",
    cores: Annotated[int, typer.Option(help="For everyone.", min=1)] = 2,
    seed: Annotated[int, typer.Option(help="Other data.")] = DEFAULT_SEED,
    profile_only: Annotated[
        bool, typer.Option("--profile", help="Only Kalla, and where its time goes.")
    ] = False,
    work: Annotated[Path, typer.Option(help="Folder for data and results.")] = Path(".bench"),
) -> None:
    """Take Kalla and its peers in turn and print the ratios; exit code 1 if Kalla failed."""
    console = Console()
    invoices = _size_or_exit(size)
    limits = Limits(memory_limit, confine(cores))
    count = rounds or (3 if invoices < _MANY else 5)
    datasets = (
        data_for(work, name, invoices, format_, seed)
        for name in pattern or [PatternName.ONE_TO_ONE]
        for format_ in format or list(Format)
    )
    if profile_only:
        for dataset in datasets:
            _profile(dataset, limits, work / "out", console)
        return
    taking_part = _chosen(peer)
    course = Course(limits, count, work / "out", lambda line: console.print(line, style="dim"))
    scenarios = []
    for dataset in datasets:
        scenarios.append(run_scenario(dataset, taking_part, course))
        console.print(report.table(scenarios[-1]))
    saved = _save(
        scenarios, report.setting_of("benchmarks.run", taking_part, limits, count), work / "results"
    )
    console.print(f"written: {saved} and {saved.with_suffix('.json').name}")
    failures = [scenario.outcomes[KALLA].failure for scenario in scenarios]
    for failure in filter(None, failures):
        console.print(f"Kalla: {failure}", style="red", markup=False)
    raise typer.Exit(1 if any(failures) else 0)


def _size_or_exit(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--size") from error


def _chosen(names: list[str] | None) -> list[Contender]:
    known = {contender.name: contender for contender in contenders()}
    unknown = set(names or ()) - set(known)
    if unknown:
        peers = ", ".join(name for name in known if name != KALLA)
        raise typer.BadParameter(f"no peer {', '.join(sorted(unknown))}; there are {peers}")
    return [one for one in known.values() if names is None or one.name in (KALLA, *names)]


def confine(cores: int) -> int:
    """Leave this process and all it starts on so many cores; return how many there are."""
    if not hasattr(os, "sched_setaffinity"):
        return min(cores, os.cpu_count() or 1)
    usable = sorted(os.sched_getaffinity(0))[:cores]
    os.sched_setaffinity(0, usable)
    return len(usable)


def add_result(work: Path, name: str, result: Mapping[str, Any]) -> None:
    """Add what a benchmark found to its results: a line of JSON, with the time and the cores.

    Args:
        work: the folder for data and results.
        name: of the benchmark, which has a file of its own.
    """
    file = work / "results" / f"{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with file.open("a", encoding="utf-8") as results:
        results.write(json.dumps({"at": at, "cores": os.cpu_count(), **result}) + "\n")


def _profile(dataset: Dataset, limits: Limits, work: Path, console: Console) -> None:
    work.mkdir(parents=True, exist_ok=True)
    kalla, out = contenders()[0], work / KALLA
    for _ in ("warm-up", "counted"):
        started_at = datetime.now(UTC)
        measured = run_measured(kalla.command(dataset, out, limits), work / "profile.log")
        if measured.exit_code != 0:
            console.print(measured.stderr, style="red", markup=False)
            raise typer.Exit(1)
    console.print(f"{dataset.pattern}, {dataset.size:,} invoices, {dataset.format}")
    spent = profile.shares(out, started_at, measured.seconds)
    console.print(profile.table(spent, measured.seconds))
    shutil.rmtree(out)


def _save(scenarios: list[Scenario], setting: report.Setting, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{setting.taken_at:%Y-%m-%dT%H%M%SZ}.md"
    page.write_text(report.markdown(scenarios, setting))
    content = json.dumps(report.document(scenarios, setting), indent=2)
    page.with_suffix(".json").write_text(content + "\n")
    return page


if __name__ == "__main__":
    typer.run(main)
