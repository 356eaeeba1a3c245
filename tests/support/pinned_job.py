"""A job whose sources are pinned and cut, to make fragments of."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.remote import JobContext, Launch, ScanWork, Work
from kalla_core.matching.sql.query import Side
from kalla_core.sources.protocol import Part
from kalla_core.sources.registry import connector_for
from tests.support.tables import Reconciliation

ROWS = 2000
SLOW = (
    "SELECT l.id FROM l JOIN r ON l.k = r.k AND "
    "levenshtein(repeat(l.memo, 400), repeat(r.memo, 400)) < 0"
)
"""Match SQL that takes longer than any test."""


@dataclass
class Job:
    """Two tables to reconcile, pinned and cut; fragments are numbered as they are made."""

    context: JobContext
    parts: dict[Side, tuple[Part, ...]]
    run_id: str = "run"
    run_attempt: int = 1

    def launch(self, stage: str, number: int, work: Work, attempt: int = 1) -> Launch:
        id = AttemptId(self.run_id, self.run_attempt, stage, number, attempt)
        return Launch(id, self.context, work, spool_key=b"the key of this run")

    def scans(self) -> list[Launch]:
        both = [ScanWork(side, part) for side, parts in self.parts.items() for part in parts]
        return [self.launch("scan", number, work) for number, work in enumerate(both)]


def job(folder: Path, sql: str = "SELECT l.id FROM l JOIN r ON l.k = r.k") -> Job:
    books = Reconciliation(folder, sql)
    for number, side in enumerate(Side):
        table = {
            "id": range(ROWS),
            "k": [n % 500 + 100 * number for n in range(ROWS)],
            "memo": [f"row {n}" for n in range(ROWS)],
        }
        books.put(side.word, pa.table(table))
    staging = folder / "staging"
    staging.mkdir()
    recipe = books.recipe()
    with ExitStack() as pins:
        pinned = {}
        for side, spec in zip(Side, (recipe.left, recipe.right), strict=True):
            pinned[side] = pins.enter_context(connector_for(spec).pin(spec))
    context = JobContext(
        recipe=recipe,
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
        left=pinned[Side.LEFT],
        right=pinned[Side.RIGHT],
        extras=(),
        buckets=4,
        numbered=False,
        staging=str(staging),
    )
    parts = {side: connector_for(one.spec).plan(one, 2) for side, one in pinned.items()}
    return Job(context, parts)
