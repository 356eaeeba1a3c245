"""How far a run on executors has come: what its fragments tell, summed up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from kalla_coordinator.cluster.attempts import FragmentKey, Running, StageName, Try
from kalla_coordinator.cluster.run_state import Phase, RunState
from kalla_coordinator.cluster.sums import Done
from kalla_coordinator.jobs.model import ExecutorShare
from kalla_core.engine.programs.held_plan import HeldPlan
from kalla_core.engine.progress import Progress, Stage
from kalla_core.fragments.outcome import FragmentProgress
from kalla_core.matching.sql.query import Side


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
            source=_rule(reports) if state.setup.shape.in_passes else None,
        )


def _rule(reports: Reports) -> str | None:
    """Return the pass that is carried out, if there are any: one fragment does it."""
    return next((report.rule for report in reports.of.values() if report.rule), None)


def shares(
    state: RunState, reports: Reports, executors: Sequence[str]
) -> tuple[ExecutorShare, ...]:
    """Return what each of some executors has done and does, in their order."""
    found = {executor: _done_by(state, executor) for executor in executors}
    for key, running in _under_way(state):
        if running.executor in found:
            report = _report(reports, key, running.attempt)
            rows, fetched = (0, 0) if report is None else (report.rows, report.fetched_bytes)
            share = found[running.executor]
            found[running.executor] = replace(
                share,
                fragments_running=share.fragments_running + 1,
                rows=share.rows + rows,
                fetched_bytes=share.fetched_bytes + fetched,
            )
    return tuple(found.values())


def _done_by(state: RunState, executor: str) -> ExecutorShare:
    done = state.sums.done_by.get(executor, Done())
    return ExecutorShare(
        executor,
        fragments_done=done.fragments,
        rows=done.rows,
        fetched_bytes=done.fetched_bytes,
    )


def _under_way(state: RunState) -> Iterator[tuple[FragmentKey, Running]]:
    for key, fragment in state.sums.running.items():
        if fragment.running is not None:
            yield key, fragment.running


def _reported(
    state: RunState, reports: Reports, stage: StageName, side: Side | None
) -> list[FragmentProgress]:
    """Return the last reports of what is under way and was not done before, of one stage."""
    found = [
        _report(reports, key, fragment.used)
        for key, fragment in state.sums.running.items()
        if key.stage is stage and fragment.side is side and fragment.accepted is None
    ]
    return [report for report in found if report is not None]


def _read(state: RunState, reports: Reports, side: Side) -> _Sum:
    done = state.sums.done.get((StageName.SCAN, side), Done())
    told = _reported(state, reports, StageName.SCAN, side)
    return _Sum(
        rows=done.rows + sum(report.rows for report in told),
        bytes=done.bytes + sum(report.bytes for report in told),
        done=done.fragments,
        total=done.total,
    )


def _matched(state: RunState, reports: Reports) -> _Sum:
    """Sum up joins and settles; rows count where they are settled."""
    last = StageName.SETTLE if state.layout.settles else StageName.JOIN
    total = _Sum()
    for stage in (StageName.JOIN, StageName.SETTLE):
        done = state.sums.done.get((stage, None), Done())
        told = _reported(state, reports, stage, None)
        rows = done.rows + sum(report.rows for report in told) if stage is last else 0
        total = _Sum(
            rows=total.rows + rows,
            matched=total.matched + done.matched + sum(report.matched_rows for report in told),
            done=total.done + done.fragments,
            total=total.total + done.total,
        )
    return total


def _report(reports: Reports, key: FragmentKey, attempt: int) -> FragmentProgress | None:
    return reports.of.get(Try(key, attempt))
