"""How a plan may be cut into fragments without changing its answer, and why that is so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from kalla_core.matching.keys.candidates import KeyCandidates
from kalla_core.matching.keys.copartition import Check, NotExact
from kalla_core.matching.keys.keys import Copartition
from kalla_core.matching.plans.trace import Traced
from kalla_core.matching.sql.query import Side


class Strategy(StrEnum):
    """How the rows are laid out over fragments."""

    COPARTITION = "copartition"
    BROADCAST = "broadcast"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Choice:
    """A strategy and what it needs.

    Attributes:
        copartition: the key, if the strategy is by key.
        replicable: sides that every fragment may have as a whole while the other is cut anyhow.
        why: sentences for people.
    """

    strategy: Strategy
    copartition: Copartition | None
    replicable: frozenset[Side]
    why: tuple[str, ...]


def choose(traced: Traced, candidates: KeyCandidates, sides: Mapping[str, Side]) -> Choice:
    """Return the best strategy that leaves the answer as it is.

    Args:
        traced: the optimised plan that will run, with symbols.
        candidates: what may be a key.
        sides: table name to side.
    """
    copartition, refusals = _best_key(traced, candidates, sides)
    obstacles = {side: _why_not_replicated(traced, side, sides) for side in Side}
    replicable = frozenset(side for side, why in obstacles.items() if why is None)
    if copartition is not None:
        return Choice(Strategy.COPARTITION, copartition, replicable, _by_key(copartition))
    no_key = "No key can cut both sides: " + " ".join(refusals)
    if replicable:
        names = " or ".join(side.value for side in Side if side in replicable)
        copied = f"{names} can be copied whole to every fragment while the other side is cut up."
        return Choice(Strategy.BROADCAST, None, replicable, (no_key, copied))
    whole = [
        f"{side.other.value} cannot be cut up beside a whole {side.value}: {why}"
        for side, why in obstacles.items()
        if why is not None
    ]
    return Choice(Strategy.SINGLE, None, frozenset(), (no_key, *whole))


def in_one_piece() -> Choice:
    """Return the choice for a plan that leaves something to chance."""
    why = "It picks among equal rows by chance, which two fragments could do differently."
    return Choice(Strategy.SINGLE, None, frozenset(), (why,))


def _best_key(
    traced: Traced, candidates: KeyCandidates, sides: Mapping[str, Side]
) -> tuple[Copartition | None, tuple[str, ...]]:
    """Return the key with most components that is exact, else None and the reasons."""
    found = candidates.components
    reasons = list(candidates.refusals)
    if not found:
        reasons = reasons or ["No equality compares the two sides."]
    for size in range(len(found), 0, -1):
        for chosen in combinations(found, size):
            keys = {side: tuple(c.side(side).symbol for c in chosen) for side in Side}
            check = Check(keys, frozenset(Side), sides)
            try:
                check.run(traced)
            except NotExact as error:
                reasons.append(str(error))
                continue
            return Copartition(chosen, check.nulls_together), ()
    return None, tuple(dict.fromkeys(reasons))


def _by_key(copartition: Copartition) -> tuple[str, ...]:
    equal = " and ".join(
        f"{key.text(Side.LEFT)} = {key.text(Side.RIGHT)}" for key in copartition.keys
    )
    why = [f"Rows can only meet where {equal}, so both sides are cut into buckets by it."]
    if copartition.nulls_together:
        why.append("Nulls of the key count as equal somewhere, so they share one bucket.")
    return tuple(why)


def _why_not_replicated(traced: Traced, side: Side, sides: Mapping[str, Side]) -> str | None:
    """Return why `side` cannot be whole everywhere while the other is cut, None if it can."""
    try:
        Check({}, frozenset((side.other,)), sides).run(traced)
    except NotExact as error:
        return str(error)
    return None
