"""The page of results: what was asked of each figure and what was measured, with plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.contenders import KALLA
from benchmarks.plots import bars as bar_plot
from benchmarks.plots import plot
from benchmarks.ratios import Outcome, Scenario, cpu_ratio, ratio

PEER = "duckdb"
"""Whose time most bars are multiples of."""


@dataclass(frozen=True, slots=True)
class Bar:
    """How many times a peer's time Kalla takes, against how many it may take.

    Attributes:
        wall: None where either has no time; `cpu` likewise.
        command: that measures it.
    """

    name: str
    wall: float | None
    cpu: float | None
    asked: float
    command: str

    @property
    def verdict(self) -> str:
        """A line that says whether it is met."""
        met = all(found is not None and found <= self.asked for found in (self.wall, self.cpu))
        return (
            f"{_MET[met]} {self.name}: {_times(self.wall)} wall, {_times(self.cpu)} CPU,"
            f" asked {self.asked} x"
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of something small, against what it may take."""

    name: str
    median_s: float
    best_s: float
    bar_s: float
    command: str

    @property
    def verdict(self) -> str:
        """A line that says whether it is met."""
        met = self.median_s <= self.bar_s
        return f"{_MET[met]} {self.name}: {self.median_s:.3f} s, asked {self.bar_s:.3f} s"


_MET = {True: "met   ", False: "missed"}


def bar_of(scenario: Scenario, asked: float) -> Bar:
    """Return what a scenario says of Kalla beside its peer."""
    kalla, peer = (scenario.outcomes.get(name, Outcome()) for name in (KALLA, PEER))
    command = (
        f"python -m benchmarks.run --size {scenario.size} --pattern {scenario.pattern}"
        f" --format {scenario.format} --peer {PEER}"
    )
    return Bar(scenario.name, ratio(kalla, peer), cpu_ratio(kalla, peer), asked, command)


def write(
    folder: Path,
    scenarios: Sequence[Scenario],
    bars: Sequence[Bar],
    latencies: Sequence[Latency],
    stages: Mapping[str, float],
    setting: report.Setting,
) -> None:
    """Write `README.md` and its plots.

    Args:
        stages: of one run of the largest Parquet, in seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = plots(scenarios, stages)
    for name, svg in drawn.items():
        (folder / name).write_text(svg)
    text = markdown(scenarios, bars, latencies, drawn, setting)
    (folder / "README.md").write_text(text)


def plots(scenarios: Sequence[Scenario], stages: Mapping[str, float]) -> dict[str, str]:
    """Return the plots by file name: rows against seconds and peak memory, and time by stage."""
    grown = sorted(
        (one for one in scenarios if (one.pattern, one.format) == ("one_to_one", "parquet")),
        key=lambda one: one.size,
    )
    names = list(dict.fromkeys(name for one in grown for name in one.outcomes))
    seconds = {name: _points(grown, name, lambda one: one.seconds) for name in names}
    peak = {name: _points(grown, name, _peak_mib) for name in names}
    rows = "rows of both sides"
    drawn = {}
    if any(seconds.values()):
        drawn["seconds.svg"] = plot("Parquet, one_to_one: time", rows, "seconds", seconds)
    if any(peak.values()):
        drawn["peak.svg"] = plot("Parquet, one_to_one: peak memory", rows, "MiB", peak)
    if stages:
        drawn["stages.svg"] = bar_plot("Kalla, the largest Parquet: seconds by stage", stages)
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
    scenarios: Sequence[Scenario],
    bars: Sequence[Bar],
    latencies: Sequence[Latency],
    plots: Sequence[str] | Mapping[str, str],
    setting: report.Setting,
) -> str:
    """Return the page.

    Args:
        plots: names of their files.
    """
    lines = report.markdown(scenarios, setting).splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("## "))
    figures = [
        "## Bars",
        "",
        f"How many times its peer's time Kalla takes, median over rounds; the peer is a {PEER}"
        " script where no other is named. `make bench` measures all of this again and writes this"
        " page.",
        "",
        "| data | wall | CPU | asked | command |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {one.name} | {_times(one.wall)} | {_times(one.cpu)} | {one.asked} x |"
            f" `{one.command}` |"
            for one in bars
        ),
        "",
        "| small | median | fastest | asked | command |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {one.name} | {one.median_s:.3f} s | {one.best_s:.3f} s | {one.bar_s:.3f} s |"
            f" `{one.command}` |"
            for one in latencies
        ),
        "",
        *(f"![{name.removesuffix('.svg')}]({name})" for name in plots),
        "",
    ]
    return "\n".join([*lines[:head], *figures, *lines[head:]]) + "\n"


def _times(found: float | None) -> str:
    return "not measured" if found is None else f"{found:.2f} x"
