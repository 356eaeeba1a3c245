"""Where the time of a run of Kalla goes, by the times in its metadata.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rich.table import Table


def shares(evidence: Path, started_at: datetime, seconds: float) -> Mapping[str, float]:
    """Return what the seconds of a whole command were spent on, stages in their order.

    Before the first stage the command starts and reads the recipe; what belongs to no stage is
    waiting for child processes, above all; after the last one the command ends.

    Args:
        evidence: the output folder of the run.
        started_at: when the command was started, zoned.
        seconds: how long it took to its end.

    Raises:
        FileNotFoundError: the run did not complete.
    """
    metadata = json.loads((evidence / "metadata.json").read_text())
    stages: dict[str, float] = metadata["durations_s"]
    run_from = datetime.fromisoformat(metadata["started_at"])
    run_to = datetime.fromisoformat(metadata["completed_at"])
    before = (run_from - started_at).total_seconds()
    during = (run_to - run_from).total_seconds()
    return {
        "starting the command": before,
        **stages,
        "in no stage": during - sum(stages.values()),
        "ending the command": seconds - before - during,
    }


def table(spent: Mapping[str, float], seconds: float) -> Table:
    """Return what `shares` found for a terminal."""
    drawn = Table(title=f"Kalla, {seconds:.2f} s from start to end", title_justify="left")
    drawn.add_column("stage")
    drawn.add_column("seconds", justify="right")
    drawn.add_column("share", justify="right")
    for name, part in spent.items():
        drawn.add_row(name, f"{part:.2f}", f"{part / seconds:.0%}")
    return drawn
