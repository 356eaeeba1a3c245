"""The results page: bars with ratios, plots with every point."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from benchmarks.plots import bars, plot
from benchmarks.ratios import Outcome, Scenario, Trial, cpu_ratio
from benchmarks.report import Setting
from benchmarks.results import Bar, Latency, bar_of, markdown, plots

SVG = "{http://www.w3.org/2000/svg}"
SETTING = Setting(
    taken_at=datetime(2026, 11, 28, tzinfo=UTC),
    cores=2,
    memory_limit="2GiB",
    rounds=2,
    machine={"processor": "p", "cores": "2", "memory": "m", "system": "s", "python": "3"},
    versions={"kalla": {"kalla": "1"}},
    command="make bench",
)


def outcome(seconds: float, cpu: float) -> Outcome:
    trials = tuple(Trial(number, seconds, cpu, 1 << 30) for number in (1, 2))
    return Outcome(trials, pss_bytes=int(seconds * (100 << 20)))


def scenario(size: int) -> Scenario:
    both = {"kalla": outcome(size / 1e6, 3.0), "duckdb": outcome(size / 2e6, 2.0)}
    return Scenario("one_to_one", size, "parquet", 1, size, size, size // 2, both)


def test_cpu_is_compared_round_by_round_as_time_is() -> None:
    assert cpu_ratio(outcome(1.0, 3.0), outcome(1.0, 2.0)) == 1.5
    assert cpu_ratio(outcome(1.0, 3.0), Outcome(failure="no")) is None


def test_a_page_says_of_each_bar_what_was_measured() -> None:
    one = scenario(5)
    small = Latency("five rows", 0.4, 0.3, 0.45, "kalla run")
    unknown = Bar("two executors, beside sail", None, None, 1.0, "python -m benchmarks.clusters")

    page = markdown([one], [bar_of(one, 1.3), unknown], [small], ["seconds.svg"], SETTING)

    assert "| one_to_one, 5 invoices, parquet | 2.00 x | 1.50 x | 1.3 x |" in page
    assert "| two executors, beside sail | not measured | not measured | 1.0 x |" in page
    assert "| five rows | 0.400 s | 0.300 s | 0.450 s | `kalla run` |" in page
    assert "![seconds](seconds.svg)" in page
    assert page.startswith("# Benchmarks of 2026-11-28")


@pytest.mark.parametrize(
    ("wall", "cpu", "met"),
    [(1.3, 1.3, True), (1.31, 1.0, False), (1.0, 1.31, False), (None, 1.0, False)],
)
def test_a_bar_is_met_in_wall_and_in_cpu_time(wall: float | None, cpu: float, met: bool) -> None:
    assert Bar("b", wall, cpu, 1.3, "c").verdict.startswith("met" if met else "missed")


def test_plots_have_a_point_for_each_size_and_engine() -> None:
    drawn = plots([scenario(10_000), scenario(1_000_000), scenario(100_000)], {})

    assert set(drawn) == {"seconds.svg", "peak.svg"}
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own
        assert len(root.findall(f"{SVG}circle")) == 6
        assert [one.text for one in root.findall(f"{SVG}text")].count("duckdb") == 1


def test_stages_are_drawn_as_long_as_they_took() -> None:
    root = ElementTree.fromstring(bars("t", {"a & b": 2.0, "none": 0.0, "half": 1.0}))  # noqa: S314

    widths = [float(one.attrib["width"]) for one in root.findall(f"{SVG}rect")[1:]]
    assert widths == [widths[0], 0.0, pytest.approx(widths[0] / 2)]


def test_labels_of_lines_that_end_together_stand_apart() -> None:
    lines = {name: [(10.0, 1.0), (100.0, 5.0)] for name in ("one", "two", "three")}
    root = ElementTree.fromstring(plot("t", "x", "y", lines))  # noqa: S314

    heights = sorted(
        float(one.attrib["y"]) for one in root.findall(f"{SVG}text") if one.text in lines
    )
    assert all(after - before > 12.8 for before, after in pairwise(heights))


@pytest.mark.parametrize("points", [[(10.0, 1.0)], [(3.0, 0.02), (4e6, 500.0)]])
def test_points_lie_within_the_axes(points: list[tuple[float, float]]) -> None:
    root = ElementTree.fromstring(plot("t", "x", "y", {"a & b": points}))  # noqa: S314

    for dot in root.findall(f"{SVG}circle"):
        assert 70 <= float(dot.attrib["cx"]) <= 520
        assert 36 <= float(dot.attrib["cy"]) <= 314
