"""Why rows are in no pair by one rule of the match SQL, and how near they came to one.

Works on the rows of whole key classes: everything that could have matched a row is at hand. The
cost grows with the rows, not with the pairs of a hot key: each row that has its key on the other
side is shown one candidate, found by a sorted search on what the first measurable condition
compares (`kalla_core.engine.reasons.closest`), or else the best of the first few by primary key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.keys.codes import NONE, key_codes
from kalla_core.engine.keys.keyed import KeyedSides, rows_at
from kalla_core.engine.keys.near import loose_keys
from kalla_core.engine.reasons import wording
from kalla_core.engine.reasons.candidates import (
    Choice,
    Coded,
    Failures,
    by_primary_key,
    choose_candidates,
    describe_candidates,
    failures_of,
)
from kalla_core.engine.reasons.misses import Misses, MissJudge
from kalla_core.engine.reasons.said import (
    Codes,
    Lot,
    Reason,
    Said,
    Sentences,
    one_after_another,
)
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.evidence.build import Reasons
from kalla_core.evidence.keys import key_text
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned, Rule


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of some rows.

    Attributes:
        short: how far each falls short of a match by the rule that tells, less being nearer; no
            two rules have the same.
    """

    reasons: Reasons
    short: Ints


_CHOSEN_NOT, _FAILED, _ABSENT, _NULL, _KEYLESS = range(len(Reason))
_STEP = 1 << 20
"""Between two reasons; within one, fewer conditions that fail are nearer, and a near key."""
_PAIRS_AT_ONCE = 1 << 17
_FEW_PAIRS = 1 << 14
"""To ask about so many takes longer to begin than to do, so that both sides are asked at once."""
_PLACES = 1 << 10
"""More than rules: what they tell alike, the first tells."""


@dataclass(frozen=True, slots=True)
class _Verdicts:
    """What was found out about the unmatched rows of one side, in their order.

    Attributes:
        codes: `_FAILED` stands for `_CHOSEN_NOT` as well.
        choice: for the rows whose key is on the other side, in their order.
        keys: as `__k0`, `__k1`, ..., each column in one chunk.
        null: where in `keys` those of the rows are that have a null in theirs.
        absent: likewise, of those whose key is not on the other side.
        near: for each of these the position of a row on the other side whose key is the same but
            for its spelling, or `NONE`.
    """

    codes: Codes
    choice: Choice
    keys: pa.Table
    null: Ints
    absent: Ints
    near: Ints


@dataclass(frozen=True, slots=True)
class _Shared:
    """What is told alike of the pairs of a row and its candidate, whichever side asks.

    Attributes:
        at: for each side, where in `failures` the pair of each of its rows with a candidate is.
    """

    failures: Failures
    at: Mapping[Side, Ints]


