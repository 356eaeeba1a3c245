"""How many pairs a run may have, so that a key that means nothing does not fill a disk.

A placeholder in a key (`N/A`, 0, the empty text) joins every row that has it with every other:
3,000 on either side are nine million matches. A run has a bound; one that goes beyond is stopped,
and the keys with the most pairs are named.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.keys.key_values import key_values
from kalla_core.engine.keys.visible import shown
from kalla_core.errors import TooManyPairs
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned
from kalla_core.recipe.model import Options

USUAL_PAIRS_PER_ROW = 100
ALWAYS_ALLOWED = 1_000_000
_NAMED = 3
_LOOKED_AT_ROWS = 1_000_000


def most_pairs(options: Options, rows: int) -> int:
    """Return how many pairs a run over so many rows of both sides may have."""
    per_row = options.max_pairs_per_row or USUAL_PAIRS_PER_ROW
    return max(ALWAYS_ALLOWED, per_row * rows)


@dataclass
class PairBound:
    """Counts the pairs of a run, or of a fragment of it; safe from any thread.

    Attributes:
        most: of pairs.
        rows: of both sides in the whole run.
    """

    most: int
    rows: int
    _pairs: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, pairs: int) -> None:
        """Count pairs; those of a try that is repeated are taken back with a minus.

        Raises:
            TooManyPairs: there are more than the bound; it names no key yet.
        """
        with self._lock:
            self._pairs += pairs
            if self._pairs > self.most:
                raise too_many(self.most, self.rows)


def too_many(most: int, rows: int, worst: str = "") -> TooManyPairs:
    """Return the error for a run that has more than `most` pairs."""
    return TooManyPairs(
        f"The match SQL makes more than {most:,} pairs of {rows:,} rows, and was stopped.{worst} "
        "Leave such values out of the key, or, where so many pairs are meant, raise "
        "options.max_pairs_per_row.",
        most_pairs=most,
    )


def worst_keys(planned: Planned, sources: Mapping[Side, Iterable[pa.RecordBatch]]) -> str:
    """Return a sentence that names the keys with the most pairs; empty if the SQL has no key.

    Args:
        sources: rows of both sides; of each the first million are looked at.
    """
    if not planned.reason_keys:
        return ""
    names = [f"__k{number}" for number in range(len(planned.reason_keys))]
    counted = {side: _counted(planned, side, sources[side], names) for side in Side}
    joined = counted[Side.LEFT].join(
        counted[Side.RIGHT], list(names), join_type="inner", right_suffix="_right"
    )
    products = pc.multiply(joined.column("count"), joined.column("count_right"))
    ranked = joined.append_column("pairs", products).sort_by([("pairs", "descending")])
    worst = ranked.slice(0, _NAMED)
    said = [_said(planned, worst.slice(place, 1), names) for place in range(len(worst))]
    return f" The most have {'; '.join(said)}." if said else ""


def _counted(
    planned: Planned, side: Side, batches: Iterable[pa.RecordBatch], names: Sequence[str]
) -> pa.Table:
    keys = key_values(planned.query, planned.reason_keys, side, list(_first(batches)))
    counted = keys.group_by(list(names)).aggregate([([], "count_all")])
    return counted.rename_columns([*names, "count"])


def _first(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in batches:
        yield batch
        rows += batch.num_rows
        if rows >= _LOOKED_AT_ROWS:
            return


def _said(planned: Planned, row: pa.Table, names: Sequence[str]) -> str:
    keys = ", ".join(
        f"{key.text(Side.LEFT)} = {shown(row.column(name))[0]}"
        for key, name in zip(planned.reason_keys, names, strict=True)
    )
    counts = (row.column(name)[0].as_py() for name in ("count", "count_right"))
    sides = (planned.query.left.alias, planned.query.right.alias)
    told = " and ".join(f"{n:,} rows of {side}" for n, side in zip(counts, sides, strict=True))
    return f"{keys} ({told})"
