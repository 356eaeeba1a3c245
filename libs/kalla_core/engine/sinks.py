"""The three outputs of a run while they are written; shared by all fragments of one process."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from kalla_core.evidence.build import MatchedRows, Reasons, unmatched_batch
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.schema import MATCHED, UNMATCHED, matched_layout, unmatched_layout
from kalla_core.evidence.writer import TableWriter
from kalla_core.matching.planned import Planned
from kalla_core.matching.query import Side


class EvidenceSinks:
    """Writes the outputs below a folder.

    Args:
        matched_at: the run's start, zoned.
        encoders: threads that encode pairs, so that the one join that finds them need not; none
            where several joins run side by side.
    """

    def __init__(
        self, folder: Path, planned: Planned, matched_at: datetime, encoders: int = 0
    ) -> None:
        query = planned.query
        self._key = {side: query.side(side).primary_key for side in Side}
        layout = matched_layout(planned.output, planned.output_sides)
        self._pairs = MatchedRows(layout, matched_at)
        self._unmatched_layout = {side: unmatched_layout(query.side(side).schema) for side in Side}
        self._lock = threading.Lock()
        self._matched_rows = 0
        with ExitStack() as opened:
            self._matched = opened.enter_context(
                TableWriter(
                    folder / MATCHED, layout.schema, finish=self._pairs.finish, threads=encoders
                )
            )
            self._unmatched = {
                side: opened.enter_context(
                    TableWriter(folder / name, self._unmatched_layout[side].schema)
                )
                for side, name in UNMATCHED.items()
            }
            self._opened = opened.pop_all()

    def matched(
        self, output: pa.RecordBatch, left_key: list[pa.Array], right_key: list[pa.Array]
    ) -> None:
        """Write pairs: the output of the match SQL and the columns of both primary keys."""
        batch = self._pairs.gather(output, left_key, right_key)
        self._matched.write(batch)
        with self._lock:
            self._matched_rows += batch.num_rows

    def unmatched(self, side: Side, rows: pa.RecordBatch, reasons: Reasons) -> None:
        """Write rows that are in no pair: all columns of the source, and the reasons."""
        key = [rows.column(rows.schema.get_field_index(name)) for name in self._key[side]]
        self._unmatched[side].write(
            unmatched_batch(self._unmatched_layout[side], rows, key, reasons)
        )

    @property
    def matched_rows(self) -> int:
        """Pairs written so far."""
        return self._matched_rows

    def close(self) -> tuple[WrittenFile, ...]:
        """Finish all files; the figures of each, matched first."""
        with self._opened:
            return (
                self._matched.close(),
                self._unmatched[Side.LEFT].close(),
                self._unmatched[Side.RIGHT].close(),
            )

    def abandon(self) -> None:
        """Close what is open; the files are removed with their folder."""
        self._opened.close()
