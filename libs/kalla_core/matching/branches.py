"""One branch of each UNION of a plan: every way there is, one after the other.

Whoever walks a plan asks the chooser at each UNION which branch to take. The next way takes
another branch at the last UNION that has one left, until all have been taken. A UNION below a
branch that is not taken is not asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from datafusion import LogicalPlan

from kalla_core.matching import logical as lp

T = TypeVar("T")


@dataclass(slots=True)
class Chooser:
    """Says which branches one way takes.

    Attributes:
        script: the branch at each UNION in the order they are met; beyond it the first.
        taken: number of the UNION and of its branch, both from 1 as people count; the branches of
            a UNION of UNIONs are counted through.
    """

    script: tuple[int, ...] = ()
    taken: list[tuple[int, int]] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    _path: list[int] = field(default_factory=list)
    _unions: int = 0
    _inside: tuple[int, int] | None = None

    def take(self, branches: Sequence[LogicalPlan]) -> int:
        """Return the number of the branch to take."""
        place = len(self._path)
        chosen = self.script[place] if place < len(self.script) else 0
        self._path.append(chosen)
        self._sizes.append(len(branches))
        union, before = self._inside or (self._next_union(), 0)
        before += sum(map(_leaves, branches[:chosen]))
        self._inside = (union, before) if _union_below(branches[chosen]) else None
        if self._inside is None:
            self.taken.append((union, before + 1))
        return chosen

    def following(self) -> Chooser | None:
        """Return who takes the next way, after the walk; None if this was the last."""
        for place in reversed(range(len(self._path))):
            if self._path[place] + 1 < self._sizes[place]:
                return Chooser((*self._path[:place], self._path[place] + 1))
        return None

    def _next_union(self) -> int:
        self._unions += 1
        return self._unions


def ways(walk: Callable[[Chooser], T]) -> Iterator[tuple[Chooser, T]]:
    """Yield what `walk` returns for every way, with who chose; one if it meets no UNION."""
    chooser: Chooser | None = Chooser()
    while chooser is not None:
        yield chooser, walk(chooser)
        chooser = chooser.following()


def names(choosers: Sequence[Chooser]) -> list[str]:
    """Return what people may call each of all ways, as in `Branch 2 of the UNION`."""
    if all(len(chooser.taken) == 1 for chooser in choosers):
        return [f"Branch {branch} of the UNION" for ((_, branch),) in (c.taken for c in choosers)]
    return [
        " and ".join(
            f"{'branch' if place else 'Branch'} {branch} of UNION {union}"
            for place, (union, branch) in enumerate(chooser.taken)
        )
        for chooser in choosers
    ]


def _union_below(plan: LogicalPlan) -> lp.United | None:
    """Return the UNION whose rows `plan` gives as they are, if it does."""
    node = lp.read(plan)
    while isinstance(node, lp.Aliased | lp.Deduplicated | lp.Projected | lp.Sorted):
        node = lp.read(node.input)
    return node if isinstance(node, lp.United) else None


def _leaves(plan: LogicalPlan) -> int:
    union = _union_below(plan)
    return 1 if union is None else sum(map(_leaves, union.inputs))
