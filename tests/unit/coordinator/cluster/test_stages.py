"""What happens to a run on the cluster, one rule at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import FragmentKey, FragmentRetry, StageName, Try
from kalla_coordinator.cluster.layout import Room, Shape
from kalla_coordinator.cluster.run_state import Phase, RunState, Setup, begun, pending, ready
from kalla_coordinator.cluster.stages import step
from kalla_core.errors import (
    Cancelled,
    Crashed,
    ExecutorLost,
    FetchFailed,
    InvalidSql,
    KallaError,
    NotShared,
    SourceChanged,
)
from kalla_core.fragments.cause import Cause, cause_of
from kalla_core.fragments.outcome import (
    BucketSize,
    BucketSizes,
    FragmentFailed,
    JoinDone,
    Outcome,
    ProveDone,
    ScanDone,
    SettleDone,
)
from kalla_core.fragments.remote import ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.sources.protocol import Part

NONE = {Side.LEFT: 0, Side.RIGHT: 0}
MIB = 1 << 20
LEFT_SCAN, RIGHT_SCAN = FragmentKey(StageName.SCAN, 0), FragmentKey(StageName.SCAN, 1)
FIRST_JOIN, SECOND_JOIN = FragmentKey(StageName.JOIN, 0), FragmentKey(StageName.JOIN, 1)
SETTLE = FragmentKey(StageName.SETTLE, 0)
PROOF = FragmentKey(StageName.PROVE, 0)


def setup(strategy: Strategy = Strategy.COPARTITION, *, proofs: bool = False) -> Setup:
    scans = tuple(ScanWork(side, Part(0, {}, MIB)) for side in Side)
    shape = Shape(strategy, frozenset({Side.RIGHT}), spread=True)
    return Setup((), scans, shape, Room(1, 1 << 30), buckets=2, proofs=proofs)


def scanned(rows: int = 10) -> ScanDone:
    return ScanDone(
        rows, 0, 0, BucketSizes.of(BucketSize(b, 5, MIB, MIB) for b in range(2)), 2 * MIB
    )


class Run:
    """A run that things happen to."""

    def __init__(self, of: Setup) -> None:
        self.state: RunState = begun(of)
        self.actions: tuple[e.Action, ...] = ()

    def happens(self, event: e.Event) -> Run:
        self.state, self.actions = step(self.state, event)
        return self

    def granted(self, key: FragmentKey, executor: str = "a") -> Run:
        return self.happens(e.Granted(key, executor))

    def ended(self, key: FragmentKey, outcome: Outcome, attempt: int = 1) -> Run:
        return self.happens(e.Ended(Try(key, attempt), outcome))

    def failed(self, key: FragmentKey, error: KallaError, attempt: int = 1) -> Run:
        return self.ended(key, FragmentFailed(error, cause_of(error)), attempt)

    def done(self, key: FragmentKey, executor: str = "a", attempt: int = 1) -> Run:
        outcome: Outcome = JoinDone((), NONE, NONE, NONE)
        if key.stage is StageName.SCAN:
            outcome = scanned()
        elif key.stage is StageName.SETTLE:
            outcome = SettleDone((), NONE, NONE)
        return self.granted(key, executor).ended(key, outcome, attempt)

    def read(self) -> Run:
        return self.done(LEFT_SCAN, "a").done(RIGHT_SCAN, "b")

    @property
    def ready(self) -> list[FragmentKey]:
        return [one.key for one in ready(self.state)]


def test_joins_are_laid_out_once_both_sides_are_read() -> None:
    run = Run(setup())

    before = run.ready
    run.read()

    assert before == [LEFT_SCAN, RIGHT_SCAN]
    assert run.state.phase is Phase.JOINING
    assert run.ready == [FIRST_JOIN, SECOND_JOIN]


def test_what_waits_for_slots_is_counted_by_stage_while_it_could_run() -> None:
    run = Run(setup())

    at_first = pending(run.state)
    one_under_way = pending(run.granted(LEFT_SCAN).state)
    all_under_way = pending(run.granted(RIGHT_SCAN, "b").state)
    joining = pending(run.ended(LEFT_SCAN, scanned()).ended(RIGHT_SCAN, scanned()).state)
    over = pending(run.done(FIRST_JOIN).done(SECOND_JOIN).state)

    assert at_first == {StageName.SCAN: 2}
    assert one_under_way == {StageName.SCAN: 1}
    assert all_under_way == {}
    assert joining == {StageName.JOIN: 2}
    assert over == {}


def test_a_run_is_written_when_the_last_join_is_done() -> None:
    run = Run(setup()).read()

    run.done(FIRST_JOIN).done(SECOND_JOIN)

    assert run.actions == (e.Written(),)


def test_what_joins_could_not_decide_is_settled_after_them() -> None:
    run = Run(setup(Strategy.BROADCAST)).read()

    run.done(FIRST_JOIN).done(SECOND_JOIN)

    assert run.state.phase is Phase.SETTLING
    assert {key.stage for key in run.ready} == {StageName.SETTLE}


def test_joins_go_where_their_bytes_are() -> None:
    run = Run(setup()).read()

    offered = list(ready(run.state))

    assert [dict(one.local_bytes) for one in offered] == [{"a": MIB, "b": MIB}] * 2


def test_lost_output_is_read_again_only_while_a_join_waits_for_it() -> None:
    waiting, under_way = Run(setup()).read(), Run(setup()).read()
    under_way.granted(FIRST_JOIN, "b").granted(SECOND_JOIN, "b")

    waiting.happens(e.ExecutorLost("a", "it died"))
    under_way.happens(e.ExecutorLost("a", "it died"))

    assert waiting.ready == [LEFT_SCAN]
    assert under_way.ready == []


def test_a_join_that_could_not_fetch_has_its_input_made_again_and_then_runs_again() -> None:
    run = Run(setup()).read().granted(FIRST_JOIN, "b")
    failed = FragmentFailed(FetchFailed("a does not answer"), Cause.FETCH_FAILED)

    run.happens(e.Ended(Try(FIRST_JOIN, 1), failed, frozenset({Try(LEFT_SCAN, 1)})))
    again = run.ready
    run.done(LEFT_SCAN, "b", attempt=2)

    assert again == [LEFT_SCAN]
    assert run.ready == [FIRST_JOIN, SECOND_JOIN]


def test_news_of_an_older_attempt_is_absorbed() -> None:
    run = Run(setup()).granted(LEFT_SCAN, "a").happens(e.ExecutorLost("a", "it died"))
    run.granted(LEFT_SCAN, "b")
    before = run.state

    run.ended(LEFT_SCAN, scanned(), attempt=1)

    assert run.state == before
    assert run.actions == ()


def test_news_of_an_attempt_that_never_was_is_impossible() -> None:
    run = Run(setup()).granted(LEFT_SCAN)

    with pytest.raises(ValueError, match="never launched"):
        run.ended(LEFT_SCAN, scanned(), attempt=2)


def test_a_part_that_has_other_rows_when_it_is_read_again_ends_the_run_attempt() -> None:
    run = Run(setup()).read().happens(e.ExecutorLost("a", "it died")).granted(LEFT_SCAN, "b")

    run.ended(LEFT_SCAN, scanned(rows=11), attempt=2)

    assert run.state.phase is Phase.STARTING_OVER
    assert isinstance(run.state.error, SourceChanged)


def test_an_error_of_the_user_fails_the_run_at_once_and_stops_the_others() -> None:
    run = Run(setup()).granted(LEFT_SCAN, "a").granted(RIGHT_SCAN, "b")
    error = InvalidSql("A value cannot be cast.")

    run.failed(LEFT_SCAN, error)

    assert run.actions == (
        e.Cancel(Try(LEFT_SCAN, 1), "a"),
        e.Cancel(Try(RIGHT_SCAN, 1), "b"),
        e.Fail(error),
    )


def test_a_fragment_that_keeps_failing_fails_the_run_with_its_first_cause() -> None:
    run = Run(setup())

    for attempt in range(1, 5):
        run.granted(LEFT_SCAN).failed(LEFT_SCAN, Crashed(f"crash {attempt}"), attempt)

    assert isinstance(run.state.error, Crashed)
    assert run.state.error.message == "crash 1"


def test_a_lost_snapshot_matters_only_while_something_is_to_be_read() -> None:
    reading, joining = Run(setup()).granted(LEFT_SCAN), Run(setup()).read()
    lost = e.HolderLost(Crashed("the holder is gone"))

    reading.happens(lost)
    joining.happens(lost)

    assert reading.state.phase is Phase.STARTING_OVER
    assert joining.state.phase is Phase.JOINING
    assert joining.happens(e.ExecutorLost("a", "it died")).state.phase is Phase.STARTING_OVER


def test_nothing_is_read_before_an_executor_has_proved_that_it_sees_the_folders() -> None:
    run = Run(setup(proofs=True))

    run.happens(e.ExecutorCame("a"))
    first = run.ready
    run.granted(PROOF).ended(PROOF, ProveDone(None))

    assert first == [PROOF]
    assert all(one.allowed == {"a"} for one in ready(run.state))


def test_an_executor_that_does_not_see_the_folders_fails_the_run_before_any_work() -> None:
    run = Run(setup(proofs=True)).happens(e.ExecutorCame("a"))

    run.granted(PROOF).ended(PROOF, ProveDone("There is no /data."))

    assert isinstance(run.state.error, NotShared)
    assert "There is no /data." in run.state.error.message


def test_a_newcomer_that_does_not_see_the_folders_is_left_alone() -> None:
    run = Run(setup(proofs=True)).happens(e.ExecutorCame("a"))
    run.granted(PROOF).ended(PROOF, ProveDone(None)).happens(e.ExecutorCame("b"))
    newcomer = FragmentKey(StageName.PROVE, 1)

    run.granted(newcomer, "b").ended(newcomer, ProveDone("There is no /data."))

    assert run.state.phase is Phase.SCANNING
    assert all(one.allowed == {"a"} for one in ready(run.state))


def test_an_executor_that_is_back_goes_on_with_what_it_has() -> None:
    run = Run(setup()).done(LEFT_SCAN, "a").granted(RIGHT_SCAN, "a")
    before = run.state.fragments

    run.happens(
        e.ExecutorReturned("a", frozenset({Try(RIGHT_SCAN, 1)}), frozenset({Try(LEFT_SCAN, 1)}))
    )

    assert run.state.fragments == before
    assert run.actions == ()


def test_what_an_executor_comes_back_without_is_done_again() -> None:
    run = Run(setup()).done(LEFT_SCAN, "a").granted(RIGHT_SCAN, "a")

    run.happens(e.ExecutorReturned("a", frozenset(), frozenset()))

    assert run.ready == [LEFT_SCAN, RIGHT_SCAN]


def test_what_an_executor_runs_that_was_given_to_another_is_stopped() -> None:
    run = Run(setup()).granted(LEFT_SCAN, "a").happens(e.ExecutorLost("a", "it was silent"))

    run.happens(e.ExecutorCame("a", frozenset({Try(LEFT_SCAN, 1)})))

    assert run.actions == (e.Cancel(Try(LEFT_SCAN, 1), "a"),)


@pytest.mark.parametrize("phase", ["scanning", "joining", "settling"])
def test_a_run_that_is_stopped_ends_at_once_wherever_it_is(phase: str) -> None:
    run = Run(setup(Strategy.BROADCAST))
    if phase != "scanning":
        run.read()
    if phase == "settling":
        run.done(FIRST_JOIN).done(SECOND_JOIN)
    assert run.state.phase == phase
    cancelled = Cancelled("Somebody cancelled it.")

    run.happens(e.Stopped(cancelled))

    assert run.actions[-1] == e.Fail(cancelled)
    assert run.state.busy == 0


@pytest.mark.parametrize(
    "event",
    [
        e.ExecutorCame("b"),
        e.ExecutorLost("a", "it died"),
        e.ExecutorReturned("a", frozenset(), frozenset()),
        e.Ended(Try(LEFT_SCAN, 1), scanned()),
        e.HolderLost(Crashed("gone")),
        e.Stopped(Cancelled("too late")),
    ],
    ids=lambda event: type(event).__name__,
)
@pytest.mark.parametrize("end", ["written", "failed", "starting_over"])
def test_a_run_that_is_over_absorbs_late_news(end: str, event: e.Event) -> None:
    run = Run(setup()).read().granted(FIRST_JOIN)
    match end:
        case "written":
            run.ended(FIRST_JOIN, JoinDone((), NONE, NONE, NONE)).done(SECOND_JOIN)
        case "failed":
            run.happens(e.Stopped(Cancelled("It was cancelled.")))
        case _:
            run.failed(FIRST_JOIN, SourceChanged("It changed."))
    assert run.state.phase == end
    before = run.state

    run.happens(event)

    assert run.state is before
    assert run.actions == ()


def out_of_reach(run: Run, key: FragmentKey, holder: str, attempt: int) -> Run:
    error = FetchFailed(f"{holder} does not answer.")
    failure = FragmentFailed(error, Cause.FETCH_FAILED)
    return run.happens(e.Ended(Try(key, attempt), failure, frozenset(), holder))


def test_a_join_goes_where_all_can_be_read_once_a_pair_cannot_reach_each_other() -> None:
    run = Run(setup())
    for executor in ("a", "b", "c"):
        run.happens(e.ExecutorCame(executor))
    run.read().granted(FIRST_JOIN, "a")

    out_of_reach(run, FIRST_JOIN, "b", 1)

    assert all(one.unable == {"a", "b"} for one in ready(run.state))
    assert {one.key.stage for one in ready(run.state)} == {StageName.JOIN}


def test_where_nobody_can_read_all_of_it_the_data_is_read_again_within_reach() -> None:
    run = Run(setup())
    for executor in ("a", "b"):
        run.happens(e.ExecutorCame(executor))
    run.read().granted(FIRST_JOIN, "a")

    out_of_reach(run, FIRST_JOIN, "b", 1)

    (again,) = ready(run.state)
    assert again.key.stage is StageName.SCAN
    assert len(again.unable) == 1
    assert run.state.phase is Phase.JOINING


@pytest.mark.parametrize("cuts", [0, 1])
def test_a_run_whose_fragment_reaches_nobody_too_often_fails_and_names_the_last_pair(
    cuts: int,
) -> None:
    run = Run(replace(setup(), policy=FragmentRetry(cuts=cuts)))
    for number in range(9):
        run.happens(e.ExecutorCame(f"x{number}"))
    run.done(LEFT_SCAN, "x0").done(RIGHT_SCAN, "x0")

    for attempt in range(1, cuts + 2):
        run.granted(FIRST_JOIN, f"x{attempt}")
        out_of_reach(run, FIRST_JOIN, "x0", attempt)

    assert run.state.phase is Phase.FAILED
    assert isinstance(run.state.error, FetchFailed)
    assert f"The executors x{cuts + 1} and x0 cannot reach each other" in str(run.state.error)


@pytest.mark.parametrize("back", [False, True])
def test_a_fragment_that_each_executor_is_lost_with_is_given_to_no_more_than_four(
    back: bool,
) -> None:
    run = Run(setup())
    for number in range(9):
        run.happens(e.ExecutorCame(f"x{number}"))
    run.done(LEFT_SCAN, "x8").done(RIGHT_SCAN, "x8")

    tries = 0
    while run.state.phase is Phase.JOINING:
        executor = f"x{tries}"
        run.granted(FIRST_JOIN, executor)
        gone = (
            e.ExecutorReturned(executor, frozenset(), frozenset())
            if back
            else e.ExecutorLost(executor, "it fell silent")
        )
        run.happens(gone)
        tries += 1

    assert tries == 4
    assert isinstance(run.state.error, ExecutorLost)
    assert str(run.state.error).startswith("4 executors were lost while they worked on the same")
    assert run.state.error.details["executor"] == "x0"


def test_executors_that_are_lost_with_other_fragments_are_no_fault_of_one() -> None:
    run = Run(setup())
    for number in range(30):
        run.happens(e.ExecutorCame(f"x{number}"))
    run.done(LEFT_SCAN, "x29").done(RIGHT_SCAN, "x29")

    for number in range(20):
        run.happens(e.ExecutorLost(f"x{number}", "it fell silent"))
    run.granted(FIRST_JOIN, "x28")

    assert run.state.phase is Phase.JOINING