class RuleJudge:
    """Judges the unmatched rows of both sides of one set of buckets by one rule, which has keys."""

    def __init__(
        self,
        planned: Planned,
        rule: Rule,
        rows: Mapping[Side, Rows],
        keyed: KeyedSides,
        misses: Misses | None = None,
    ) -> None:
        self._planned = planned
        self._rule = rule
        self._rows = rows
        self._keyed = keyed
        self._place = [one.name for one in planned.rules].index(rule.name)
        self._verdicts: dict[Side, _Verdicts] = {}
        self._misses = misses
        self._shared: _Shared | None = None

    def judge(self, side: Side, unmatched: Bools, asked: Bools | None = None) -> None:
        """Find out why the rows of `side` that `unmatched` marks are so.

        Args:
            asked: which of these alone are to be told of; all by default.
        """
        if self._misses is not None and self._misses.known:
            keys, at, null, found, choice = self._among_misses(self._misses, side, unmatched)
        else:
            keys, at, null, found, choice = self._among_all(side, unmatched, asked)
        codes = np.where(found, _FAILED, np.where(null, _NULL, _ABSENT)).astype(np.int8)
        absent = at[codes == _ABSENT]
        near = self._near(side, keys, absent)
        self._verdicts[side] = _Verdicts(codes, choice, keys, at[codes == _NULL], absent, near)

    def _among_misses(
        self, misses: Misses, side: Side, unmatched: Bools
    ) -> tuple[pa.Table, Ints, Bools, Bools, Choice]:
        """Return keys, and where in them those of the rows are that are to be judged.

        Then which of these have a null in it, which a candidate, and the closest ones.
        """
        choice = MissJudge(self._planned, self._rule, self._rows, self._keyed, misses).choose(
            side, unmatched
        )
        there = np.zeros(len(unmatched), dtype=np.bool_)
        there[choice.wanted] = True
        keys, at = self._keyed.table(side), np.flatnonzero(unmatched)
        null = np.zeros(len(at), dtype=np.bool_)
        for column in keys.columns:
            if column.null_count:
                null |= np.asarray(column.is_null())[at]

        return keys, at, null, there[at], choice

    def _among_all(
        self, side: Side, unmatched: Bools, asked: Bools | None
    ) -> tuple[pa.Table, Ints, Bools, Bools, Choice]:
        """Return what `_among_misses` does."""
        every = self._keyed.wanted(side, unmatched)
        keys, wanted, offered = every.keys, every.codes, every.offered
        at = np.flatnonzero(unmatched)
        if asked is not None and not asked.all():
            keys, wanted = keys.filter(pa.array(asked)).combine_chunks(), wanted[asked]
            at = at[asked]
        null = wanted == NONE
        there = np.zeros(int(every.codes.max(initial=0)) + 1, dtype=np.bool_)
        there[offered[offered != NONE]] = True
        found = ~null & there[wanted]
        choice = choose_candidates(
            self._planned,
            self._rule,
            side,
            self._rows[side],
            self._rows[side.other],
            Coded(at[found], wanted[found]),
            Coded(np.flatnonzero(offered != NONE), offered[offered != NONE]),
        )
        return keys, np.arange(len(keys)), null, found, choice

    def share(self, most_pairs: int, threads: int, stop: Stop) -> None:
        """Say once what keeps a row and its candidate apart, for both sides, once they are judged.

        Args:
            most_pairs: of more it is said as it is asked for, rather than held.
        """
        pairs = {side: self._chosen(side) for side in Side}
        (left, right), (also_left, also_right) = pairs[Side.LEFT], pairs[Side.RIGHT]
        places = _places_of(left, self._rows[Side.LEFT].count)[also_left].astype(np.int64)
        again = places != NONE
        again[again] = right[places[again]] == also_right[again]
        count = len(left) + int(np.count_nonzero(~again))
        alike = 2 * int(np.count_nonzero(again)) >= len(also_left)
        if count > most_pairs or not (alike or count <= _FEW_PAIRS):
            return
        places[~again] = np.arange(len(left), count)
        at = (np.append(left, also_left[~again]), np.append(right, also_right[~again]))
        pieces = max(threads, count // _PAIRS_AT_ONCE) if count > _FEW_PAIRS else 1
        ends = np.linspace(0, count, pieces + 1).astype(int)
        tasks = [
            partial(self._failures, at[0][start:end], at[1][start:end])
            for start, end in pairwise(ends)
        ]
        found = run_all(tasks, threads, stop)
        failures = Failures(
            np.concatenate([one.missed for one in found]),
            one_after_another([one.why for one in found]),
        )
        self._shared = _Shared(failures, {Side.LEFT: np.arange(len(left)), Side.RIGHT: places})

    def said(self, side: Side, start: int, count: int) -> Said:
        """Return what is said of `count` of the rows judged, from the one numbered `start`."""
        return self._said(side, start, count)[0]

    def told(self, side: Side, start: int, count: int) -> Told:
        """Return the same as text, with how near the rows came to a match."""
        said, short = self._said(side, start, count)
        return Told(said.reasons(), short * _PLACES + self._place)

    def _said(self, side: Side, start: int, count: int) -> tuple[Said, Ints]:
        verdicts = self._verdicts[side]
        codes = verdicts.codes[start : start + count]
        before, failed = _span(verdicts.codes, _FAILED, start, count)
        candidates = describe_candidates(
            self._planned,
            side,
            self._rows[side.other],
            verdicts.choice.slice(before, failed),
            self._failures_of(side, before, failed),
        )
        first, some = _span(verdicts.codes, _NULL, start, count)
        null = rows_at(verdicts.keys, verdicts.null[first : first + some])
        first, some = _span(verdicts.codes, _ABSENT, start, count)
        absent = rows_at(verdicts.keys, verdicts.absent[first : first + some])
        near = verdicts.near[first : first + some]
        not_found, nearby = self._nearby(side, absent, near)
        nothing = Sentences([wording.key_null(self._rule, side, null)], len(null))
        told = codes.copy()
        told[codes == _FAILED] = np.where(
            (candidates.missed == 0) & self._rule.chooses, _CHOSEN_NOT, _FAILED
        )
        short = told.astype(np.int64) * _STEP
        short[codes == _FAILED] += candidates.missed
        short[codes == _ABSENT] += near == NONE
        lots = [
            Lot(
                np.flatnonzero(codes == _FAILED),
                self._named(candidates.details, always=True),
                candidates.closest,
            ),
            Lot(np.flatnonzero(codes == _ABSENT), self._named(not_found), nearby),
            Lot(
                np.flatnonzero(codes == _NULL),
                self._named(nothing),
                pa.nulls(len(null), pa.string()),
            ),
        ]
        return Said(told, lots), short

    def _failures_of(self, side: Side, start: int, count: int) -> Failures:
        """Return what keeps `count` rows with a candidate apart from it, from that at `start`."""
        if self._shared is not None:
            return self._shared.failures.some(self._shared.at[side][start : start + count])
        left, right = (at[start : start + count] for at in self._chosen(side))
        return self._failures(left, right)

    def _chosen(self, side: Side) -> tuple[Ints, Ints]:
        """Return the positions of the left and of the right row of each pair with a candidate."""
        choice = self._verdicts[side].choice
        pair = (choice.wanted, choice.chosen)
        return pair if side is Side.LEFT else (pair[1], pair[0])

    def _failures(self, left: Ints, right: Ints) -> Failures:
        rows = self._rows
        return failures_of(
            self._planned, self._rule, rows[Side.LEFT], rows[Side.RIGHT], left, right
        )

    def _named(self, sentences: Sentences, *, always: bool = False) -> Sentences:
        """Say which rule tells, unless all rules would say the same: they have the same keys.

        Args:
            always: they would not, whatever their keys.
        """
        alike = all(rule.asked == self._rule.asked for rule in self._planned.rules)
        if not self._rule.name or (alike and not always):
            return sentences
        return Sentences([f"{self._rule.name}: ", *sentences.pieces], sentences.count)

    def _near(self, side: Side, table: pa.Table, places: Ints) -> Ints:
        """Return for keys that nobody has where on the other side one is but for its spelling."""
        found: Ints = np.full(len(places), NONE, dtype=np.int64)
        keys = self._rule.keys
        if len(places) == 0 or all(map(self._keyed.is_plain, Side)):
            return found
        absent, offered = rows_at(table, places), self._keyed.table(side.other)
        both = loose_keys(absent.columns[: len(keys)], offered.columns[: len(keys)])
        if both is None:
            return found
        ours, theirs = key_codes(both[0], both[1], [key.null_safe for key in keys])
        at = np.flatnonzero(theirs != NONE)
        if len(at):
            offers = by_primary_key(self._rows[side.other], Coded(at, theirs[at]))
            codes, first = np.unique(offers.codes, return_index=True)
            places = np.minimum(np.searchsorted(codes, ours), len(codes) - 1)
            found = np.where(codes[places] == ours, offers.positions[first][places], NONE)
        return found

    def _nearby(self, side: Side, absent: pa.Table, near: Ints) -> tuple[Sentences, pa.Array]:
        """Return what is said of rows whose key nobody has, and the row that comes near or null."""
        said = wording.key_not_found(self._planned, self._rule, side, absent)
        blank = pa.nulls(len(absent), pa.string())
        known = near != NONE
        if not known.any():
            return said, blank
        rows = self._rows[side.other].keys(near[known])
        texts = key_text(rows)
        keys = self._keyed.table(side.other).take(pa.array(near[known]))
        names = wording.row_names(rows, texts)
        also = wording.key_near(
            self._planned, self._rule, side, absent.filter(pa.array(known)), keys, names
        )
        extra = pc.replace_with_mask(blank, pa.array(known), also).fill_null("")
        closest = pc.replace_with_mask(blank, pa.array(known), texts)
        return Sentences([*said.pieces, extra], said.count), closest


def fulfils(told: Told) -> Bools:
    """Return of which rows the candidate told of fulfils all that the rule is seen to ask."""
    short = told.short // _PLACES
    found: Bools = (short == _FAILED * _STEP) | (short == _CHOSEN_NOT * _STEP)
    return found


def no_key(planned: Planned, count: int) -> Told:
    """Return what is said of rows where no rule has a key."""
    reasons = Reasons(
        pa.repeat(pa.scalar(Reason.NO_MATCH.value), count),
        pa.repeat(pa.scalar(wording.no_match(planned)), count),
        pa.nulls(count, pa.string()),
    )
    return Told(reasons, np.full(count, _KEYLESS * _STEP * _PLACES, dtype=np.int64))


def _span(codes: Codes, code: int, start: int, count: int) -> tuple[int, int]:
    """Return where among the entries of `code` those of a window begin, and how many they are."""
    before = int(np.count_nonzero(codes[:start] == code))
    return before, int(np.count_nonzero(codes[start : start + count] == code))


def _places_of(rows: Ints, count: int) -> npt.NDArray[np.signedinteger[Any]]:
    """Return for each of `count` rows its place in `rows`, which has each once, or `NONE`."""
    few = len(rows) < 1 << 31
    kind: np.dtype[np.signedinteger[Any]] = np.dtype(np.int32 if few else np.int64)
    places = np.full(count, NONE, dtype=kind)
    places[rows] = np.arange(len(rows))
    return places
