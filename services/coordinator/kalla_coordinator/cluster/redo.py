"""What is done about a fragment that takes too much memory: less at a time.

A join or settle of several buckets becomes two of half as many; if that is no help, one for each
bucket. Where it is one bucket already, both sides are spread over more buckets, which means to read
them again, into joins of at most half of what was too large; that is done a few times at most, and
not again if it made the bucket no smaller: it has a key that many rows have. So a fragment that no
division helps fails after `MOST_TRIES` of them took too much memory, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from kalla_coordinator.cluster.attempts import Fragment, FragmentKey, StageName
from kalla_coordinator.cluster.layout import Join, Settle, divided, more_buckets, pieces
from kalla_coordinator.cluster.run_state import Phase, RunState, weight_of, with_

T = TypeVar("T")

MOST_TRIES = 7

_LAID_OUT = (StageName.JOIN, StageName.SETTLE)


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


def laid_from(
    state: RunState, stage: StageName, first: int, laid: Sequence[Join | Settle]
) -> list[Fragment]:
    """Return fragments for what is laid out, numbered from `first`; attempts go on counting."""
    keys = [FragmentKey(stage, number) for number in range(first, first + len(laid))]
    return [
        Fragment(key, one.weight_bytes, used=state.retired.get(key, 0)).anew()
        for key, one in zip(keys, laid, strict=True)
    ]


def _smaller_join(state: RunState, key: FragmentKey) -> RunState | None:
    join = state.layout.joins[key.number]
    if not join.divisible:
        return None
    if len(join.buckets) == 1:
        return _spread_further(state, join)
    first, *others = divided(join, _pieces(state, join))
    joins = (*_replaced(state.layout.joins, key.number, first), *others)
    laid = replace(state, layout=replace(state.layout, joins=joins))
    return _divided(_learnt(laid, join), key, first, others)


def _smaller_settle(state: RunState, key: FragmentKey) -> RunState | None:
    settle = state.layout.settles[key.number]
    if len(settle.buckets) == 1 or not settle.divisible:
        return None
    groups = pieces(settle.buckets, _pieces(state, settle))
    first, *others = (Settle(group, settle.weight_bytes // len(groups)) for group in groups)
    settles = (*_replaced(state.layout.settles, key.number, first), *others)
    laid = replace(state, layout=replace(state.layout, settles=settles))
    return _divided(_learnt(laid, settle), key, first, others)


def _pieces(state: RunState, laid: Join | Settle) -> int:
    """Return into how many pieces something is divided: two, then as many as it has buckets."""
    known = state.too_heavy_bytes
    return 2 if known is None or laid.weight_bytes > known else len(laid.buckets)


def _learnt(state: RunState, laid: Join | Settle) -> RunState:
    """Note what was too heavy, so that nothing as heavy is tried again."""
    known = laid.weight_bytes if state.too_heavy_bytes is None else state.too_heavy_bytes
    return replace(state, too_heavy_bytes=min(known, laid.weight_bytes))


def _divided(
    state: RunState, key: FragmentKey, first: Join | Settle, others: Sequence[Join | Settle]
) -> RunState:
    """Let the fragment do its first piece, and new ones, numbered on, the others."""
    before = state.fragments[key]
    rest = laid_from(state, key.stage, len(state.fragments.of(key.stage)), others)
    now = replace(before.anew(), weight_bytes=first.weight_bytes)
    return with_(state, *(replace(one, depth=before.depth + 1) for one in (now, *rest)))


def _spread_further(state: RunState, join: Join) -> RunState | None:
    """Read both sides again into more buckets, and forget the joins."""
    buckets = more_buckets(state.buckets)
    if buckets is None or state.relaid >= state.setup.relays:
        return None
    weight = weight_of(state, join.buckets)
    if state.spread_bytes is not None and 2 * weight > state.spread_bytes:
        return None
    scans = [fragment.anew() for fragment in state.of(StageName.SCAN)]
    made = [one for stage in _LAID_OUT for one in state.of(stage)]
    retired = {**state.retired, **{one.key: one.used for one in made}}
    fragments = state.fragments.put(*scans).without(one.key for one in made)
    return replace(
        _learnt(state, replace(join, weight_bytes=weight)),
        phase=Phase.SCANNING,
        fragments=fragments,
        retired=retired,
        buckets=buckets,
        relaid=state.relaid + 1,
        spread_bytes=weight,
    )


def _replaced(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])
