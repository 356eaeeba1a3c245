"""The job in Polars, on its streaming engine. It knows no memory limit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.peers.job import COMPRESSION, Job, command
from benchmarks.shapes import (
    LEFT_KEY,
    RIGHT_KEY,
    SHAPES,
    Columns,
    Format,
    PatternName,
    decimal_digits,
)

_ROW = "__row"


@dataclass(frozen=True, slots=True)
class _Rule:
    """Expressions that must be equal, and whether amounts are compared too."""

    left: Callable[[Any], list[Any]]
    right: Callable[[Any], list[Any]]
    tolerance: bool


_BY_REFERENCE = _Rule(
    lambda pl: [pl.col("invoice_id")], lambda pl: [pl.col("reference_number")], tolerance=False
)
_RULES: Mapping[PatternName, _Rule] = {
    PatternName.ONE_TO_ONE: _Rule(_BY_REFERENCE.left, _BY_REFERENCE.right, tolerance=True),
    PatternName.SPLIT: _BY_REFERENCE,
    PatternName.BATCH: _Rule(lambda pl: [pl.col("batch_ref")], _BY_REFERENCE.right, False),
    PatternName.CROSS: _Rule(
        lambda pl: [pl.col("customer_id"), pl.col("currency"), _month(pl, "invoice_date")],
        lambda pl: [pl.col("payer_id"), pl.col("currency"), _month(pl, "payment_date")],
        tolerance=False,
    ),
    PatternName.HARD: _Rule(
        lambda pl: [
            pl.col("batch_ref").cast(_type(pl, SHAPES[PatternName.HARD].right["reference_number"]))
        ],
        _BY_REFERENCE.right,
        tolerance=True,
    ),
}


def run(job: Job) -> None:
    """Do the job."""
    os.environ["POLARS_MAX_THREADS"] = str(job.threads)
    import polars as pl  # its threads are counted when it is imported

    shape = job.shape
    left, right = _scan(pl, job, job.left, shape.left), _scan(pl, job, job.right, shape.right)
    pairs = _pairs(pl, job, left, right).collect(engine="streaming")
    shown = ["invoice_id", "payment_id", "amount", "paid_amount"]
    pairs.select(shown).write_parquet(job.matched, compression=COMPRESSION)
    left_row, right_row = _row_names(job)
    _sink(left.join(pairs.lazy(), on=left_row, how="anti"), shape.left, job.unmatched_left)
    right = right if job.keys_identify else right.rename({_ROW: right_row})
    _sink(right.join(pairs.lazy(), on=right_row, how="anti"), shape.right, job.unmatched_right)


def _scan(pl: Any, job: Job, path: Path, columns: Columns) -> Any:
    """Return the file as a lazy frame; with row numbers if keys do not tell rows apart."""
    row = None if job.keys_identify else _ROW
    if job.format is Format.PARQUET:
        return pl.scan_parquet(path, row_index_name=row)
    types = {name: _type(pl, type_) for name, type_ in columns.items()}
    return pl.scan_csv(path, schema=types, row_index_name=row)


def _pairs(pl: Any, job: Job, left: Any, right: Any) -> Any:
    rule = _RULES[job.pattern]
    joined = left.join(
        right, left_on=rule.left(pl), right_on=rule.right(pl), how="inner", coalesce=False
    )
    if not rule.tolerance:
        return joined.select(_kept(job))
    difference = (pl.col("amount") - pl.col("paid_amount")).abs()
    return joined.filter(difference <= pl.lit(Decimal("0.02"))).select(_kept(job))


def _kept(job: Job) -> list[str]:
    rows = [] if job.keys_identify else list(_row_names(job))
    return ["invoice_id", "payment_id", "amount", "paid_amount", *rows]


def _row_names(job: Job) -> tuple[str, str]:
    """Return the columns that identify a row of either side among the pairs."""
    return (LEFT_KEY, RIGHT_KEY) if job.keys_identify else (_ROW, f"{_ROW}_right")


def _sink(frame: Any, columns: Columns, path: Path) -> None:
    frame.select(list(columns)).sink_parquet(
        path, compression=COMPRESSION, maintain_order=False, engine="streaming"
    )


def _month(pl: Any, column: str) -> Any:
    return pl.col(column).dt.truncate("1mo")


def _type(pl: Any, type_: str) -> Any:
    digits = decimal_digits(type_)
    if digits is not None:
        return pl.Decimal(*digits)
    return {"text": pl.String(), "date": pl.Date(), "int64": pl.Int64()}[type_]


if __name__ == "__main__":
    command(run)
