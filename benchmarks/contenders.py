"""Who takes part: Kalla and its peers, each as a command, and how each one's rows are checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.check import Report, check, check_outputs
from benchmarks.generate import Dataset
from benchmarks.shapes import LEFT_KEY, RIGHT_KEY

KALLA = "kalla"


@dataclass(frozen=True, slots=True)
class Limits:
    """What every contender gets. `memory` as in `2GiB`."""

    memory: str
    threads: int


@dataclass(frozen=True, slots=True)
class Contender:
    """One that does the full job.

    Attributes:
        versions: of the engine, by package.
        command: the command line for a data set, an output folder and limits.
        check: compares what lies in the output folder with the truth.
    """

    name: str
    versions: dict[str, str]
    command: Callable[[Dataset, Path, Limits], Sequence[str]]
    check: Callable[[Path, Path], Report]


def kalla_command(dataset: Dataset, out: Path, limits: Limits) -> Sequence[str]:
    """Return how Kalla is run. It takes its cores from the affinity of the process."""
    executable = Path(sys.executable).with_name("kalla")
    return (
        *(str(executable), "run", str(dataset.recipe_path), "--output", str(out)),
        *("--memory-limit", limits.memory, "--json", "--overwrite"),
    )


def contenders() -> tuple[Contender, ...]:
    """Return all there are, Kalla first."""
    return (
        Contender(KALLA, _versions("kalla", "datafusion", "pyarrow"), kalla_command, check),
        *(_peer(name) for name in ("duckdb", "polars", "datafusion")),
    )


def _peer(name: str) -> Contender:
    def command(dataset: Dataset, out: Path, limits: Limits) -> Sequence[str]:
        return (
            *(sys.executable, "-m", f"benchmarks.peers.{name}_peer"),
            *("--left", str(dataset.left), "--right", str(dataset.right)),
            *("--pattern", dataset.pattern, "--format", dataset.format, "--out", str(out)),
            *("--memory", limits.memory, "--threads", str(limits.threads)),
        )

    return Contender(name, _versions(name), command, _check_peer)


def _check_peer(out: Path, truth: Path) -> Report:
    keys = (LEFT_KEY, RIGHT_KEY)
    return check_outputs(out, truth, pair_keys=keys, record_keys=keys)


def _versions(*packages: str) -> dict[str, str]:
    return {package: version(package) for package in packages}
