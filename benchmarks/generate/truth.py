"""Writing down what a run must bring out: as rows are made, or by an independent engine."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import duck
from benchmarks.generate.dataset import Dataset
from benchmarks.generate.files import ParquetFile
from benchmarks.generate.patterns import Piece
from benchmarks.shapes import LEFT_KEY, RIGHT_KEY, SHAPES

PAIRS = "pairs.parquet"
UNMATCHED_LEFT = "unmatched_left.parquet"
UNMATCHED_RIGHT = "unmatched_right.parquet"

_PAIRS = pa.schema([("left_key", pa.string()), ("right_key", pa.string()), ("n", pa.int64())])
_UNMATCHED = pa.schema([("record_key", pa.string()), ("n", pa.int64())])


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows of both sides, and how many rows each output must have."""

    left_rows: int
    right_rows: int
    pairs: int
    unmatched_left: int
    unmatched_right: int


def read_totals(truth: Path) -> Totals:
    """Return the totals of the truth in a folder.

    Raises:
        FileNotFoundError: no complete truth is there.
    """
    return Totals(**json.loads((truth / "truth.json").read_text()))


class TruthWriter:
    """Collects the truth of pieces as they are made, in any order; a context manager."""

    def __init__(self, truth: Path) -> None:
        truth.mkdir(parents=True, exist_ok=True)
        self._truth = truth
        self._open = ExitStack()
        self._pairs = self._open.enter_context(ParquetFile(truth / PAIRS, _PAIRS))
        self._left = self._open.enter_context(ParquetFile(truth / UNMATCHED_LEFT, _UNMATCHED))
        self._right = self._open.enter_context(ParquetFile(truth / UNMATCHED_RIGHT, _UNMATCHED))

    def add_left(self, piece: Piece) -> None:
        """Take in a piece of invoices."""
        self._add(piece, self._left)

    def add_right(self, piece: Piece) -> None:
        """Take in a piece of payments."""
        self._add(piece, self._right)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def _add(self, piece: Piece, unmatched: ParquetFile) -> None:
        if piece.pairs is not None and piece.pairs.num_rows:
            self._pairs.write(_counted(piece.pairs.columns, _PAIRS))
        if piece.unmatched is not None and len(piece.unmatched):
            unmatched.write(_counted([piece.unmatched], _UNMATCHED))


def derive(dataset: Dataset) -> None:
    """Let DuckDB find the truth in the files themselves, within 1 GiB."""
    shape = SHAPES[dataset.pattern]
    connection = duck.connect(memory_bytes=2**30, threads=2, temporary=dataset.folder / "truth.tmp")
    with connection:
        connection.execute(f"CREATE VIEW l AS FROM {duck.scan(dataset.left, shape.left)}")
        connection.execute(f"CREATE VIEW r AS FROM {duck.scan(dataset.right, shape.right)}")
        for name, query in _queries(shape.rule.plain).items():
            target = duck.quoted(str(dataset.truth / name))
            connection.execute(f"COPY ({query}) TO {target} (FORMAT parquet)")


def save_totals(dataset: Dataset) -> None:
    """Write truth.json from what the truth's files say."""
    totals = Totals(
        left_rows=dataset.left_rows,
        right_rows=dataset.right_rows,
        pairs=_sum_of_n(dataset.truth / PAIRS),
        unmatched_left=_sum_of_n(dataset.truth / UNMATCHED_LEFT),
        unmatched_right=_sum_of_n(dataset.truth / UNMATCHED_RIGHT),
    )
    (dataset.truth / "truth.json").write_text(json.dumps(asdict(totals), indent=2) + "\n")


def _queries(condition: str) -> dict[str, str]:
    return {
        PAIRS: f"SELECT l.{LEFT_KEY} AS left_key, r.{RIGHT_KEY} AS right_key, count(*) AS n"
        f" FROM l JOIN r ON {condition} GROUP BY ALL ORDER BY ALL",
        UNMATCHED_LEFT: f"SELECT {LEFT_KEY} AS record_key, count(*) AS n FROM l"
        f" WHERE NOT EXISTS (FROM r WHERE {condition}) GROUP BY ALL ORDER BY ALL",
        UNMATCHED_RIGHT: f"SELECT {RIGHT_KEY} AS record_key, count(*) AS n FROM r"
        f" WHERE NOT EXISTS (FROM l WHERE {condition}) GROUP BY ALL ORDER BY ALL",
    }


def _counted(keys: list[pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    ones = pa.array(np.ones(len(keys[0]), dtype=np.int64))
    return pa.RecordBatch.from_arrays([*keys, ones], schema=schema)


def _sum_of_n(path: Path) -> int:
    file: Any = pq.ParquetFile(path)
    batches = file.iter_batches(columns=["n"])
    return sum(pc.sum(batch["n"]).as_py() or 0 for batch in batches)
