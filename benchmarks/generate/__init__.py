"""Invoices and payments from a seed, with the exact truth about what matches.

`generate` makes a data set; the same pattern, size, seed and format give the same bytes on any
machine (CSV whatever the versions; Parquet with the same version of pyarrow, which writes its
name into every file). Rows are functions of their number (`randomness`), so a data set is made in
chunks, on several threads, in memory that does not depend on its size.

`patterns` decide which payment belongs to which invoice, `ledger` fills in the columns, `files`
writes rows, `truth` what a run must bring out: by construction where a pattern knows it, else
found by DuckDB in the finished files. `dataset` says how all that lies on disk.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from benchmarks.generate import truth
from benchmarks.generate.dataset import (
    Dataset,
    build_pattern,
    load,
    save_description,
)
from benchmarks.generate.files import open_rows
from benchmarks.generate.ledger import schemas
from benchmarks.generate.patterns import Piece
from benchmarks.generate.recipe import recipe_document
from benchmarks.generate.truth import TruthWriter
from benchmarks.shapes import Format, PatternName

__all__ = ["DATA_VERSION", "DEFAULT_SEED", "Dataset", "Format", "PatternName", "generate", "load"]

DATA_VERSION = 1
"""Goes up with every change of the bytes that a seed gives; kept data is then made anew."""

DEFAULT_SEED = 20_240_229
_MOST_CHUNK_ROWS = 131_072
_FEWEST_CHUNKS = 16

Made = TypeVar("Made")


def generate(
    pattern: PatternName | str,
    n: int,
    seed: int,
    folder: Path,
    format: Format | str,
) -> Dataset:
    """Make the data set of `n` invoices in `folder`, which is created, and return it.

    Raises:
        ValueError: an unknown pattern or format, or a size the pattern does not go with.
    """
    name, format_ = PatternName(pattern), Format(format)
    made = build_pattern(name, n, seed)
    folder.mkdir(parents=True, exist_ok=True)
    dataset = Dataset(folder, name, n, seed, format_, made.left_rows, made.right_rows)
    document = recipe_document(name, format_)
    dataset.recipe_path.write_text(json.dumps(document, indent=2) + "\n")
    left_schema, right_schema = schemas(name)
    with TruthWriter(dataset.truth) as told:
        _write_side(dataset.left, format_, left_schema, made.left, made.left_rows, told.add_left)
        _write_side(
            dataset.right, format_, right_schema, made.right, made.right_rows, told.add_right
        )
    if not made.knows_truth:
        truth.derive(dataset)
    truth.save_totals(dataset)
    save_description(dataset)
    return dataset


def _write_side(
    path: Path,
    format_: Format,
    schema: pa.Schema,
    make: Callable[[int, int], Piece],
    rows: int,
    tell: Callable[[Piece], None],
) -> None:
    """Make the rows of one side on all cores, and write them in order."""
    chunk = min(_MOST_CHUNK_ROWS, -(-rows // _FEWEST_CHUNKS))
    with open_rows(path, format_, schema) as file:

        def made(start: int) -> tuple[Piece, Any]:
            piece = make(start, min(start + chunk, rows))
            return piece, file.encode(piece.rows)

        for piece, encoded in _in_order(made, range(0, rows, max(chunk, 1))):
            file.write(encoded)
            tell(piece)


def _in_order(work: Callable[[int], Made], items: range) -> Iterator[Made]:
    """Yield the results of `work` in the order of `items`, a few of them made ahead."""
    workers = os.cpu_count() or 1
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
