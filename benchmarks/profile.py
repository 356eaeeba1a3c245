"""Where the time of a run of Kalla goes, by the durations in its metadata.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table


def stage_seconds(evidence: Path) -> Mapping[str, float]:
    """Return the seconds of each stage, in the order in which the run went through them.

    Raises:
        FileNotFoundError: the run did not complete.
    """
    durations: dict[str, float] = json.loads((evidence / "metadata.json").read_text())[
        "durations_s"
    ]
    return durations


def table(stages: Mapping[str, float], wall_seconds: float) -> Table:
    """Return stages with their shares of the wall time, and what no stage accounts for."""
    drawn = Table(title=f"Kalla, {wall_seconds:.2f} s from start to end", title_justify="left")
    drawn.add_column("stage")
    drawn.add_column("seconds", justify="right")
    drawn.add_column("share", justify="right")
    outside = wall_seconds - sum(stages.values())
    for name, seconds in (*stages.items(), ("outside all stages", outside)):
        drawn.add_row(name, f"{seconds:.2f}", f"{seconds / wall_seconds:.0%}")
    return drawn
