"""Results for people (a table, Markdown) and for machines (JSON)."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.contenders import KALLA, Contender, Limits
from benchmarks.ratios import Outcome, Scenario, ratio
from kalla_core.units import format_bytes

COLUMNS = ("", "seconds", "fastest to slowest", "CPU s", "peak PSS", "Kalla's time / its")


@dataclass(frozen=True, slots=True)
class Setting:
    """Where, when and how results came about.

    Attributes:
        taken_at: zoned UTC.
        cores: how many every contender could use.
        versions: of each contender's packages, and of Python.
        command: the command line that does it again.
    """

    taken_at: datetime
    cores: int
    memory_limit: str
    rounds: int
    machine: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]
    command: str


def setting_of(
    module: str, taking_part: Sequence[Contender], limits: Limits, rounds: int
) -> Setting:
    """Return how results come about that this process takes now.

    Args:
        module: that was started with the arguments of this process.
    """
    return Setting(
        taken_at=datetime.now(UTC),
        cores=limits.threads,
        memory_limit=limits.memory,
        rounds=rounds,
        machine=machine(),
        versions={contender.name: contender.versions for contender in taking_part},
        command=shlex.join(["python", "-m", module, *sys.argv[1:]]),
    )


def machine() -> dict[str, str]:
    """Return what the machine is; nothing that names it or says where it stands."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": format_bytes(memory),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def rows(scenario: Scenario) -> list[tuple[str, ...]]:
    """Return one line of text cells per contender, as in `COLUMNS`."""
    kalla = scenario.outcomes.get(KALLA, Outcome())
    return [
        _row(name, outcome, None if name == KALLA else ratio(kalla, outcome))
        for name, outcome in scenario.outcomes.items()
    ]


def table(scenario: Scenario) -> Table:
    """Return the scenario for a terminal."""
    drawn = Table(title=f"{scenario.name}, {scenario.pairs:,} pairs", title_justify="left")
    for column in COLUMNS:
        drawn.add_column(column, justify="left" if not column else "right")
    for row in rows(scenario):
        drawn.add_row(*row)
    return drawn


def markdown(scenarios: Sequence[Scenario], setting: Setting) -> str:
    """Return everything as a page."""
    lines = [
        f"# Benchmarks of {setting.taken_at:%Y-%m-%d}",
        "",
        f"{setting.machine['processor']}, {setting.cores} of {setting.machine['cores']} cores,"
        f" {setting.machine['memory']} of memory, {setting.machine['system']},"
        f" Python {setting.machine['python']}. Full job under a memory limit of"
        f" {setting.memory_limit}; median of {setting.rounds} runs after a warm-up, taken in turn;"
        " only runs whose rows equal the truth have a time.",
        "",
        "; ".join(
            f"{name}: " + ", ".join(f"{package} {number}" for package, number in packages.items())
            for name, packages in setting.versions.items()
        )
        + ".",
        "",
        f"    {setting.command}",
    ]
    for scenario in scenarios:
        lines += ["", f"## {scenario.name}, {scenario.pairs:,} pairs", "", *_markdown(scenario)]
    return "\n".join(lines) + "\n"


def document(scenarios: Sequence[Scenario], setting: Setting) -> dict[str, Any]:
    """Return everything as JSON has it, single runs included."""
    head = asdict(setting) | {"taken_at": setting.taken_at.isoformat()}
    return head | {"scenarios": [_scenario_document(scenario) for scenario in scenarios]}


def _scenario_document(scenario: Scenario) -> dict[str, Any]:
    kalla = scenario.outcomes.get(KALLA, Outcome())
    outcomes = {
        name: asdict(outcome)
        | {"median_seconds": outcome.seconds, "kalla_ratio": ratio(kalla, outcome)}
        for name, outcome in scenario.outcomes.items()
    }
    return asdict(scenario) | {"outcomes": outcomes}


def _row(name: str, outcome: Outcome, kalla_ratio: float | None) -> tuple[str, ...]:
    if outcome.seconds is None or outcome.spread is None or outcome.cpu_seconds is None:
        return name, "not run" if outcome.failure is None else "failed", "", "", "", ""
    fastest, slowest = outcome.spread
    return (
        name,
        f"{outcome.seconds:.2f}",
        f"{fastest:.2f} to {slowest:.2f}",
        f"{outcome.cpu_seconds:.2f}",
        "" if outcome.pss_bytes is None else format_bytes(outcome.pss_bytes),
        "" if kalla_ratio is None else f"{kalla_ratio:.2f}",
    )


def _markdown(scenario: Scenario) -> list[str]:
    head = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    lines = head + ["| " + " | ".join(row) + " |" for row in rows(scenario)]
    return lines + [
        line
        for name, outcome in scenario.outcomes.items()
        if outcome.failure is not None
        for line in ("", f"{name} failed: {_in_a_line(outcome.failure)}")
    ]


def _in_a_line(failure: str) -> str:
    """What failed and the last that was said of it: a trace of many lines has its cause there."""
    what, *rest = failure.strip().splitlines()
    return f"{what.partition(':')[0]}: {rest[-1].strip()}" if rest else what


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
