"""What every peer is told, and its command line."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.shapes import SHAPES, Format, PatternName, Shape
from kalla_core.units import parse_size_bytes

COMPRESSION = "lz4"
"""What Kalla's own evidence is written with."""


@dataclass(frozen=True, slots=True)
class Job:
    """One full job. `memory_bytes` is the engine's limit, where it knows one."""

    left: Path
    right: Path
    pattern: PatternName
    format: Format
    out: Path
    memory_bytes: int
    threads: int

    @property
    def shape(self) -> Shape:
        """Columns of both sides, and the rule."""
        return SHAPES[self.pattern]

    @property
    def keys_identify(self) -> bool:
        """Whether no two rows of a side share a primary key."""
        return self.pattern is not PatternName.HARD

    @property
    def matched(self) -> Path:
        """Where pairs go."""
        return self.out / "matched.parquet"

    @property
    def unmatched_left(self) -> Path:
        """Where unmatched invoices go."""
        return self.out / "unmatched_left.parquet"

    @property
    def unmatched_right(self) -> Path:
        """Where unmatched payments go."""
        return self.out / "unmatched_right.parquet"


def command(do: Callable[[Job], None]) -> None:
    """Run a peer with the job that the command line says."""
    options = ArgumentParser()
    options.add_argument("--left", type=Path, required=True)
    options.add_argument("--right", type=Path, required=True)
    options.add_argument("--pattern", type=PatternName, required=True)
    options.add_argument("--format", type=Format, default=Format.CSV)
    options.add_argument("--out", type=Path, required=True, help="folder, created if need be")
    options.add_argument(
        "--memory", dest="memory_bytes", type=parse_size_bytes, default="2GiB", help="as 2GiB"
    )
    options.add_argument("--threads", type=int, default=2)
    job = Job(**vars(options.parse_args()))
    job.out.mkdir(parents=True, exist_ok=True)
    do(job)
