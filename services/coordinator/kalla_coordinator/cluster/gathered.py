"""What a run on executors did, gathered from the accepted attempts: proved, and as metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kalla_coordinator.cluster.attempts import StageName, Try
from kalla_coordinator.cluster.run_state import RunState
from kalla_core.engine.keys.key_checks import (
    check_keys,
    crowd_warnings,
    foreseen_warnings,
    key_warnings,
    several_warnings,
)
from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.engine.keys.pair_bound import most_pairs, too_many
from kalla_core.engine.programs.held_plan import HeldPlan
from kalla_core.engine.run.job_outcome import JobOutcome, SideOutcome
from kalla_core.errors import EvidenceDamaged
from kalla_core.evidence.accounting import RowAccount, prove
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.names import ALWAYS, MATCHED, SOMETIMES, UNMATCHED
from kalla_core.evidence.reconciled import Reconciliation, from_fields, with_excluded
from kalla_core.fragments.attempt import file_stem
from kalla_core.fragments.crowd import KeyCount
from kalla_core.fragments.outcome import (
    EvidencePart,
    JoinDone,
    Outcome,
    ScanDone,
    SettleDone,
)
from kalla_core.fragments.several import together
from kalla_core.matching.sql.query import Side, TableShape
from kalla_core.recipe.model import Options

T = TypeVar("T", bound=Outcome)

OUTPUTS = (*ALWAYS, *SOMETIMES)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The accepted attempts of a run that is written.

    Attributes:
        scans: per side, in the order of its parts.
        late: joins decided which rows are unmatched, and others only wrote these.
    """

    scans: Mapping[Side, Sequence[ScanDone]]
    joins: Sequence[JoinDone]
    settles: Sequence[SettleDone]
    late: bool = False

    @property
    def parts(self) -> tuple[EvidencePart, ...]:
        """The part files that count, by output and then by fragment."""
        every = [part for done in self.writers for part in done.files]
        return tuple(part for name in OUTPUTS for part in every if output_of(part) == name)

    @property
    def fetched_bytes(self) -> int:
        """Bytes that went from executor to executor."""
        return sum(done.fetched_bytes for done in self.writers)

    @property
    def writers(self) -> Sequence[JoinDone | SettleDone]:
        """All that wrote evidence."""
        return [*self.joins, *self.settles]


def output_of(part: EvidencePart) -> str:
    """Return the output that a part file is of."""
    return part.name.partition("/")[0]


def gather(state: RunState) -> Gathered:
    """Gather the outcomes of a run that is written.

    Raises:
        EvidenceDamaged: an attempt names files that are not its own.
    """
    scans: dict[Side, list[ScanDone]] = {side: [] for side in Side}
    outcomes = _accepted(state, StageName.SCAN, ScanDone)
    for work, done in zip(state.setup.scans, outcomes, strict=True):
        if isinstance(work.table, Side):
            scans[work.table].append(done)
    return Gathered(
        scans=scans,
        joins=tuple(_accepted(state, StageName.JOIN, JoinDone)),
        settles=tuple(_accepted(state, StageName.SETTLE, SettleDone)),
        late=state.setup.shape.parts is not None,
    )


def outcome(
    gathered: Gathered,
    plan: HeldPlan,
    files: tuple[WrittenFile, ...],
    durations: Mapping[str, float],
    options: Options,
) -> JobOutcome:
    """Return what the run did, once it is proved that every row is accounted for.

    Args:
        files: of the evidence as they will be committed.

    Raises:
        DuplicateKeys: rows are told apart by a primary key that is not unique.
        TooManyPairs: all fragments together made more than the run may have.
        AccountingFailed: rows in and rows out do not add up.
    """
    shapes = {side: _shape(plan, side) for side in Side}
    keys = {side: _keys(gathered, side) for side in Side}
    found = {side: together(one.several[side] for one in gathered.writers) for side in Side}
    crowds = [crowd for one in gathered.writers for crowd in one.crowds]
    if plan.by_primary_key:
        check_keys(shapes, keys)
    ledgers = {side: _ledger(gathered, files, side) for side in Side}
    excluded = {side: _excluded(gathered.scans[side]) for side in Side}
    reconciliation = _reconciliation(gathered, excluded)
    _check_pairs(options, files, sum(ledger.scanned for ledger in ledgers.values()))
    prove(*ledgers.values())
    return JobOutcome(
        sides={
            side: SideOutcome(
                records=ledger.scanned,
                matched=ledger.matched,
                unmatched=ledger.unmatched,
                excluded=excluded[side],
                keys=keys[side],
                several=found[side],
                identity=plan.side(side).identity,
            )
            for side, ledger in ledgers.items()
        },
        extras={extra.spec.alias: extra.identity for extra in plan.extras},
        strategy=plan.strategy.value,
        files=files,
        durations=durations,
        joins=_ways(gathered),
        warnings=(
            *plan.warnings,
            *key_warnings(shapes, keys),
            *crowd_warnings(shapes, crowds, rows_in(files, MATCHED)),
            # Each pass says how many matches a row may be in.
            *(several_warnings(shapes, found) if reconciliation is None else ()),
        ),
        groups=_groups(gathered),
        reconciliation=reconciliation,
    )


