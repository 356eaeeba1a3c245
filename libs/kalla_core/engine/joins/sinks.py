"""The three outputs of a run while they are written; shared by all fragments of one process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from kalla_core.columns import place_of
from kalla_core.engine.joins.grouped import GroupedPiece
from kalla_core.evidence.build import MatchedRows, Reasons, unmatched_batch
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.schema import matched_layout, unmatched_layout
from kalla_core.evidence.writer import TableWriter
from kalla_core.kept_threads import kept_threads
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned
from kalla_core.recipe.model import GroupForm

_SIDES = {name: side for side, name in UNMATCHED.items()}

_FINDERS_OF_AN_ENCODER = 4
"""Threads that find pairs about as fast as one encodes them."""

Outputs = Mapping[str, Path]
"""Where each of the outputs goes that are written, by its name in `kalla_core.evidence.schema`."""


def whole_outputs(folder: Path) -> Outputs:
    """Return the outputs of a run that has one file of each."""
    return {name: folder / name for name in (MATCHED, *UNMATCHED.values())}


class EvidenceSinks:
    """Writes the outputs.

    Args:
        outputs: some may be missing, if nothing is written to them.
        matched_at: the run's start, zoned.
        groups: how matched tells of a group that matches a group.
        finders: threads of the one join that finds the pairs, beside which others encode them and
            finish outputs; none where several joins run side by side.
    """

    def __init__(
        self,
        outputs: Outputs,
        planned: Planned,
        matched_at: datetime,
        groups: GroupForm,
        finders: int = 0,
    ) -> None:
        query = planned.query
        self._key = {side: query.side(side).primary_key for side in Side}
        grouped = groups is GroupForm.MEMBERS
        layout = matched_layout(planned.output, planned.output_sides, grouped=grouped)
        self._pairs = MatchedRows(layout, matched_at)
        self._encoders = encoders = -(-finders // _FINDERS_OF_AN_ENCODER)
        self._unmatched_layout = {side: unmatched_layout(query.side(side).schema) for side in Side}
        self._lock = threading.Lock()
        self._matched_rows = 0
        self._groups = 0 if grouped else None
        self._writers: dict[str, TableWriter] = {}
        with ExitStack() as opened:
            for name, path in outputs.items():
                writer = (
                    TableWriter(path, layout.schema, finish=self._pairs.finish, threads=encoders)
                    if name == MATCHED
                    else TableWriter(path, self._unmatched_layout[_SIDES[name]].schema)
                )
                self._writers[name] = opened.enter_context(writer)
            self._opened = opened.pop_all()
        # Several joins in one process close their files each for itself.
        self._kept = bool(encoders)
        self._closing = (
            kept_threads(encoders + 1, "close") if encoders else ThreadPoolExecutor(1, "close")
        )
        self._closed: dict[str, Future[WrittenFile]] = {}

    def matched(
        self, output: pa.RecordBatch, left_key: list[pa.Array], right_key: list[pa.Array]
    ) -> None:
        """Write pairs: the output of the match SQL and the columns of both primary keys."""
        batch = self._pairs.gather(output, left_key, right_key)
        self._writers[MATCHED].write(batch)
        with self._lock:
            self._matched_rows += batch.num_rows

    def grouped(self, output: pa.RecordBatch, rows: GroupedPiece) -> None:
        """Write rows that say which match they belong to; `output` has a row for each."""
        batch = self._pairs.gather_grouped(output, rows.left_key, rows.right_key, rows.ids)
        self._writers[MATCHED].write(batch)
        with self._lock:
            self._matched_rows += batch.num_rows
            self._groups = (self._groups or 0) + rows.begun

    def unmatched(self, side: Side, rows: pa.RecordBatch, reasons: Reasons) -> None:
        """Write rows that are in no pair: all columns of the source, and the reasons."""
        key = [rows.column(place_of(name, rows.schema.names)) for name in self._key[side]]
        self._writers[UNMATCHED[side]].write(
            unmatched_batch(self._unmatched_layout[side], rows, key, reasons)
        )

    @property
    def matched_rows(self) -> int:
        """Rows of matched written so far."""
        return self._matched_rows

    @property
    def groups(self) -> int | None:
        """Matches that these rows belong to; None if they do not say to which."""
        return self._groups

    def ended(self, side: Side | None) -> None:
        """Finish the unmatched rows of a side, or matched, beside what goes on, if threads do so.

        Nothing more is written there.
        """
        if self._encoders:
            self._finish(MATCHED if side is None else UNMATCHED[side])

    def close(self) -> tuple[WrittenFile, ...]:
        """Finish all files; the figures of each, in the order of the outputs."""
        with self._opened:
            try:
                return tuple(one.result() for one in [self._finish(name) for name in self._writers])
            finally:
                self._end_closing()

    def abandon(self) -> None:
        """Close what is open; the files are removed with their folder."""
        self._end_closing()
        self._opened.close()

    def _end_closing(self) -> None:
        """Wait for what is being closed, and close nothing more."""
        wait([one for one in self._closed.values() if not one.cancel()])
        if not self._kept:
            self._closing.shutdown()

    def _finish(self, name: str) -> Future[WrittenFile]:
        if name not in self._closed:
            self._closed[name] = self._closing.submit(self._writers[name].close)
        return self._closed[name]
