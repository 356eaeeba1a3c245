"""How far a run on executors has come: what its fragments tell, summed up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from kalla_coordinator.cluster.attempts import FragmentKey, StageName, Try
from kalla_coordinator.cluster.run_state import Phase, RunState
from kalla_coordinator.jobs.model import ExecutorShare
from kalla_core.engine.held_plan import HeldPlan
from kalla_core.engine.progress import Progress, Stage
from kalla_core.fragments.outcome import FragmentProgress, JoinDone, ScanDone, SettleDone
from kalla_core.fragments.work import work_done
from kalla_core.matching.query import Side


@dataclass(frozen=True, slots=True)
class Reports:
    """The last report of each attempt that is under way."""

    of: Mapping[Try, FragmentProgress] = field(default_factory=lambda: MappingProxyType({}))

    def told(self, which: Try, report: FragmentProgress) -> Reports:
        """Return them with another report."""
        return Reports({**self.of, which: report})

    def ended(self, which: Try) -> Reports:
        """Return them without an attempt that is over."""
        if which not in self.of:
            return self
        return Reports({one: report for one, report in self.of.items() if one != which})


@dataclass(frozen=True, slots=True)
class _Sum:
    rows: int = 0
    bytes: int = 0
    matched: int = 0
    done: int = 0
    total: int = 0


def summed_up(state: RunState, reports: Reports, plan: HeldPlan) -> Iterator[Progress]:
    """Yield where each stage of a run stands that has begun, in their order."""
    for side in Side:
        read = _read(state, reports, side)
        statistics = plan.side(side).statistics
        yield Progress(
            Stage.STAGING,
            source=plan.side(side).spec.alias,
            rows_done=read.rows,
            rows_total=statistics.rows if statistics.exact else None,
            bytes_done=read.bytes,
            bytes_total=statistics.arrow_bytes,
            fragments_done=read.done,
            fragments_total=read.total,
        )
    if state.phase in (Phase.JOINING, Phase.SETTLING, Phase.WRITTEN):
        joined = _matched(state, reports)
        yield Progress(
            Stage.MATCHING,
            rows_done=joined.rows,
            fragments_done=joined.done,
            fragments_total=joined.total,
            matched_rows=joined.matched,
        )


def shares(
    state: RunState, reports: Reports, executors: Sequence[str]
) -> tuple[ExecutorShare, ...]:
    """Return what each of some executors has done and does, in their order."""
    found = {executor: ExecutorShare(executor) for executor in executors}
    for key, fragment in state.fragments.items():
        accepted, running = fragment.accepted, fragment.running
        if accepted is not None and accepted.executor in found:
            work, share = work_done(accepted.outcome), found[accepted.executor]
            found[accepted.executor] = _shared(share, work.rows, work.fetched_bytes, done=1)
        if running is not None and running.executor in found:
            report = _report(reports, key, running.attempt)
            rows, fetched = (0, 0) if report is None else (report.rows, report.fetched_bytes)
            share = found[running.executor]
            found[running.executor] = _shared(share, rows, fetched, running=1)
    return tuple(found.values())


def _shared(
    share: ExecutorShare, rows: int, fetched: int, done: int = 0, running: int = 0
) -> ExecutorShare:
    return replace(
        share,
        fragments_done=share.fragments_done + done,
        fragments_running=share.fragments_running + running,
        rows=share.rows + rows,
        fetched_bytes=share.fetched_bytes + fetched,
    )


def _read(state: RunState, reports: Reports, side: Side) -> _Sum:
    total = _Sum()
    for key, fragment in state.fragments.items():
        if key.stage is not StageName.SCAN or state.setup.scans[key.number].table is not side:
            continue
        total = replace(total, total=total.total + 1)
        accepted = fragment.accepted
        if accepted is not None and isinstance(accepted.outcome, ScanDone):
            size = sum(bucket.raw_bytes for bucket in accepted.outcome.buckets)
            total = _more(total, rows=accepted.outcome.rows, size=size, done=1)
        elif (report := _report(reports, key, fragment.used)) is not None:
            total = _more(total, rows=report.rows, size=report.bytes)
    return total


def _matched(state: RunState, reports: Reports) -> _Sum:
    total = _Sum()
    for key, fragment in state.fragments.items():
        if key.stage not in (StageName.JOIN, StageName.SETTLE):
            continue
        total = replace(total, total=total.total + 1)
        outcome = None if fragment.accepted is None else fragment.accepted.outcome
        if isinstance(outcome, JoinDone):
            pairs = outcome.files[0].rows if outcome.files and _has_pairs(outcome) else 0
            rows = 0 if state.layout.settles else sum(outcome.joined.values())
            total = _more(total, rows=rows, matched=pairs, done=1)
        elif isinstance(outcome, SettleDone):
            total = _more(total, rows=sum(outcome.settled.values()), done=1)
        elif (report := _report(reports, key, fragment.used)) is not None:
            rows = 0 if state.layout.settles and key.stage is StageName.JOIN else report.rows
            total = _more(total, rows=rows, matched=report.matched_rows)
    return total


def _has_pairs(outcome: JoinDone) -> bool:
    return outcome.files[0].name.startswith("matched")


def _report(reports: Reports, key: FragmentKey, attempt: int) -> FragmentProgress | None:
    return reports.of.get(Try(key, attempt))


def _more(total: _Sum, rows: int = 0, size: int = 0, matched: int = 0, done: int = 0) -> _Sum:
    return replace(
        total,
        rows=total.rows + rows,
        bytes=total.bytes + size,
        matched=total.matched + matched,
        done=total.done + done,
    )
