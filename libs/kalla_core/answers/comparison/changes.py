"""The kinds of change between two runs, counted by key, with examples, and what brought them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from kalla_core.answers.comparison.states import (
    ABSENT,
    IS_MATCHED,
    IS_OPEN,
    Ints,
    States,
    reason_names,
    states_of,
)
from kalla_core.answers.verification.keys import MOST_AT_ONCE, texts_of
from kalla_core.errors import InvalidSetting
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side

EXAMPLES = 5


class Change(StrEnum):
    """What happened to a key from the first run to the second."""

    SAME = "same"
    NEWLY_MATCHED = "newly_matched"
    NEWLY_OPEN = "newly_open"
    OTHER_PARTNER = "other_partner"
    OTHER_REASON = "other_reason"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class SideChanges:
    """The changes of one side.

    Attributes:
        counts: keys by kind of change.
        examples: keys of each kind, a few.
        reasons: keys that are open in both runs for another reason, by both reasons.
    """

    alias: str
    counts: Mapping[Change, int]
    examples: Mapping[Change, tuple[str, ...]]
    reasons: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one run to another, and what differs between them."""

    first: RunMetadata
    second: RunMetadata
    sides: Mapping[Side, SideChanges]

    @property
    def causes(self) -> tuple[str, ...]:
        """Return what differs: `recipe`, `version`, `left data`, `right data`; none if nothing."""
        a, b = self.first, self.second
        found = {
            "recipe": a.recipe_sha256 != b.recipe_sha256,
            "version": dict(a.versions) != dict(b.versions),
            "left data": a.left.identity != b.left.identity,
            "right data": a.right.identity != b.right.identity,
        }
        return tuple(name for name, differs in found.items() if differs)

    @property
    def changed(self) -> int:
        """How many keys changed, of both sides."""
        return sum(
            count
            for side in self.sides.values()
            for change, count in side.counts.items()
            if change is not Change.SAME
        )


def compare_runs(first: Evidence, second: Evidence, at_once: int = MOST_AT_ONCE) -> Comparison:
    """Return what changed from one run to another, in bounded memory.

    Raises:
        InvalidSetting: they are not runs of one recipe.
    """
    a, b = first.metadata, second.metadata
    if a.recipe_id != b.recipe_id:
        raise InvalidSetting(
            f"The runs are of two recipes, {a.recipe_id!r} and {b.recipe_id!r}; runs of one recipe "
            "can be compared.",
        )
    sides = {side: _side(first, second, side, at_once) for side in Side}
    return Comparison(a, b, sides)


def _side(first: Evidence, second: Evidence, side: Side, at_once: int) -> SideChanges:
    rows = max(one.rows(MATCHED) + one.rows(UNMATCHED[side]) for one in (first, second))
    count = -(-max(rows, 1) // at_once)
    counts: Counter[Change] = Counter()
    reasons: Counter[tuple[int, int]] = Counter()
    samples: dict[Change, list[int]] = {}
    for number in range(count):
        a, b = (states_of(one, side, number, count) for one in (first, second))
        keys, kinds, pairs = _kinds(a, b)
        for place, change in enumerate(Change):
            hits = np.flatnonzero(kinds == place)
            counts[change] += len(hits)
            some = samples.setdefault(change, [])
            some += keys[hits[: EXAMPLES - len(some)]].tolist()
        reasons.update(pairs)
    names = reason_names(first, side) | reason_names(second, side)
    source = second.metadata.recipe.get("sources", {}).get(side.word, {})
    return SideChanges(
        alias=str(source.get("alias", side.word)),
        counts={change: counts[change] for change in Change},
        examples=_examples(first, second, side, samples),
        reasons={
            (names.get(a, "several"), names.get(b, "several")): many
            for (a, b), many in reasons.most_common()
        },
    )


def _kinds(a: States, b: States) -> tuple[Ints, Ints, Counter[tuple[int, int]]]:
    """Return all keys, the place of each one's change in `Change`, and the pairs of reasons."""
    keys = np.union1d(a.keys, b.keys)
    (state_a, partner_a, reason_a), (state_b, partner_b, reason_b) = (
        _spread(keys, one) for one in (a, b)
    )
    order = list(Change)
    kinds = np.full(len(keys), order.index(Change.SAME))
    open_both = (state_a == state_b) & (state_a == IS_OPEN) & (reason_a != reason_b)
    for change, hits in (
        (Change.OTHER_PARTNER, (state_a & state_b & IS_MATCHED > 0) & (partner_a != partner_b)),
        (Change.OTHER_REASON, open_both),
        (Change.NEWLY_MATCHED, (state_a == IS_OPEN) & (state_b & IS_MATCHED > 0)),
        (Change.NEWLY_OPEN, (state_a & IS_MATCHED > 0) & (state_b == IS_OPEN)),
        (Change.NEW, (state_a == ABSENT) & (state_b != ABSENT)),
        (Change.GONE, (state_b == ABSENT) & (state_a != ABSENT)),
    ):
        kinds[hits] = order.index(change)
    pairs = np.stack([reason_a[open_both], reason_b[open_both]], axis=1)
    distinct, many = np.unique(pairs, axis=0, return_counts=True)
    listed = zip(map(tuple, distinct.tolist()), many.tolist(), strict=True)
    return keys, kinds, Counter(dict(listed))


def _spread(keys: Ints, states: States) -> tuple[Ints, Ints, Ints]:
    places = np.searchsorted(keys, states.keys)
    found = []
    for values in (states.states, states.partners, states.reasons):
        spread = np.zeros(len(keys), np.int64)
        spread[places] = values
        found.append(spread)
    return found[0], found[1], found[2]


def _examples(
    first: Evidence, second: Evidence, side: Side, samples: Mapping[Change, list[int]]
) -> dict[Change, tuple[str, ...]]:
    asked = {change: some for change, some in samples.items() if change is not Change.SAME}
    wanted = np.array(sorted({one for some in asked.values() for one in some}), np.int64)
    texts: dict[int, str] = {}
    for evidence in (second, first):
        for output, column in ((MATCHED, f"{side.word}_key"), (UNMATCHED[side], "record_key")):
            if len(texts) < len(wanted):
                texts |= texts_of(evidence, output, column, wanted)
    return {
        change: tuple(sorted(texts[one] for one in some if one in texts))
        for change, some in asked.items()
        if some
    }


def comparison_json(done: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON."""
    return {
        "first": done.first.run_id,
        "second": done.second.run_id,
        "recipe_id": done.second.recipe_id,
        "changed": done.changed,
        "causes": list(done.causes),
        **{
            side.word: {
                "source": found.alias,
                "counts": {change.value: count for change, count in found.counts.items()},
                "examples": {change.value: list(keys) for change, keys in found.examples.items()},
                "reasons": [
                    {"first": a, "second": b, "rows": count}
                    for (a, b), count in found.reasons.items()
                ],
            }
            for side, found in done.sides.items()
        },
    }