def warned_ahead(state: RunState, plan: HeldPlan) -> tuple[str, ...]:
    """Return sentences about keys that too many rows have, of a run whose sides are read."""
    counted: dict[Side, list[KeyCount]] = {side: [] for side in Side}
    rows = 0
    for fragment in state.of(StageName.SCAN):
        done = None if fragment.accepted is None else fragment.accepted.outcome
        if fragment.side is not None and isinstance(done, ScanDone):
            counted[fragment.side] += done.keys
            rows += done.rows
    return foreseen_warnings({side: _shape(plan, side) for side in Side}, counted, rows)


def _groups(gathered: Gathered) -> int | None:
    counted = [join.groups for join in gathered.joins if join.groups is not None]
    return sum(counted) if counted else None


def _reconciliation(
    gathered: Gathered, excluded: Mapping[Side, int | None]
) -> Reconciliation | None:
    """Return what the one fragment that carried out all passes told of them."""
    told = [join.reconciliation for join in gathered.joins if join.reconciliation is not None]
    found = from_fields(told[0]) if told else None
    by_word = {side.word: count for side, count in excluded.items()}
    return None if found is None else with_excluded(found, by_word)


def _check_pairs(options: Options, files: Sequence[WrittenFile], rows: int) -> None:
    most = most_pairs(options, rows)
    if rows_in(files, MATCHED) > most:
        raise too_many(most, rows)


def _accepted(state: RunState, stage: StageName, kind: type[T]) -> Iterator[T]:
    for fragment in state.of(stage):
        if fragment.accepted is None or not isinstance(fragment.accepted.outcome, kind):
            raise ValueError(f"{fragment.key} is not done")
        outcome = fragment.accepted.outcome
        if isinstance(outcome, JoinDone | SettleDone):
            _check_names(outcome, Try(fragment.key, fragment.accepted.attempt))
        yield outcome


def _check_names(done: JoinDone | SettleDone, which: Try) -> None:
    """Demand that an attempt names files of its own only, each output at most once.

    Raises:
        EvidenceDamaged: it names others.
    """
    stem = file_stem(which.fragment.stage, which.fragment.number, which.attempt)
    own = {f"{output}/{stem}.parquet" for output in OUTPUTS}
    names = [part.name for part in done.files]
    if len(set(names)) != len(names) or not set(names) <= own:
        raise EvidenceDamaged(
            f"The attempt {stem} reported files that are not its own: {', '.join(names)[:500]!r}."
        )


def _shape(plan: HeldPlan, side: Side) -> TableShape:
    pinned = plan.side(side)
    return TableShape(pinned.spec.alias, pinned.schema, pinned.spec.primary_key)


def _keys(gathered: Gathered, side: Side) -> KeyCounts:
    return KeyCounts(
        duplicates=sum(join.duplicate_keys[side] for join in gathered.joins),
        nulls=sum(scan.null_keys for scan in gathered.scans[side]),
    )


def _ledger(gathered: Gathered, files: Sequence[WrittenFile], side: Side) -> RowAccount:
    """Rows that were settled later were joined many times over, and are counted there."""
    later = bool(gathered.settles) and not gathered.late
    return RowAccount(
        side=side,
        scanned=sum(scan.rows for scan in gathered.scans[side]),
        joined=sum(done.settled[side] for done in gathered.settles)
        if later
        else sum(done.joined[side] for done in gathered.joins),
        matched=sum(done.matched[side] for done in gathered.settles)
        if later
        else sum(done.matched[side] for done in gathered.joins),
        unmatched=rows_in(files, UNMATCHED[side]),
    )


def rows_in(files: Sequence[WrittenFile], output: str) -> int:
    """Return the rows of an output, by the footers of its files."""
    return sum(file.rows for file in files if file.name.partition("/")[0] == output)


def _excluded(scans: Sequence[ScanDone]) -> int | None:
    counts = [scan.excluded for scan in scans]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _ways(gathered: Gathered) -> Mapping[str, int]:
    ways: dict[str, int] = {}
    for join in gathered.joins:
        for way, count in join.ways.items():
            ways[way] = ways.get(way, 0) + count
    return ways
