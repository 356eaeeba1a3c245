"""One whole run in one process: pin, plan, scan, join, settle, prove.

    pin      every source is fixed: schema, snapshot or file times, statistics
    plan     the match SQL is analysed over the schemas; parts are cut
    scan     the parts go into the store: memory, or buckets in the spool
    join     the match SQL runs over buckets, or over everything
    settle   rows that no join marked are written with their reasons, where joins did not do it
    prove    sources are what they were, and every row is accounted for

What is written lies below the run's staging folder; whoever started the run commits it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from kalla_core.engine.failures import FailedOnValue
from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.late import LateJoin, expected_bytes, narrow_first
from kalla_core.engine.joins.matching_stage import run_matching
from kalla_core.engine.joins.numbered import number_field, numbered_first
from kalla_core.engine.joins.sinks import EvidenceSinks, whole_outputs
from kalla_core.engine.joins.totals import MatchingTotals
from kalla_core.engine.keys.census import KeyCensus
from kalla_core.engine.keys.key_checks import (
    check_keys,
    crowd_warnings,
    foreseen_warnings,
    key_warnings,
    several_warnings,
)
from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.engine.keys.key_tally import KeyTally, told_of
from kalla_core.engine.keys.keying import Keying
from kalla_core.engine.keys.pair_bound import PairBound, most_pairs
from kalla_core.engine.keys.rising import RisingKeys
from kalla_core.engine.progress import OnProgress, Progress, ProgressCounter, Stage
from kalla_core.engine.run.demands import planned_over, without_unseen
from kalla_core.engine.run.job_outcome import Closing, JobOutcome, SideOutcome
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.engine.run.reread import FEWEST_HELD_BYTES, Reread
from kalla_core.engine.spool.disk_peak import DiskPeak
from kalla_core.engine.spool.scan import OpenSource, ScanContext, Scanned, on_disk, scan_all
from kalla_core.engine.spool.spool import Spool
from kalla_core.engine.spool.store import HeldTooMuch, Plan, Store
from kalla_core.engine.tasks import WORTH_THREADS, Stop, run_all
from kalla_core.errors import EngineFailure, OutOfMemory
from kalla_core.evidence.accounting import RowAccount, prove
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.fragments.cut import bucket_count, full_rounds
from kalla_core.fragments.model import Hold, ScanFragment
from kalla_core.matching.plans.session import (
    FEW_THREADS,
    MEMORY_BATCH_ROWS,
    SPILLED_BATCH_ROWS,
    SessionLimits,
)
from kalla_core.matching.sql.query import Side, TableShape
from kalla_core.matching.strategy.planned import Identification, Planned, Strategy
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.uris import LOCAL, scheme_of
from kalla_core.sources.pins import dated, pinned_together

PART_BYTES = 64 << 20
"""A part is about this large where the recipe does not say how many there are."""

_SMALL_BYTES = 4 << 20
"""Less than that is read sooner than it is cut, and by one thread sooner than by two."""


def run_job(spec: JobSpec, on_progress: OnProgress) -> JobOutcome:
    """Carry out a run up to, and without, its commit.

    Raises:
        KallaError: whatever went wrong; nothing under the staging folder counts then.
    """
    with ExitStack() as pins:
        job = Job(spec, on_progress, pins)
        return job.run()


@dataclass
class _Clock:
    """Seconds per stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        spent = self.seconds.get(name, 0.0) + time.perf_counter() - start
        self.seconds[name] = round(spent, 3)


@dataclass(frozen=True)
class Gathered:
    """Both sides, read.

    Attributes:
        planned: the match SQL over the columns that were read.
        late: these are not all, and unmatched rows are to be read again.
    """

    planned: Planned
    keying: Keying
    store: Store
    census: Mapping[Side, KeyCensus]
    tally: Mapping[Side, KeyTally]
    scanned: list[Scanned]
    late: bool
    spooled_bytes: int


def _hashed(
    keying: Keying, census: KeyCensus, side: Side, batches: Sequence[pa.RecordBatch]
) -> None:
    census.add(*keying.primary_keys(side, batches))


