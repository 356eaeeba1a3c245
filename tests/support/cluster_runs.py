"""Runs through the host of cluster runs, and what they told and wrote."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.host import ClusterHost, HostSettings
from kalla_coordinator.jobs.host import Host, RunOrder, Watch
from kalla_coordinator.jobs.model import ExecutorShare
from kalla_core.engine.processes.spawned import ChildProcess, Start, spawn
from kalla_core.engine.progress import Progress
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import read_evidence
from kalla_core.ids import RunId
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe
from tests.support.tables import Ran, sorted_rows

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def agree() -> None:
    """Let a run commit."""


@dataclass
class Told:
    """What a run told while it went on."""

    progress: list[Progress] = field(default_factory=list)
    strategies: list[str] = field(default_factory=list)
    workers: tuple[ExecutorShare, ...] = ()

    def watch(self, decide: Callable[[], Awaitable[None]] = agree) -> Watch:
        """Return what listens."""

        def worked_on_by(workers: tuple[ExecutorShare, ...]) -> None:
            self.workers = workers

        return Watch(self.progress.append, self.strategies.append, worked_on_by, decide)


def order(
    recipe: Recipe, output: Path | str, run_attempt: int = 1, deadline: datetime | None = None
) -> RunOrder:
    """Return the order to run a recipe."""
    return RunOrder(RunId("run-1"), run_attempt, recipe, str(output), STARTED, deadline, False)


def host_of(
    dispatcher: Dispatcher,
    patience_s: float = 5.0,
    local: Host | None = None,
    start: Start | None = None,
) -> ClusterHost:
    """Return a host of cluster runs."""
    settings = HostSettings(timedelta(seconds=patience_s), start=start, local=local)
    return ClusterHost(dispatcher, settings)


def start_to_read_late(command: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
    """Start a child to which no source is too small to be read late."""
    module = command[-1]
    lines = (
        "from kalla_core.engine.joins import late",
        "late._WORTH_TWO_READINGS_BYTES = 0",
        f"import {module} as program",
        "program.main()",
    )
    return spawn((sys.executable, "-c", "; ".join(lines)), environment)


async def run_on(
    dispatcher: Dispatcher, recipe: Recipe, output: Path, told: Told | None = None
) -> RunMetadata:
    """Run a recipe on the executors of a dispatcher."""
    return await host_of(dispatcher).run(order(recipe, output), (told or Told()).watch())


def evidence_of(output: Path) -> dict[str, pa.Table]:
    """Return the rows of the evidence in a folder, sorted; all that it says is checked."""
    with read_evidence(output) as evidence:
        names = (MATCHED, *UNMATCHED.values())
        return {name: sorted_rows(evidence.table(name)) for name in names}


def has_the_rows_of(output: Path, local: Ran) -> bool:
    """Whether every row of all three outputs is what a run on one machine brings out."""
    got = evidence_of(output)
    return _alike(got[MATCHED], local.matched) and all(
        _alike(got[UNMATCHED[side]], local.unmatched[side]) for side in Side
    )


def _alike(got: pa.Table, wanted: pa.Table) -> bool:
    return bool(got.equals(wanted))
