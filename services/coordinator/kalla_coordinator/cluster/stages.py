"""A run on the cluster as a state machine: news in, launches, cancellations and its end out.

    proving     each executor shows that it sees the folders of the run, where that matters
    scanning    extras and both sides are read and spooled
    joining     all sizes are known; joins are laid out and run
    settling    rows that no join could decide on are written, where there are such
    written     every fragment has an accepted attempt; the rest is the host's: verify, commit
    failed, starting_over   this run attempt comes to nothing

An output that is lost is made again only if a fragment that is not under way needs it: one that
is under way may have read it already, and says so if it has not. An executor that comes while
the run is on must prove itself first, and is left alone if it cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import assert_never

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import (
    Fragment,
    FragmentKey,
    FragmentRetry,
    StageName,
    Try,
)
from kalla_coordinator.cluster.layout import lay_out, uncounted
from kalla_coordinator.cluster.redo import again_smaller, laid_from
from kalla_coordinator.cluster.run_state import (
    FINAL,
    Phase,
    RunState,
    all_available,
    bucket_sizes,
    inputs_available,
    keys_rise,
    wanted,
    with_,
)
from kalla_coordinator.cluster.severed import brought_home, severed
from kalla_core.errors import ExecutorLost, KallaError, NotShared, SourceChanged
from kalla_core.fragments.cause import Cause
from kalla_core.fragments.outcome import FragmentFailed, Outcome, ProveDone, ScanDone

Step = tuple[RunState, tuple[e.Action, ...]]

_HOPELESS = frozenset({Cause.USER_ERROR, Cause.FATAL})
_EXCUSED = frozenset({Cause.FETCH_FAILED, Cause.CANCELLED, Cause.LOST})


def step(state: RunState, event: e.Event) -> Step:
    """Return the state after `event` and what it calls for, in order.

    Raises:
        ValueError: `event` cannot happen in `state`.
    """
    if state.phase in FINAL:
        return _late(state, event)
    match event:
        case e.Granted():
            return _granted(state, event)
        case e.Ended():
            return _advanced(*_ended(state, event))
        case e.ExecutorCame():
            return _advanced(_came(_there(state, event), event), _strays(state, event))
        case e.ExecutorReturned():
            return _advanced(_returned(_there(state, event), event), _strays(state, event))
        case e.ExecutorLost():
            return _advanced(_executor_lost(state, event), ())
        case e.HolderLost():
            return _advanced(replace(state, holder_error=event.error), ())
        case e.Stopped():
            return _fails(state, event.error)
        case _:
            assert_never(event)


def _late(state: RunState, event: e.Event) -> Step:
    """Nothing matters any more, but that nobody works for a run that is over."""
    if isinstance(event, e.Granted):
        raise ValueError(f"{event.key} got a slot after the run was over")
    if isinstance(event, e.ExecutorCame | e.ExecutorReturned):
        return state, _strays(state, event)
    return state, ()


# -- what happens to fragments -------------------------------------------------------------------


def _granted(state: RunState, event: e.Granted) -> Step:
    fragment = state.fragments[event.key]
    stage = event.key.stage
    if not (fragment.idle and wanted(state, stage) and inputs_available(state, stage)):
        raise ValueError(f"{event.key} got a slot and was not ready")
    now = fragment.launched(event.executor)
    return with_(state, now), (e.Start(Try(event.key, now.used), event.executor),)


def _ended(state: RunState, event: e.Ended) -> Step:
    fragment = state.fragments.get(event.which.fragment)
    if fragment is None:
        return state, ()  # of a layout, or for an executor, that is no more
    if event.which.attempt > fragment.used:
        raise ValueError(f"{event.which} ended and was never launched")
    if not fragment.is_running(event.which):
        return state, ()
    if isinstance(event.outcome, FragmentFailed):
        return _failed(state, fragment, event.outcome, event)
    return _succeeded(state, fragment, event.outcome)


def _succeeded(state: RunState, fragment: Fragment, outcome: Outcome) -> Step:
    done = with_(state, fragment.succeeded(outcome))
    match outcome:
        case ScanDone(rows=rows):
            before = fragment.rows
            if before is not None and before != rows:
                return _starts_over(done, _changed(fragment.key, before, rows))
            return done, ()
        case ProveDone(problem=None):
            executor = state.provers[fragment.key.number]
            return replace(done, proven=state.proven | {executor}), ()
        case ProveDone(problem=problem) if state.phase is Phase.PROVING:
            executor = state.provers[fragment.key.number]
            return _fails(
                done,
                NotShared(
                    f"The executor {executor} does not see what the run needs. {problem} A run "
                    "on a cluster with local sources or a local output needs folders that the "
                    "coordinator and all executors share under the same paths.",
                    executor=executor,
                ),
            )
        case _:
            return done, ()


def _changed(key: FragmentKey, before: int, now: int) -> SourceChanged:
    return SourceChanged(
        f"A source changed while it was read: part {key.number} had {before} rows at first and "
        f"{now} when it was read again."
    )


def _failed(state: RunState, fragment: Fragment, outcome: FragmentFailed, event: e.Ended) -> Step:
    error, cause = outcome.error, outcome.cause
    if cause in _HOPELESS:
        return _fails(state, error)
    if cause is Cause.SOURCE_CHANGED:
        return _starts_over(state, error)
    if event.cut_from is not None and fragment.running is not None:
        return severed(state, fragment, event.cut_from, error), ()
    if cause in _EXCUSED:
        return _outputs_lost(with_(state, fragment.lost(error)), event.lost), ()
    failed = with_(state, fragment.failed(error))
    if cause is Cause.OUT_OF_MEMORY:
        smaller = again_smaller(failed, fragment.key)
        if smaller is not None:
            return smaller, _cancels(_vanished(failed, smaller))
        if fragment.failures or state.relaid:  # it was alone already, and it was no accident
            return _fails(failed, error)
    return failed, ()


def _vanished(before: RunState, after: RunState) -> list[Fragment]:
    """Return the fragments that were under way and are not any more."""
    under_way = list(before.sums.running.values())
    still = after.sums.running
    return [fragment for fragment in under_way if fragment.key not in still]


def _outputs_lost(state: RunState, lost: Iterable[Try]) -> RunState:
    """Note that the outputs of these attempts cannot be read; older attempts matter to nobody."""
    found = [
        fragment.output_lost()
        for which in lost
        if (fragment := state.fragments.get(which.fragment)) is not None
        and _counts(fragment, which)
        and _is_read(state, fragment)
    ]
    return with_(state, *found)


def _counts(fragment: Fragment, which: Try) -> bool:
    return fragment.accepted is not None and fragment.accepted.attempt == which.attempt


def _is_read(state: RunState, fragment: Fragment) -> bool:
    """Whether others read what the fragment leaves: spools, and what joins left to settle."""
    match fragment.key.stage:
        case StageName.EXTRAS | StageName.SCAN:
            return True
        case StageName.JOIN:
            return bool(state.layout.settles)
        case _:
            return False


# -- what happens to executors -------------------------------------------------------------------


def _there(state: RunState, event: e.ExecutorCame | e.ExecutorReturned) -> RunState:
    return replace(state, here=state.here | {event.executor})


def _came(state: RunState, event: e.ExecutorCame) -> RunState:
    known = state.proven | set(state.provers.values())
    if not state.setup.proofs or event.executor in known:
        return state
    key = FragmentKey(StageName.PROVE, max(state.provers, default=-1) + 1)
    provers = {**state.provers, key.number: event.executor}
    return with_(replace(state, provers=provers), Fragment(key))


def _executor_lost(state: RunState, event: e.ExecutorLost) -> RunState:
    error = ExecutorLost(
        f"The executor {event.executor} was lost: {event.why}.", executor=event.executor
    )
    changed: list[Fragment] = []
    for fragment in _on(state, event.executor):
        now = fragment
        if now.running is not None and now.running.executor == event.executor:
            now = now.orphaned(error)
        if _is_on(now, event.executor) and _is_read(state, now):
            now = now.output_lost()
        changed.append(now)
    proofs = [
        FragmentKey(StageName.PROVE, number)
        for number, name in state.provers.items()
        if name == event.executor
    ]
    fragments = state.fragments.put(*changed).without(
        key for key in proofs if key in state.fragments
    )
    # The numbers of its prove fragments stay taken: no attempt's name is used twice.
    provers = {
        number: "" if name == event.executor else name for number, name in state.provers.items()
    }
    return replace(
        state,
        fragments=fragments,
        provers=provers,
        proven=state.proven - {event.executor},
        here=state.here - {event.executor},
        severed=frozenset(pair for pair in state.severed if event.executor not in pair),
    )


def _returned(state: RunState, event: e.ExecutorReturned) -> RunState:
    error = ExecutorLost(
        f"The executor {event.executor} came back without what it had in hand.",
        executor=event.executor,
    )
    changed: list[Fragment] = []
    for fragment in _on(state, event.executor):
        now, key = fragment, fragment.key
        if (
            now.running is not None
            and now.running.executor == event.executor
            and Try(key, now.running.attempt) not in event.running
        ):
            now = now.orphaned(error)
        if (
            now.accepted is not None
            and _is_on(now, event.executor)
            and _is_read(state, now)
            and Try(key, now.accepted.attempt) not in event.held
        ):
            now = now.output_lost()
        changed.append(now)
    return with_(state, *changed)


def _on(state: RunState, executor: str) -> list[Fragment]:
    """Return the fragments that run on an executor, or whose output lies there."""
    return [state.fragments[key] for key in sorted(state.sums.on.get(executor, ()))]


def _is_on(fragment: Fragment, executor: str) -> bool:
    accepted = fragment.accepted
    return accepted is not None and accepted.held and accepted.executor == executor


def _strays(state: RunState, event: e.ExecutorCame | e.ExecutorReturned) -> tuple[e.Action, ...]:
    """Stop what an executor runs that is not what it is to run."""
    return tuple(
        e.Cancel(which, event.executor)
        for which in sorted(event.running)
        if state.phase in FINAL or not _runs_there(state, which, event)
    )


def _runs_there(state: RunState, which: Try, event: e.ExecutorCame | e.ExecutorReturned) -> bool:
    fragment = state.fragments.get(which.fragment)
    return (
        isinstance(event, e.ExecutorReturned)
        and fragment is not None
        and fragment.is_running(which)
        and fragment.running is not None
        and fragment.running.executor == event.executor
    )


# -- how far it has come -------------------------------------------------------------------------


def _advanced(state: RunState, actions: tuple[e.Action, ...]) -> Step:
    """Go on to the next phase once nothing is left of this one; give up where it is time."""
    if state.phase in FINAL:
        return state, actions
    spent = next(filter(partial(_spent, state), state.sums.exhausted.values()), None)
    if spent is not None:
        return _then(actions, _fails(state, _why_given_up(spent, state.setup.policy)))
    if state.holder_error is not None and _reading(state):
        return _then(actions, _starts_over(state, state.holder_error))
    following = _next_phase(state)
    if following is None:
        return brought_home(state, is_read=partial(_is_read, state)), actions
    if following.phase is Phase.WRITTEN:
        return _then(actions, _over(following, e.Written()))
    return _advanced(following, actions)


def _spent(state: RunState, fragment: Fragment) -> bool:
    """Whether the run fails because a fragment is exhausted; not if a newcomer cannot prove it."""
    newcomer = fragment.key.stage is StageName.PROVE and state.phase is not Phase.PROVING
    return not newcomer


def _next_phase(state: RunState) -> RunState | None:
    match state.phase:
        case Phase.PROVING if state.proven and all_available(state, StageName.PROVE):
            return replace(state, phase=Phase.SCANNING)
        case Phase.SCANNING if all_available(state, StageName.EXTRAS, StageName.SCAN):
            return _laid_out(state)
        case Phase.JOINING if all_available(state, StageName.JOIN):
            settles = bool(state.layout.settles)
            return replace(state, phase=Phase.SETTLING if settles else Phase.WRITTEN)
        case Phase.SETTLING if all_available(state, StageName.SETTLE):
            return replace(state, phase=Phase.WRITTEN)
        case _:
            return None


def _laid_out(state: RunState) -> RunState:
    """Lay joins out by the sizes that the scans found.

    Numbers of an earlier layout are used again, their attempts go on counting.
    """
    heavy = state.too_heavy_bytes
    room = replace(state.setup.room, most_bytes=None if heavy is None else max(heavy // 2, 1))
    layout = lay_out(bucket_sizes(state), state.setup.shape, room)
    if keys_rise(state):
        layout = uncounted(layout)
    joins = laid_from(state, StageName.JOIN, 0, layout.joins)
    settles = laid_from(state, StageName.SETTLE, 0, layout.settles)
    return with_(replace(state, phase=Phase.JOINING, layout=layout), *joins, *settles)


def _reading(state: RunState) -> bool:
    """Whether a source is being read, or is to be."""
    stages = (StageName.EXTRAS, StageName.SCAN)
    sums = state.sums
    return any(key.stage in stages for key in sums.running) or any(
        sums.idle[stage] and wanted(state, stage) for stage in stages
    )


def _why_given_up(fragment: Fragment, policy: FragmentRetry) -> KallaError:
    first = fragment.first_cause
    if first is None:
        raise ValueError(f"{fragment.key} was given up without a cause")
    if fragment.deaths > policy.deaths:
        return ExecutorLost(
            f"{fragment.deaths} executors were lost while they worked on the same part of the run "
            f"({fragment.key.stage} {fragment.key.number}), which may be why; no other is given "
            f"it. At first: {first.message}",
            **first.details,
        )
    return first


def _fails(state: RunState, error: KallaError) -> Step:
    return _over(replace(state, phase=Phase.FAILED, error=error), e.Fail(error))


def _starts_over(state: RunState, error: KallaError) -> Step:
    return _over(replace(state, phase=Phase.STARTING_OVER, error=error), e.StartOver(error))


def _over(state: RunState, end: e.Action) -> Step:
    """End the run attempt; nobody works on it any more."""
    running = list(state.sums.running.values())
    idle = (replace(fragment, running=None) for fragment in running)
    return with_(state, *idle), (*_cancels(running), end)


def _cancels(fragments: Iterable[Fragment]) -> tuple[e.Action, ...]:
    return tuple(
        e.Cancel(Try(fragment.key, fragment.running.attempt), fragment.running.executor)
        for fragment in fragments
        if fragment.running is not None
    )


def _then(actions: tuple[e.Action, ...], following: Step) -> Step:
    state, more = following
    return state, (*actions, *more)
