"""All fragments of a run attempt, in versions that share what is the same in them.

Every event makes a new version, and the old ones stay as they were. Only the newest is kept
whole, with what is summed up over it; an older one knows what differed, and is made whole again
when somebody looks at it (versions by rerooting: Baker, "Shallow binding makes functional arrays
fast", 1991). So an event costs what it changes, however many fragments there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kalla_coordinator.cluster.attempts import Fragment, FragmentKey, FragmentRetry, StageName
from kalla_coordinator.cluster.sums import Sums

_Change = dict[FragmentKey, Fragment | None]


@dataclass
class _Whole:
    """The one version that is whole."""

    sums: Sums
    of: dict[StageName, dict[FragmentKey, Fragment]] = field(
        default_factory=lambda: {stage: {} for stage in StageName}
    )

    def change(self, change: _Change) -> _Change:
        """Make another version whole; return what leads back."""
        back: _Change = {}
        for key, now in change.items():
            stage = self.of[key.stage]
            before = back[key] = stage.get(key)
            if now is None:
                stage.pop(key, None)
            else:
                stage[key] = now
            self.sums.change(before, now)
        return back


class Fragments(Mapping[FragmentKey, Fragment]):
    """One version; not to be changed, nor is it to be iterated over while others are made."""

    __slots__ = ("_change", "_next", "_whole")

    def __init__(self, fragments: Iterable[Fragment], policy: FragmentRetry) -> None:
        self._whole = _Whole(Sums(policy))
        self._whole.change({fragment.key: fragment for fragment in fragments})
        self._next: Fragments | None = None
        self._change: _Change = {}

    @property
    def sums(self) -> Sums:
        """What is summed up over all of them; good until another version is looked at."""
        return self._made_whole().sums

    def of(self, stage: StageName) -> Mapping[FragmentKey, Fragment]:
        """Return the fragments of a stage, in their order."""
        return self._made_whole().of[stage]

    def put(self, *fragments: Fragment) -> Fragments:
        """Return them with some in the place of earlier ones, or besides."""
        return self._changed({fragment.key: fragment for fragment in fragments})

    def without(self, keys: Iterable[FragmentKey]) -> Fragments:
        """Return them without some."""
        return self._changed(dict.fromkeys(keys))

    def __getitem__(self, key: FragmentKey) -> Fragment:
        return self._made_whole().of[key.stage][key]

    def __iter__(self) -> Iterator[FragmentKey]:
        return (key for stage in self._made_whole().of.values() for key in stage)

    def __len__(self) -> int:
        return sum(map(len, self._made_whole().of.values()))

    def _changed(self, change: _Change) -> Fragments:
        if not change:
            return self
        made = Fragments.__new__(Fragments)
        made._whole, made._next, made._change = self._made_whole(), None, {}
        self._change, self._next = self._whole.change(change), made
        return made

    def _made_whole(self) -> _Whole:
        """Make this version the whole one, from the one that is now back to this."""
        path: list[Fragments] = []
        one = self
        while one._next is not None:
            path.append(one)
            one = one._next
        for older in reversed(path):
            newer = older._next
            if newer is not None:
                newer._change, newer._next = self._whole.change(older._change), older
                older._change, older._next = {}, None
        return self._whole
