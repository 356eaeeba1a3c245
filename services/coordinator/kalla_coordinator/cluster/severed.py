"""What becomes of a run whose executors cannot all reach each other.

A fragment goes where it can read all it needs. Where there is no such executor, the one that can
read most is taken for home: what lies out of its reach is made again, within it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kalla_coordinator.cluster.attempts import Fragment, StageName
from kalla_coordinator.cluster.run_state import (
    RunState,
    able_at_all,
    inputs_available,
    of_no_use,
    out_of_reach,
    wanted,
    with_,
)
from kalla_core.errors import FetchFailed, KallaError


def severed(state: RunState, fragment: Fragment, holder: str, error: KallaError) -> RunState:
    """Note that the executor of a running fragment does not reach another that is there."""
    if fragment.running is None:
        raise ValueError(f"{fragment.key} could not fetch and nobody worked on it")
    reader = fragment.running.executor
    told = FetchFailed(
        f"The executors {reader} and {holder} cannot reach each other. {error.message}",
        **{**error.details, "reader": reader},
    )
    pairs = state.severed | {frozenset({reader, holder})}
    return with_(replace(state, severed=pairs), fragment.cut_off(told))


def brought_home(state: RunState, is_read: Callable[[Fragment], bool]) -> RunState:
    """Give up outputs that nobody can read together with all others that are needed.

    Args:
        is_read: whether others read what a fragment leaves.
    """
    if not state.severed or not any(_stranded(state, stage) for stage in _READERS):
        return state
    far = out_of_reach(state)
    lost = [
        one.output_lost()
        for one in state.fragments.values()
        if one.accepted is not None and one.accepted.executor in far and is_read(one)
    ]
    return with_(state, *lost)


_READERS = (StageName.JOIN, StageName.SETTLE)


def _stranded(state: RunState, stage: StageName) -> bool:
    """Whether fragments wait that no executor can do."""
    waiting = state.sums.idle[stage] and wanted(state, stage)
    if not waiting or not inputs_available(state, stage):
        return False
    able = able_at_all(state)
    return bool(able) and not able - of_no_use(state, stage)
