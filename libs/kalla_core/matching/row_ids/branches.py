"""One branch of each UNION of a plan: every way there is, one after the other.

Whoever walks a plan asks the chooser at each UNION which branch to take. The next way takes
another branch at the last UNION that has one left, until all have been taken. A UNION below a
branch that is not taken is not asked about. The alternatives of an OR may be taken likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from datafusion import LogicalPlan

from kalla_core.matching.plans import logical as lp

T = TypeVar("T")


class Fork(Enum):
    """What has branches; the value is what people call one of them, and the whole."""

    UNION = ("branch", "UNION")
    OR = ("alternative", "OR")


@dataclass(slots=True)
class Chooser:
    """Says which branches one way takes.

    Attributes:
        alternatives: ask about each OR as well.
        script: the branch at each fork in the order they are met; beyond it the first.
        taken: the kind of each fork, its number among those of its kind, and that of its branch,
            from 1 as people count; the branches of a UNION of UNIONs are counted through.
    """

    alternatives: bool = False
    script: tuple[int, ...] = ()
    taken: list[tuple[Fork, int, int]] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    _path: list[int] = field(default_factory=list)
    _inside: tuple[int, int] | None = None
    _forks: dict[Fork, int] = field(default_factory=dict)

    def take(self, branches: Sequence[LogicalPlan]) -> int:
        """Return the number of the branch of a UNION to take."""
        chosen = self._choose(len(branches))
        union, before = self._inside or (self._next(Fork.UNION), 0)
        before += sum(map(_leaves, branches[:chosen]))
        self._inside = (union, before) if _union_below(branches[chosen]) else None
        if self._inside is None:
            self.taken.append((Fork.UNION, union, before + 1))
        return chosen

    def take_alternative(self, count: int) -> int:
        """Return the number of the alternative of an OR to take."""
        chosen = self._choose(count)
        self.taken.append((Fork.OR, self._next(Fork.OR), chosen + 1))
        return chosen

    def following(self) -> Chooser | None:
        """Return who takes the next way, after the walk; None if this was the last."""
        for place in reversed(range(len(self._path))):
            if self._path[place] + 1 < self._sizes[place]:
                script = (*self._path[:place], self._path[place] + 1)
                return Chooser(self.alternatives, script)
        return None

    def _choose(self, count: int) -> int:
        place = len(self._path)
        chosen = self.script[place] if place < len(self.script) else 0
        self._path.append(chosen)
        self._sizes.append(count)
        return chosen

    def _next(self, fork: Fork) -> int:
        self._forks[fork] = self._forks.get(fork, 0) + 1
        return self._forks[fork]


def ways(walk: Callable[[Chooser], T], *, alternatives: bool) -> Iterator[tuple[Chooser, T]]:
    """Yield what `walk` returns for every way, with who chose; one if it meets no fork."""
    chooser: Chooser | None = Chooser(alternatives)
    while chooser is not None:
        yield chooser, walk(chooser)
        chooser = chooser.following()


def names(choosers: Sequence[Chooser]) -> list[str]:
    """Return what people may call each of all ways, as in `Branch 2 of the UNION`."""
    several = {fork for chooser in choosers for fork, number, _ in chooser.taken if number > 1}
    return [_name(chooser, several) for chooser in choosers]


def _name(chooser: Chooser, several: set[Fork]) -> str:
    parts = []
    for fork, number, branch in chooser.taken:
        one, whole = fork.value
        of = f"{whole} {number}" if fork in several else f"the {whole}"
        parts.append(f"{one} {branch} of {of}")
    name = " and ".join(parts)
    return name[:1].upper() + name[1:]


def _union_below(plan: LogicalPlan) -> lp.United | None:
    """Return the UNION whose rows `plan` gives as they are, if it does."""
    node = lp.read(plan)
    while isinstance(node, lp.Aliased | lp.Deduplicated | lp.Projected | lp.Sorted):
        node = lp.read(node.input)
    return node if isinstance(node, lp.United) else None


def _leaves(plan: LogicalPlan) -> int:
    union = _union_below(plan)
    return 1 if union is None else sum(map(_leaves, union.inputs))
