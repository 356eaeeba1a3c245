"""What every fragment of a cluster run stands on: the job's context, planned anew, and a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.context import JoinContext, Sinks
from kalla_core.engine.joins.numbered import numbered_query
from kalla_core.engine.keys.keying import Keying
from kalla_core.engine.keys.pair_bound import PairBound, most_pairs
from kalla_core.engine.progress import Progress, ProgressCounter, Stage
from kalla_core.engine.run.demands import query_over
from kalla_core.engine.run.reread import FEWEST_HELD_BYTES, Reread
from kalla_core.engine.spool.requests import Inputs, rows_of
from kalla_core.engine.spool.scan import OpenSource
from kalla_core.engine.spool.spool import Spool
from kalla_core.engine.spool.spool_folder import SpoolFolder
from kalla_core.engine.spool.store import Plan, Store
from kalla_core.errors import OutOfMemory
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.outcome import FragmentProgress
from kalla_core.fragments.remote import Extra, JobContext, JoinWork, SettleWork, SpoolInput, Table
from kalla_core.matching.plans.session import MEMORY_BATCH_ROWS, SPILLED_BATCH_ROWS, SessionLimits
from kalla_core.matching.sql.query import MatchQuery, Side
from kalla_core.matching.strategy.planned import Planned, Strategy, plan_match
from kalla_core.sources.protocol import EVERYTHING, PinnedSource, SourceAccess
from kalla_core.sources.registry import connector_for

_ROOM_FOR_LARGE_BATCHES_BYTES = 256 << 20
"""Of the pool of a join's operators: those that spill hold many batches."""

OnFragment = Callable[[FragmentProgress], None]


@dataclass(frozen=True)
class RemoteRun:
    """One attempt at a fragment, about to run.

    Attributes:
        budget: of this fragment alone.
        folder: where its spools are published.
        scratch: existing folder on the same file system, for what is thrown away.
        fetched_bytes: that its inputs took from peers.
        access: what sources may be reached.
    """

    id: AttemptId
    job: JobContext
    budget: Budget
    folder: SpoolFolder
    scratch: Path
    on_progress: OnFragment
    fetched_bytes: int = 0
    access: SourceAccess = EVERYTHING

    @cached_property
    def planned(self) -> Planned:
        """The match SQL, planned as on every machine, over what its scans read."""
        query = query_of(self.job)
        return plan_match(numbered_query(query) if self.job.late else query)

    @property
    def planned_whole(self) -> Planned:
        """The match SQL, planned over all columns of its sources."""
        return plan_match(query_of(self.job))

    @cached_property
    def keying(self) -> Keying:
        """What says which bucket a row belongs to."""
        return Keying(self.planned)

    def source(self, table: Table) -> OpenSource:
        """Return a source with the connector that reads it."""
        pinned = self.job.source(table)
        return OpenSource(connector_for(pinned.spec, self.access), pinned)

    def counter(self, stage: Stage) -> ProgressCounter:
        """Return what adds up this fragment's progress and reports it."""
        return ProgressCounter(Progress(stage), self.report)

    def store(self, work: JoinWork | SettleWork, inputs: Inputs, *, numbers: bool) -> Store:
        """Return the rows of both sides that a fragment works on.

        Args:
            numbers: whether rows carry the numbers that they have in the whole source.
        """
        plan = Plan(
            folder=self.scratch,
            numbered=numbers,
            whole_bytes=0,
            run_bytes=self.budget.run_bytes,
            buckets=lambda _: self.job.buckets,
            numbers_left=self.job.numbered and not numbers,
        )
        query = self.planned.query
        store = Store({side: query.side(side) for side in Side}, plan, self.keying.buckets)
        for one in work.inputs:
            if not isinstance(one.table, Extra):
                want = rows_of(work, one)
                store.adopt(one.table, one.part, inputs[want].only(want.buckets), one.rows)
        return store

    def extras(self, work: JoinWork, inputs: Inputs) -> Mapping[str, list[pa.RecordBatch]]:
        """Return the batches of each extra by its alias, in the order of its parts.

        Raises:
            OutOfMemory: together they are more than extras may be.
        """
        held: dict[str, list[pa.RecordBatch]] = {}
        size = 0
        for index, pinned in enumerate(self.job.extras):
            files = tuple(inputs[rows_of(work, one)] for one in parts_of(work.inputs, Extra(index)))
            spool = Spool(pinned.schema, files)
            size += int(spool.bucket_bytes(1)[0])
            if size > self.budget.extras_bytes:
                raise extras_too_large(pinned, self.budget)
            held[pinned.spec.alias] = list(spool.read([0]))
        return held

    def join_context(
        self, sinks: Sinks, extras: Mapping[str, list[pa.RecordBatch]], inputs: Sequence[SpoolInput]
    ) -> JoinContext:
        """Return what the joins of this fragment share.

        Args:
            inputs: all parts of both sides, of which this fragment has some buckets.
        """
        budget = self.budget
        rows = sum(one.rows for one in inputs if isinstance(one.table, Side))
        return JoinContext(
            planned=self.planned,
            extras=extras,
            limits=SessionLimits(
                threads=budget.threads,
                memory_bytes=budget.pool_bytes * budget.threads,
                spill_path=str(self.scratch),
                batch_rows=self._batch_rows,
            ),
            sinks=sinks,
            progress=self.counter(Stage.MATCHING),
            bound=PairBound(most_pairs(self.job.recipe.options, rows), rows),
            groups=self.job.recipe.groups,
        )

    @property
    def _batch_rows(self) -> int:
        """Return the rows of batches of joins: many where what decides for itself has room."""
        in_memory = self.planned.strategy is Strategy.COPARTITION
        roomy = self.budget.pool_bytes >= _ROOM_FOR_LARGE_BATCHES_BYTES
        return MEMORY_BATCH_ROWS if in_memory and roomy else SPILLED_BATCH_ROWS

    def reread(self) -> Reread:
        """Return what reads the sources again to look for a value that made the SQL fail."""
        extras = {
            one.spec.alias: self.source(Extra(index)) for index, one in enumerate(self.job.extras)
        }
        most = max(self.budget.join_bytes, FEWEST_HELD_BYTES)
        return Reread({side: self.source(side) for side in Side}, extras, most)

    def report(self, progress: Progress) -> None:
        """Tell how far this fragment has come."""
        self.on_progress(
            FragmentProgress(
                id=self.id,
                rows=progress.rows_done,
                bytes=progress.bytes_done,
                matched_rows=progress.matched_rows,
                fetched_bytes=self.fetched_bytes,
                rule=progress.source or "",
            )
        )


def query_of(job: JobContext) -> MatchQuery:
    """Return the match SQL of a job over the shapes of its pinned sources."""
    pinned = (job.left, job.right, *job.extras)
    return query_over(job.recipe.match_sql, pinned, job.started_at)


def parts_of(inputs: Iterable[SpoolInput], table: Table) -> Iterator[SpoolInput]:
    """Yield the inputs of one table in the order of its parts."""
    mine = (one for one in inputs if one.table == table)
    yield from sorted(mine, key=lambda one: one.part)


def extras_too_large(pinned: PinnedSource, budget: Budget) -> OutOfMemory:
    """Return the error of extras that are more than a fragment may hold of them."""
    alias = pinned.spec.alias
    return OutOfMemory(
        f"The extras are too large: {alias} brings them above {budget.extras_bytes} bytes, "
        "an eighth of a fragment's memory. Extras are meant for small tables.",
        source=alias,
    )
