"""A generated data set on disk: two files, a recipe, the truth, and a description of it all.

    DIR/left.csv, right.csv      (or .parquet) invoices and payments
    DIR/recipe.json              what `kalla run` takes; paths relative to DIR
    DIR/dataset.json             pattern, size, seed, format, rows
    DIR/truth/pairs.parquet      left_key, right_key, n
    DIR/truth/unmatched_left.parquet, unmatched_right.parquet     record_key, n
    DIR/truth/truth.json         rows of both sides, sums of n

The truth is a multiset: `n` tells how many result rows have these keys. In `hard`, primary keys
repeat and are null, so one key can stand for several rows, and null is a key like any other.
Where keys are unique, n is 1.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.generate.patterns import Pattern
from benchmarks.generate.patterns.batch import Batch
from benchmarks.generate.patterns.cross import Cross
from benchmarks.generate.patterns.hard import Hard
from benchmarks.generate.patterns.one_to_one import OneToOne
from benchmarks.generate.patterns.split import Split
from benchmarks.generate.randomness import Randomness
from benchmarks.shapes import Format, PatternName


def build_pattern(name: PatternName, size: int, seed: int) -> Pattern:
    """Return the pattern for `size` invoices.

    Raises:
        ValueError: a size that the pattern does not go with.
    """
    if not 1 <= size < 2**28:
        raise ValueError(f"between 1 and {2**28 - 1:,} invoices, not {size:,}")
    randomness = Randomness(seed)
    match name:
        case PatternName.ONE_TO_ONE:
            return OneToOne(size, randomness)
        case PatternName.SPLIT:
            return Split(size, randomness)
        case PatternName.BATCH:
            return Batch(size, randomness)
        case PatternName.CROSS:
            return Cross(size, randomness)
        case PatternName.HARD:
            return Hard(size, randomness)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Where a data set lies and what it is."""

    folder: Path
    pattern: PatternName
    size: int
    seed: int
    format: Format
    left_rows: int
    right_rows: int

    @property
    def left(self) -> Path:
        """The invoices."""
        return self.folder / f"left.{self.format}"

    @property
    def right(self) -> Path:
        """The payments."""
        return self.folder / f"right.{self.format}"

    @property
    def truth(self) -> Path:
        """The folder of the truth."""
        return self.folder / "truth"

    @property
    def recipe_path(self) -> Path:
        """The recipe as a file."""
        return self.folder / "recipe.json"

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe as a document, with its `match_sql` and `primary_key` of each side."""
        document: dict[str, Any] = json.loads(self.recipe_path.read_text())
        return document


def save_description(dataset: Dataset) -> None:
    """Write dataset.json, the last file of a data set: where it is, the rest is complete."""
    fields = {name: value for name, value in asdict(dataset).items() if name != "folder"}
    (dataset.folder / "dataset.json").write_text(json.dumps(fields, indent=2) + "\n")


def load(folder: Path) -> Dataset:
    """Return the data set that was generated into `folder`.

    Raises:
        FileNotFoundError: there is none, or it is incomplete.
    """
    fields = json.loads((folder / "dataset.json").read_text())
    return Dataset(
        folder=folder,
        pattern=PatternName(fields["pattern"]),
        size=fields["size"],
        seed=fields["seed"],
        format=Format(fields["format"]),
        left_rows=fields["left_rows"],
        right_rows=fields["right_rows"],
    )