class Job:
    """A run of one match SQL."""

    numbers_rows = False
    """Whether rows carry their numbers, however they are cut."""

    warns_of_several = True
    """Whether rows in several matches are worth a warning."""

    def __init__(self, spec: JobSpec, on_progress: OnProgress, pins: ExitStack) -> None:
        self._spec = spec
        self._on_progress = on_progress
        self._clock = _Clock()
        recipe = spec.recipe
        with self._clock.stage("planning"):
            specs = (recipe.left, recipe.right, *recipe.extras)
            left, right, *extras = _open(specs, spec, pins)
            self._sources = {Side.LEFT: left, Side.RIGHT: right}
            self._extras = {source.pinned.spec.alias: source for source in extras}
            pinned = [source.pinned for source in (left, right, *extras)]
            self._planned = planned_over(recipe, pinned, spec.started_at)
            self._fragments = self._cut()

    def run(self) -> JobOutcome:
        """Carry it out; an error on a value names the row, as far as it can be found."""
        try:
            return self._run()
        except (FailedOnValue, EngineFailure) as error:
            most = max(self._spec.budget.whole_bytes, FEWEST_HELD_BYTES)
            from kalla_core.engine.run.culprit import raise_located  # few runs fail

            reread = Reread(self._sources, self._extras, most)
            raise_located(error, self._planned, reread)

    def _run(self) -> JobOutcome:
        with self._clock.stage("staging"):
            extras = self._read_extras()
            gathered = self._gather()
        with self._clock.stage("matching"):
            counts = self._counts(gathered)
            if self._planned.identification is not Identification.ROW_IDS:
                check_keys(self._shapes(), counts)
            alone = gathered.store.hold is Hold.MEMORY and self._spec.budget.threads > 1
            sinks = EvidenceSinks(
                whole_outputs(self._spec.staging),
                self._planned,
                self._spec.started_at,
                self._spec.recipe.groups,
                finders=self._spec.budget.threads if alone else 0,
            )
            try:
                with DiskPeak(self._spec.spool) as disk:
                    totals = self._match(gathered, extras, sinks)
                files = self._close(sinks, max(0, disk.bytes - gathered.spooled_bytes))
            except BaseException:
                sinks.abandon()
                raise
        self._verify()
        return self._outcome(gathered.scanned, counts, totals, files, sinks.groups)

    def _counts(self, gathered: Gathered) -> Mapping[Side, KeyCounts]:
        finish = [gathered.census[side].finish for side in Side]
        rows = sum(one.rows for one in gathered.scanned)
        threads = self._spec.budget.threads if rows >= WORTH_THREADS else 1
        return dict(zip(Side, run_all(finish, threads, Stop()), strict=True))

    def _shapes(self) -> Mapping[Side, TableShape]:
        return {side: self._planned.query.side(side) for side in Side}

    def _read_extras(self) -> dict[str, list[pa.RecordBatch]]:
        most = self._spec.budget.extras_bytes
        held: dict[str, list[pa.RecordBatch]] = {}
        size = 0
        for alias, source in self._extras.items():
            held[alias] = []
            for part in source.connector.plan(source.pinned, 1):
                for batch in source.connector.read(source.pinned, part):
                    size += batch.nbytes
                    if size > most:
                        raise OutOfMemory(
                            f"The extras are too large: {alias} brings them above {most} bytes, "
                            "an eighth of the memory limit. Extras are meant for small tables.",
                            source=alias,
                        )
                    held[alias].append(batch)
        return held

    def _gather(self) -> Gathered:
        """Read both sides: all columns, or at first only those that the match SQL mentions.

        What then does not fit into memory either is read once more, with numbers, into the spool.
        """
        spec = self._spec
        narrow = None
        if spec.recipe.options.buckets is None:
            narrow = narrow_first(self._planned, self._sources, spec.budget.whole_bytes)
        if narrow is not None:
            with suppress(HeldTooMuch):
                return self._scan(narrow, late=True)
        numbered = numbered_first(self._planned, self._sources)
        if numbered is not None:
            return self._scan(numbered, late=True, numbered=True)
        return self._scan(self._planned, late=False)

    def _scan(self, planned: Planned, late: bool, numbered: bool = False) -> Gathered:
        budget, keying = self._spec.budget, Keying(planned)
        plan = Plan(
            folder=self._spec.spool,
            numbered=self.numbers_rows or planned.strategy is not Strategy.COPARTITION,
            whole_bytes=budget.whole_bytes if self._spec.recipe.options.buckets is None else 0,
            run_bytes=budget.run_bytes,
            buckets=partial(self._buckets, planned) if numbered or not late else None,
        )
        store = Store({side: planned.query.side(side) for side in Side}, plan, keying.buckets)
        census = {side: KeyCensus(self._spec.spool, side.word) for side in Side}
        tally = {side: KeyTally(planned, keying, side) for side in Side}
        rising = {
            side: RisingKeys(planned.query.side(side), partial(_hashed, keying, census[side], side))
            for side in Side
        }
        context = ScanContext(
            sources=self._sources,
            store=store,
            keying=keying,
            census=census,
            tally=tally,
            progress={side: self._counter(side) for side in Side},
            stop=Stop(),
            rising=rising,
            numbers={side: number_field(side) for side in Side} if numbered else {},
        )
        try:
            scanned = scan_all(context, self._fragments, self._readers())
            store.finish()
            for side, keys in rising.items():
                keys.finish(partial(on_disk, store, side))
            for side, counter in context.progress.items():
                _tell_spool(counter, store.spool(side))
        except BaseException:
            store.abandon()
            raise
        spooled = sum(store.spool(side).stored_bytes for side in Side)
        return Gathered(planned, keying, store, census, tally, scanned, late, spooled)

    def _cut(self) -> list[ScanFragment]:
        """Cut both sides; their parts take turns, so that both are read at the same time."""
        plans = [
            partial(source.connector.plan, source.pinned, self._parts(source))
            for source in self._sources.values()
        ]
        # Text is looked through for where its records begin.
        found = run_all(plans, self._readers(), Stop())
        cut = dict(zip(self._sources, found, strict=True))
        both = [ScanFragment(side, part) for side, parts in cut.items() for part in parts]
        return sorted(both, key=lambda fragment: fragment.part.index)

    def _readers(self) -> int:
        """Return how many threads read: of little that lies here, two would take turns."""
        pinned = [source.pinned for source in self._sources.values()]
        here = all(scheme_of(one.spec.uri or "") == LOCAL for one in pinned)
        size = sum(one.statistics.arrow_bytes or _SMALL_BYTES for one in pinned)
        return 1 if here and size < _SMALL_BYTES else self._spec.budget.threads

    def _parts(self, source: OpenSource) -> int:
        wanted = self._spec.recipe.options.partitions
        if wanted is not None:
            return wanted
        size = source.pinned.statistics.arrow_bytes
        threads = self._spec.budget.threads
        if size is not None and size < _SMALL_BYTES:
            threads = 1  # the other side is read beside it
        elif size is not None and threads > FEW_THREADS:
            # Both sides together four for each, so that none waits long for another's last one.
            threads = max(threads, min(2 * threads, size // _SMALL_BYTES))
        return min(full_rounds((size or 0) // PART_BYTES, threads), 1024)

    def _buckets(self, planned: Planned, held_bytes: int) -> int:
        wanted = self._spec.recipe.options.buckets
        if wanted is not None:
            return wanted
        known = expected_bytes(self._planned.query, planned.query, self._sources)
        budget = self._spec.budget
        share = budget if planned is self._planned else budget.for_narrow_rows()
        return bucket_count(max(known, 2 * held_bytes), share.join_bytes)

    def _counter(self, side: Side) -> ProgressCounter:
        pinned = self._sources[side].pinned
        first = Progress(
            Stage.STAGING,
            source=pinned.spec.alias,
            rows_total=pinned.statistics.rows if pinned.statistics.exact else None,
            bytes_total=pinned.statistics.arrow_bytes,
            fragments_total=sum(fragment.side is side for fragment in self._fragments),
        )
        return ProgressCounter(first, self._on_progress)

    def _match(
        self,
        gathered: Gathered,
        extras: Mapping[str, list[pa.RecordBatch]],
        sinks: EvidenceSinks,
    ) -> MatchingTotals:
        budget, store = self._spec.budget, gathered.store
        rows = sum(store.row_count(side) for side in Side)
        ahead = foreseen_warnings(self._shapes(), told_of(gathered.tally), rows)
        first = Progress(Stage.MATCHING, rows_total=rows, warnings=ahead)
        in_memory = store.hold is Hold.MEMORY
        context = JoinContext(
            planned=gathered.planned,
            extras=extras,
            limits=SessionLimits(
                threads=budget.threads if rows >= WORTH_THREADS else 1,
                memory_bytes=budget.pool_bytes * budget.threads,
                spill_path=str(self._spec.spool),
                batch_rows=MEMORY_BATCH_ROWS if in_memory else SPILLED_BATCH_ROWS,
                build_once=in_memory and budget.threads <= FEW_THREADS,
            ),
            sinks=sinks,
            progress=ProgressCounter(first, self._on_progress),
            bound=PairBound(most_pairs(self._spec.recipe.options, rows), rows),
            groups=self._spec.recipe.groups,
        )
        if gathered.late and not in_memory:
            from kalla_core.engine.joins.late_joins import LateJoins  # small runs need none of it

            narrow = budget.for_narrow_rows()
            return LateJoins(
                context, store, gathered.keying, narrow, self._sources, self._fragments
            ).run()
        if gathered.late:
            return LateJoin(context, store, self._sources, self._fragments).run()
        return run_matching(context, store, gathered.keying, budget)

    def _close(self, sinks: Closing, spilled_bytes: int) -> tuple[WrittenFile, ...]:
        matched = sinks.matched_rows
        self._on_progress(Progress(Stage.WRITING_RESULTS, matched_rows=matched))
        files = sinks.close()
        self._on_progress(
            Progress(
                Stage.WRITING_RESULTS,
                fragments_done=1,
                fragments_total=1,
                matched_rows=matched,
                spilled_bytes=spilled_bytes,
            )
        )
        return files

    def _verify(self) -> None:
        for source in (*self._sources.values(), *self._extras.values()):
            source.connector.verify(source.pinned)

    def _excluded_rows(self, scanned: list[Scanned]) -> Mapping[Side, int | None]:
        return {side: _excluded([one for one in scanned if one.side is side]) for side in Side}

    def _outcome(
        self,
        scanned: list[Scanned],
        counts: Mapping[Side, KeyCounts],
        totals: MatchingTotals,
        files: tuple[WrittenFile, ...],
        groups: int | None,
    ) -> JobOutcome:
        unmatched = {Side.LEFT: files[1].rows, Side.RIGHT: files[2].rows}
        rows = {side: sum(part.rows for part in scanned if part.side is side) for side in Side}
        prove(
            *(
                RowAccount(
                    side, rows[side], totals.joined[side], totals.matched[side], unmatched[side]
                )
                for side in Side
            )
        )
        excluded = self._excluded_rows(scanned)
        sides = {
            side: SideOutcome(
                records=rows[side],
                matched=totals.matched[side],
                unmatched=unmatched[side],
                excluded=excluded[side],
                keys=counts[side],
                several=totals.several[side],
                identity=self._sources[side].pinned.identity,
            )
            for side in Side
        }
        return JobOutcome(
            sides=sides,
            extras={alias: source.pinned.identity for alias, source in self._extras.items()},
            strategy=self._planned.strategy.value,
            files=files,
            durations=self._clock.seconds,
            joins={way.value: count for way, count in totals.ways.items()},
            warnings=(
                *self._planned.warnings,
                *key_warnings(self._shapes(), counts),
                *crowd_warnings(self._shapes(), totals.crowds, files[0].rows),
                *(
                    several_warnings(self._shapes(), totals.several)
                    if self.warns_of_several
                    else ()
                ),
            ),
            groups=groups,
        )


def _open(specs: Sequence[SourceSpec], job: JobSpec, pins: ExitStack) -> list[OpenSource]:
    """Pin sources together, so that those of one database are seen at the same moment."""
    found = pins.enter_context(pinned_together(dated(specs, job.started_at), job.access))
    connectors, pinned = zip(*found, strict=True)
    fitting = without_unseen(job.recipe.match_sql, pinned, job.started_at)
    return list(map(OpenSource, connectors, fitting))


def _tell_spool(counter: ProgressCounter, spool: Spool) -> None:
    if spool.files:
        counter.spooled(spool.rows, spool.stored_bytes)


def _excluded(scanned: list[Scanned]) -> int | None:
    counts = [part.excluded for part in scanned]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
