"""`python -m benchmarks.generate one_to_one 5000000 --format csv --out DIR`."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.generate import DEFAULT_SEED, Format, PatternName, generate
from benchmarks.generate.truth import read_totals


def main(
    pattern: PatternName,
    size: Annotated[int, typer.Argument(help="How many invoices.")],
    out: Annotated[Path, typer.Option(help="Folder, created if need be.")],
    format: Annotated[Format, typer.Option(help="csv or parquet.")] = Format.CSV,
    seed: Annotated[int, typer.Option(help="Another seed, other data.")] = DEFAULT_SEED,
) -> None:
    """Generate invoices and payments with their truth and a recipe."""
    console = Console()
    started = perf_counter()
    try:
        dataset = generate(pattern, size, seed, out, format)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    totals = read_totals(dataset.truth)
    console.print(
        f"{totals.left_rows:,} invoices, {totals.right_rows:,} payments, {totals.pairs:,} pairs;"
        f" unmatched {totals.unmatched_left:,} and {totals.unmatched_right:,};"
        f" {perf_counter() - started:.1f} s, in {out}"
    )


if __name__ == "__main__":
    typer.run(main)
