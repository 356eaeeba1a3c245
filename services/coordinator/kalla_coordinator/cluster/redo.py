"""What is done about a fragment that takes too much memory: less at a time.

A join or settle of several buckets becomes two of half as many. Where it is one bucket already,
both sides are spread over more buckets, which means to read them again; that is done a few times
at most. What then is still too large is divided inside its fragment, or fails.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from kalla_coordinator.cluster.attempts import Fragment, FragmentKey, StageName
from kalla_coordinator.cluster.layout import Settle, halved, halves, more_buckets
from kalla_coordinator.cluster.run_state import Phase, RunState

T = TypeVar("T")

_MADE_ANEW = frozenset({StageName.SCAN, StageName.JOIN, StageName.SETTLE})


def again_smaller(state: RunState, key: FragmentKey) -> RunState | None:
    """Return the state in which the work of a fragment is done with less at a time.

    None if there is no way; fragments that the new state does not have, or that are idle in it,
    are to be stopped.
    """
    match key.stage:
        case StageName.JOIN:
            return _smaller_join(state, key)
        case StageName.SETTLE:
            return _smaller_settle(state, key)
        case _:
            return None


def _smaller_join(state: RunState, key: FragmentKey) -> RunState | None:
    join = state.layout.joins[key.number]
    if not join.divisible:
        return None
    if len(join.buckets) == 1:
        return _spread_further(state)
    first, second = halved(join)
    joins = (*_replaced(state.layout.joins, key.number, first), second)
    return _divided(replace(state, layout=replace(state.layout, joins=joins)), key, len(joins) - 1)


def _smaller_settle(state: RunState, key: FragmentKey) -> RunState | None:
    settle = state.layout.settles[key.number]
    if len(settle.buckets) == 1 or not settle.divisible:
        return None
    first, second = (Settle(half, settle.weight_bytes // 2) for half in halves(settle.buckets))
    settles = (*_replaced(state.layout.settles, key.number, first), second)
    laid = replace(state, layout=replace(state.layout, settles=settles))
    return _divided(laid, key, len(settles) - 1)


def _divided(state: RunState, key: FragmentKey, number: int) -> RunState:
    """Let the fragment do its first half, and a new one of this number the second."""
    new = FragmentKey(key.stage, number)
    halves_of = {
        key: state.fragments[key].anew(),
        new: Fragment(new, used=state.retired.get(new, 0)).anew(),
    }
    return replace(state, fragments={**state.fragments, **halves_of})


def _spread_further(state: RunState) -> RunState | None:
    """Read both sides again into more buckets, and forget the joins."""
    buckets = more_buckets(state.buckets)
    if buckets is None or state.relaid >= state.setup.relays:
        return None
    retired = dict(state.retired)
    fragments: dict[FragmentKey, Fragment] = {}
    for key, fragment in state.fragments.items():
        if key.stage not in _MADE_ANEW:
            fragments[key] = fragment
        elif key.stage is StageName.SCAN:
            fragments[key] = fragment.anew()
        else:
            retired[key] = fragment.used
    return replace(
        state,
        phase=Phase.SCANNING,
        fragments=fragments,
        retired=retired,
        buckets=buckets,
        relaid=state.relaid + 1,
    )


def _replaced(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])
