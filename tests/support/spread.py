"""Cluster runs in this process: every fragment by itself, inputs read from peers' folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.engine.budget import Budget
from kalla_core.engine.fragments.fragment import Done, run_fragment
from kalla_core.engine.fragments.remote_run import RemoteRun, query_of
from kalla_core.engine.joins.numbered import numbered_plan
from kalla_core.engine.spool.requests import Inputs, wants
from kalla_core.engine.spool.spool_folder import SpoolFolder
from kalla_core.evidence.accounting import RowAccount, prove
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reconciled import Reconciliation, from_fields, with_excluded
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.outcome import FragmentProgress, JoinDone, ScanDone, SettleDone
from kalla_core.fragments.remote import (
    CENSUS_CLASSES,
    DeliveredPart,
    DeliverWork,
    Extra,
    JobContext,
    JoinWork,
    ScanWork,
    SettleWork,
    SpoolInput,
    SpoolPlace,
    Table,
    Work,
)
from kalla_core.fragments.windows import window_starts
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned, Strategy, plan_match
from kalla_core.recipe.model import Recipe
from kalla_core.sources.registry import connector_for
from tests.support.runs import AMPLE
from tests.support.tables import Ran, sorted_rows

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Layout:
    """How a run is cut and spread; one of passes has one join whatever is said of joins here.

    Attributes:
        joins: join fragments that the buckets are dealt to.
        split: a bucket whose parts are dealt to two joins that are settled later, if the plan
            allows it.
        settles: settle fragments, or those that deliver.
        late: scans read what the match SQL names, where its plan stays the same and each join
            decides for itself.
    """

    executors: int = 2
    parts: int = 3
    buckets: int = 7
    joins: int = 3
    split: int | None = None
    settles: int = 2
    late: bool = False


@dataclass
class Spread:
    """What a spread run came to, as `tests.support.tables.Ran` has it of a local one."""

    planned: Planned
    late: bool = False
    joins: dict[str, int] = field(default_factory=dict)
    duplicates: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    null_keys: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    matched: pa.Table = None
    unmatched: Mapping[Side, pa.Table] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    told: Reconciliation | None = None
    reports: list[FragmentProgress] = field(default_factory=list)

    def has_the_rows_of(self, whole: Ran) -> bool:
        """Whether pairs and unmatched rows are those of a local run."""
        return self.matched.equals(whole.matched) and all(
            self.unmatched[side].equals(whole.unmatched[side]) for side in Side
        )


def spread(
    recipe: Recipe, folder: Path, layout: Layout = Layout(), share: Budget = AMPLE
) -> Spread:
    """Run a recipe as a cluster would, prove its accounts, and return what it wrote."""
    with ExitStack() as pins:
        cluster = _Cluster(recipe, folder, layout, share, pins)
        try:
            return cluster.run()
        finally:
            shutil.rmtree(cluster.root)


class _Cluster:
    def __init__(
        self, recipe: Recipe, folder: Path, layout: Layout, share: Budget, pins: ExitStack
    ) -> None:
        self.root = folder / "cluster"
        self.staging = self.root / "staging"
        self.staging.mkdir(parents=True)
        self.layout = layout
        self.share = share
        self.folders = [SpoolFolder(self.root / str(n)) for n in range(layout.executors)]
        specs: Mapping[Table, Any] = {
            Side.LEFT: recipe.left,
            Side.RIGHT: recipe.right,
            **{Extra(n): extra for n, extra in enumerate(recipe.extras)},
        }
        connectors = {table: connector_for(spec) for table, spec in specs.items()}
        pinned = {
            table: pins.enter_context(connectors[table].pin(spec)) for table, spec in specs.items()
        }
        self.parts = {
            table: connectors[table].plan(
                pinned[table], 1 if isinstance(table, Extra) else layout.parts
            )
            for table in specs
        }
        self.job = JobContext(
            recipe=recipe,
            started_at=STARTED,
            left=pinned[Side.LEFT],
            right=pinned[Side.RIGHT],
            extras=tuple(pinned[Extra(n)] for n in range(len(recipe.extras))),
            buckets=layout.buckets,
            numbered=True,
            staging=str(self.staging),
        )
        self.planned = plan_match(query_of(self.job))
        cut = self.planned.strategy is Strategy.COPARTITION and layout.split is None
        if cut and not recipe.reconciles:
            self.job = replace(self.job, numbered=False)
            if layout.late and numbered_plan(self.planned) is not None:
                self.job = replace(self.job, late=True)
        self.done = Spread(self.planned, self.job.late)
        self.files: list[str] = []
        self.rows = dict.fromkeys(Side, 0)
        self.excluded = {side.word: 0 for side in Side}
        self.joined = dict.fromkeys(Side, 0)
        self.matched = dict.fromkeys(Side, 0)

    def run(self) -> Spread:
        inputs = self._scan_all()
        every = tuple(range(self.layout.buckets))
        if self.job.recipe.reconciles:
            self._join_all([JoinWork(every, frozenset(), False, inputs)])
        elif self.planned.strategy is Strategy.BROADCAST:
            self._broadcast(inputs)
        elif self.planned.strategy is Strategy.SINGLE:
            self._join_all([JoinWork(every, frozenset(), False, inputs)])
        else:
            self._copartition(inputs)
        self.done.matched = self._evidence(MATCHED)
        self.done.unmatched = {side: self._evidence(name) for side, name in UNMATCHED.items()}
        written = dict.fromkeys(file.partition("/")[0] for file in self.files)
        self.done.tables = {name.removesuffix(".parquet"): self._evidence(name) for name in written}
        prove(
            *(
                RowAccount(
                    side,
                    self.rows[side],
                    self.joined[side],
                    self.matched[side],
                    self.done.unmatched[side].num_rows,
                )
                for side in Side
            )
        )
        return self.done

    def _scan_all(self) -> tuple[SpoolInput, ...]:
        inputs = []
        for number, (table, part) in enumerate(
            (table, part) for table, parts in self.parts.items() for part in parts
        ):
            place, done = self._run("scan", number, ScanWork(table, part))
            assert isinstance(done, ScanDone)
            inputs.append(SpoolInput(table, part.index, place, done.rows))
            if not isinstance(table, Extra):
                self.rows[table] += done.rows
                self.done.null_keys[table] += done.null_keys
                self.excluded[table.word] += done.excluded or 0
        return tuple(inputs)

    def _copartition(self, inputs: tuple[SpoolInput, ...]) -> None:
        split = self.layout.split if self.planned.replicable else None
        buckets = [bucket for bucket in range(self.layout.buckets) if bucket != split]
        deals = _dealt(buckets, self.layout.joins)
        told = self._join_all([JoinWork(deal, frozenset(), False, inputs) for deal in deals])
        if self.job.late:
            self._deliver_all(inputs, told)
        if split is not None:
            whole = min(self.planned.replicable)
            halves = [
                tuple(one for one in inputs if one.table != whole.other or one.part % 2 == half)
                for half in range(2)
            ]
            works = [JoinWork((split,), frozenset(), True, half) for half in halves]
            self._settle_all(inputs, [(split,)], self._join_all(works, "match"))

    def _broadcast(self, inputs: tuple[SpoolInput, ...]) -> None:
        whole = frozenset({min(self.planned.replicable)})
        buckets = range(self.layout.buckets)
        works = [JoinWork(deal, whole, True, inputs) for deal in _dealt(buckets, self.layout.joins)]
        settles = 1 if self.planned.scattered else self.layout.settles
        self._settle_all(inputs, _dealt(buckets, settles), self._join_all(works))

    def _join_all(self, works: Sequence[JoinWork], stage: str = "join") -> list[SpoolPlace]:
        classes = _dealt(range(CENSUS_CLASSES), len(works))
        places = []
        for number, (work, mine) in enumerate(zip(works, classes, strict=True)):
            counts = stage == "join"
            asked = replace(work, census_classes=mine) if counts else work
            place, done = self._run(stage, number, asked)
            assert isinstance(done, JoinDone)
            places.append(place)
            self.files += [file.name for file in done.files]
            found = from_fields(done.reconciliation or {})
            self.done.told = found and with_excluded(found, self.excluded)
            for way, count in done.ways.items():
                self.done.joins[way] = self.done.joins.get(way, 0) + count
            for side in Side:
                self.done.duplicates[side] += done.duplicate_keys[side]
                if not work.settle_later:
                    self.joined[side] += done.joined[side]
                    self.matched[side] += done.matched[side]
        return places

    def _settle_all(
        self,
        inputs: tuple[SpoolInput, ...],
        groups: Iterable[tuple[int, ...]],
        marks: Sequence[SpoolPlace],
    ) -> None:
        sides = tuple(one for one in inputs if not isinstance(one.table, Extra))
        for number, group in enumerate(groups):
            _, done = self._run("settle", number, SettleWork(group, sides, tuple(marks)))
            assert isinstance(done, SettleDone)
            self.files += [file.name for file in done.files]
            for side in Side:
                self.joined[side] += done.settled[side]
                self.matched[side] += done.matched[side]

    def _deliver_all(self, inputs: tuple[SpoolInput, ...], told: Sequence[SpoolPlace]) -> None:
        sides = [(one, one.table) for one in inputs if isinstance(one.table, Side)]
        starts = window_starts(one.rows for one, _ in sides)
        parts = [
            DeliveredPart(side, self.parts[side][one.part], one.rows, start)
            for (one, side), start in zip(sides, starts, strict=False)
        ]
        for number in range(self.layout.settles):
            work = DeliverWork(tuple(parts[number :: self.layout.settles]), tuple(told))
            _, done = self._run("settle", number, work)
            assert isinstance(done, SettleDone)
            self.files += [file.name for file in done.files]

    def _run(self, stage: str, number: int, work: Work) -> tuple[SpoolPlace, Done]:
        executor = number % self.layout.executors
        folder = self.folders[executor]
        attempt = AttemptId("run", 1, stage, number, 1)
        with folder.scratch(attempt) as scratch:
            run = RemoteRun(
                id=attempt,
                job=self.job,
                budget=self.share,
                folder=folder,
                scratch=scratch,
                on_progress=self.done.reports.append,
            )
            done = run_fragment(run, work, self._inputs(work))
        return SpoolPlace(attempt, str(executor), "localhost", 1), done

    def _inputs(self, work: Work) -> Inputs:
        return {
            want: replace(
                self.folders[int(want.place.executor_id)].open(want.place.attempt, want.kind),
                origin=want.fault,
            )
            for want in wants(work)
        }

    def _evidence(self, name: str) -> pa.Table:
        paths = [self.staging / file for file in self.files if file.startswith(f"{name}/")]
        assert sorted((self.staging / name).iterdir()) == sorted(paths)
        return sorted_rows(pa.concat_tables(pq.read_table(path) for path in paths))


def _dealt(buckets: Iterable[int], hands: int) -> list[tuple[int, ...]]:
    listed = list(buckets)
    return [tuple(listed[n::hands]) for n in range(hands)]
