"""What every peer is told, and its command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from benchmarks.generate.dataset import PatternName, build_pattern
from benchmarks.generate.files import Format
from benchmarks.generate.patterns import Pattern
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
    def shape(self) -> Pattern:
        """The pattern, for its rule and schemas, which are the same for any size."""
        return build_pattern(self.pattern, 1, 0)

    @property
    def schemas(self) -> tuple[pa.Schema, pa.Schema]:
        """Columns of the left and the right side."""
        return self.shape.left_schema, self.shape.right_schema

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

    def main(
        left: Annotated[Path, typer.Option()],
        right: Annotated[Path, typer.Option()],
        pattern: Annotated[PatternName, typer.Option()],
        out: Annotated[Path, typer.Option(help="Folder, created if need be.")],
        format: Annotated[Format, typer.Option()] = Format.CSV,
        memory: Annotated[str, typer.Option(help="The engine's limit.")] = "2GiB",
        threads: Annotated[int, typer.Option()] = 2,
    ) -> None:
        out.mkdir(parents=True, exist_ok=True)
        do(Job(left, right, pattern, format, out, parse_size_bytes(memory), threads))

    typer.run(main)
