"""Which executors cannot reach each other, and what that means for where a run works.

Executors that both talk to the coordinator may still be cut from each other. What a reader could
not get from a holder makes them a pair that is kept apart: in one run for as long as it goes on,
in others for a while. A cut one way counts as one both ways: where packets are lost in one
direction neither end gets an answer, and to find that out from the other would cost a second
silence. One that belongs to two such pairs is kept apart from everybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Pair = frozenset[str]

_REMEMBERED_S = 300.0


def apart(pairs: frozenset[Pair], one: str, other: str) -> bool:
    """Whether one of two executors is not to read from the other."""
    if one == other or not pairs:
        return False
    return frozenset({one, other}) in pairs or bool(_alone(pairs) & {one, other})


def unable(pairs: frozenset[Pair], here: Iterable[str], holders: Iterable[str]) -> frozenset[str]:
    """Return the executors that cannot read from all of some holders."""
    held = set(holders)
    if not pairs:
        return frozenset()
    return frozenset(one for one in here if any(apart(pairs, one, other) for other in held))


def home(pairs: frozenset[Pair], here: Iterable[str], held_bytes: Mapping[str, int]) -> str | None:
    """Return the executor that can read most of what is held; None if there is none.

    Args:
        held_bytes: by the executor that holds them.
    """
    readable = {
        one: sum(size for other, size in held_bytes.items() if not apart(pairs, one, other))
        for one in here
    }
    return max(readable, key=lambda one: (readable[one], one), default=None)


def _alone(pairs: frozenset[Pair]) -> frozenset[str]:
    count = Counter(one for pair in pairs for one in pair)
    return frozenset(one for one, times in count.items() if times > 1)


@dataclass
class Remembered:
    """Pairs that were found lately, for runs that begin; times are those of one clock, in s."""

    _until: dict[Pair, float] = field(default_factory=dict)

    def note(self, pair: Pair, now: float) -> None:
        """Keep a pair in mind from now on."""
        self._until[pair] = now + _REMEMBERED_S

    def at(self, now: float) -> frozenset[Pair]:
        """Return the pairs that are still in mind."""
        self._until = {pair: until for pair, until in self._until.items() if until > now}
        return frozenset(self._until)

    def forget(self, executor: str) -> None:
        """Drop the pairs of an executor that is gone."""
        self._until = {pair: until for pair, until in self._until.items() if executor not in pair}
