"""What a pass has to say of rows that it looked at and did not match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.assignment.ranks import RankColumn, dense_ranks
from kalla_core.assignment.settle import ACCEPTED, LEFT
from kalla_core.engine.passes.attempts import ByRow
from kalla_core.engine.passes.deciding import Decision
from kalla_core.engine.passes.found import Found
from kalla_core.engine.passes.missed_sums import NearSums, near_sums
from kalla_core.engine.passes.plan import PlannedPass
from kalla_core.engine.passes.sums import Aside
from kalla_core.engine.rows import Bools, Ints, distinct, one_chunk
from kalla_core.evidence.attempts import RANK, RANKS, Attempt
from kalla_core.evidence.build import Reasons
from kalla_core.evidence.keys import value_text
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.passes import Accept, Choose, SqlPass


class Said(IntEnum):
    """Reasons that only passes give, the first that is there counts."""

    AMBIGUOUS = 0
    TAKEN = 1
    SUGGESTED = 2
    SUM_AMBIGUOUS = 3
    SUM_BUDGET_EXCEEDED = 4
    UNBALANCED = 5

    @property
    def code(self) -> str:
        """As `rejection_reason` has it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a pass says of some rows of a side, arrays of one length.

    Attributes:
        rows: where they are, each once.
        details: string.
        closest: string, key of a row of the other side, or null.
        taken_by: string, key of the row of this side that has that one, or null.
        ranks: of the pair with the closest, and of the pair that took it; see `RANKS`.
    """

    said: Said
    rows: Ints
    details: pa.Array
    closest: pa.Array
    taken_by: pa.Array
    ranks: pa.Array


@dataclass(frozen=True, slots=True)
class Remarks:
    """What one pass says of the rows of a side.

    Attributes:
        candidates: how many the rows had that it did not match.
        near: of a pass by sums, what came nearest where nothing adds up.
    """

    said: Sequence[Remark]
    candidates: ByRow
    near: NearSums | None = None


class Gathered:
    """All remarks of a run on one side, looked up by row.

    Args:
        count: rows of the side.
        passes: what each pass says, in their order.
    """

    def __init__(self, count: int, passes: Sequence[Remarks]) -> None:
        remarks = [one for some in passes for one in some.said]
        total = sum(len(one.rows) for one in remarks)
        self._best: Ints = np.full(count, -1, dtype=np.int64)
        least: Ints = np.full(count, np.iinfo(np.int64).max, dtype=np.int64)
        start = 0
        for one in remarks:
            at = start + np.arange(len(one.rows), dtype=np.int64)
            np.minimum.at(least, one.rows, one.said * (total + 1) + at)
            start += len(one.rows)
        there = least < np.iinfo(np.int64).max
        self._best[there] = least[there] % (total + 1)
        self._codes = _together([pa.repeat(one.said.code, len(one.rows)) for one in remarks])
        self._details = _together([one.details for one in remarks])
        self._closest = _together([one.closest for one in remarks])
        self._taken_by = _together([one.taken_by for one in remarks])
        self._ranks = pa.concat_arrays([pa.nulls(0, RANKS), *(one.ranks for one in remarks)])
        self._by_pass = [*_by_pass(passes)]
        self._near = [one.near for one in passes]

    def known(self, rows: Ints) -> Bools:
        """Return of which rows there is a remark."""
        known: Bools = self._best[rows] >= 0
        return known

    def over(self, rows: Ints, reasons: Reasons) -> Reasons:
        """Return reasons of rows, with what passes said of them in the place of the others."""
        return self._over(self._best[rows], reasons)

    def told(self, number: int, rows: Ints) -> Bools:
        """Return of which rows one pass has a remark, so that nothing else is told of them by it.

        Args:
            number: of the pass.
        """
        told: Bools = self._by_pass[number][0].of(rows, -1) >= 0
        return told

    def near(self, number: int) -> NearSums | None:
        """Return what the sums of one pass came nearest to, where it is by sums."""
        return self._near[number]

    def attempt(self, number: int, name: str, rows: Ints, keys: pa.Array, told: Reasons) -> Attempt:
        """Return what one pass made of rows.

        Args:
            number: of the pass.
            keys: of each what the pass joins by.
            told: what keeps the rows apart by this pass, for those that it has no remark on.
        """
        remarks, candidates = self._by_pass[number]
        at = remarks.of(rows, -1)
        reasons = self._over(at, told)
        places = pa.array(np.maximum(at, 0), mask=at < 0)
        return Attempt(
            name,
            keys,
            pa.array(candidates.of(rows, 0)),
            reasons.rejection_reason,
            reasons.reason_detail,
            reasons.closest_candidate,
            self._taken_by.take(places),
            self._ranks.take(places),
        )

    def _over(self, best: Ints, reasons: Reasons) -> Reasons:
        known = best >= 0
        if not known.any():
            return reasons
        at = pa.array(np.maximum(best, 0), mask=~known)
        mask = pa.array(known)
        said = (column.take(at) for column in (self._codes, self._details, self._closest))
        old = (reasons.rejection_reason, reasons.reason_detail, reasons.closest_candidate)
        return Reasons(*(pc.if_else(mask, new, o) for new, o in zip(said, old, strict=True)))


def _by_pass(passes: Sequence[Remarks]) -> Iterator[tuple[ByRow, ByRow]]:
    """Yield for each pass where among all remarks those on its rows are, and its candidates."""
    start = 0
    for one in passes:
        rows = [np.zeros(0, dtype=np.int64), *(remark.rows for remark in one.said)]
        said = [np.full(len(remark.rows), remark.said) for remark in one.said]
        every = np.concatenate(rows)
        first = ByRow.first(every, np.concatenate([rows[0], *said]))
        yield ByRow(first.rows, first.values + start), one.candidates
        start += len(every)


def remarks_on(one: PlannedPass, found: Found, decision: Decision) -> dict[Side, Remarks]:
    """Return what a pass says of rows that are in ties, were left without, or are proposed."""
    remarks: dict[Side, list[Remark]] = {side: [] for side in Side}
    places = {side: found.places(side) for side in Side}
    for side in Side:
        speaker = _Speaker(one, found, decision, side, places)
        aside = decision.aside
        if isinstance(one.rule, SqlPass) and one.rule.balance is None:
            remarks[side] += [speaker.ambiguous(), speaker.taken()]
        if aside is not None:
            remarks[side] += [speaker.aside(aside, n) for n in range(len(aside.said))]
        if one.rule.accept is Accept.SUGGEST:
            remarks[side].append(speaker.suggested())
    missed = decision.missed
    return {
        side: Remarks(
            [one for one in some if len(one.rows)],
            _candidates(one, decision, places[side]),
            None if missed is None else near_sums(missed, found, side),
        )
        for side, some in remarks.items()
    }


def _candidates(one: PlannedPass, decision: Decision, places: Ints) -> ByRow:
    """Count the candidates of rows; of those that the pass consumed nobody will ask."""
    counted = decision.distinct
    if one.rule.accept is Accept.AUTO:
        used: Bools = np.zeros(int(places.max(initial=-1)) + 1, dtype=np.bool_)
        used[places[decision.accepted]] = True
        counted = counted & ~used[places]
    return ByRow(*np.unique(places[counted], return_counts=True))


class _Speaker:
    def __init__(
        self,
        one: PlannedPass,
        found: Found,
        decision: Decision,
        side: Side,
        places: Mapping[Side, Ints],
    ) -> None:
        self._one, self._found, self._decision = one, found, decision
        self._side, self._places = side, places
        self._name = one.rule.name
        rule = one.rule
        self._assigns = isinstance(rule, SqlPass) and rule.choose is Choose.ASSIGN

    def ambiguous(self) -> Remark:
        tied = self._decision.tied
        at = self._first_of_rows(tied)
        ids = self._of_picked(self._decision.label().ties, tied)
        sizes = _sizes(ids)
        mine = np.searchsorted(tied, at)
        details = _joined(
            f"Competes in the pass `{self._name}` with ",
            _numbers(sizes[mine] - 1),
            f" more {'in assignments of equal total' if self._assigns else 'of equal rank'} (tie ",
            ids.take(pa.array(mine)),
            ").",
        )
        return self._remark(Said.AMBIGUOUS, at, details)

    def aside(self, aside: Aside, number: int) -> Remark:
        """Say what sums have to say of rows; who may be meant only where some are held."""
        at = self._first_of_rows(np.flatnonzero(aside.codes == number))
        details = _joined(f"In the pass `{self._name}`: ", aside.words.take(pa.array(at)))
        said = Said[aside.said[number].upper()]
        remark = self._remark(said, at, details)
        if said is Said.SUM_BUDGET_EXCEEDED:
            return replace(remark, closest=pa.nulls(len(at), pa.string()))
        return remark

    def suggested(self) -> Remark:
        at = self._first_of_rows(self._decision.accepted)
        keys = self._other_keys(at)
        details = _joined(f"The pass `{self._name}` suggests ", keys, ".")
        return self._remark(Said.SUGGESTED, at, details, keys)

    def taken(self) -> Remark:
        """Say of rows whose candidates all went elsewhere who has the best of them."""
        decision, other = self._decision, self._side.other
        used: Bools = np.zeros(int(self._places[self._side].max(initial=-1)) + 1, dtype=np.bool_)
        used[self._places[self._side][decision.picked]] = True
        left = (decision.codes == LEFT) & decision.distinct
        if decision.aside is not None:
            left &= decision.aside.codes < 0
        left = np.flatnonzero(left)
        left = left[~used[self._places[self._side][left]]]
        at = self._first_of_rows(left)
        theirs = self._places[other][at]
        winner = self._winners(decision.accepted, other)[theirs]
        keys = self._other_keys(at)
        won = winner >= 0
        details = np.full(len(at), "", dtype=object)
        if won.any():
            who = self._found.keys(self._side, winner[won])
            said = _joined(
                f"Its best candidate in the pass `{self._name}` is ",
                keys.filter(pa.array(won)),
                ", which is matched with ",
                who,
                self._better(at[won], winner[won]),
                ".",
            )
            details[won] = said.to_numpy(zero_copy_only=False)
        if not won.all():
            said = _joined(
                f"Its best candidate in the pass `{self._name}` is ",
                keys.filter(pa.array(~won)),
                ", which the largest total leaves out or holds."
                if self._assigns
                else ", which competes with others at a better rank and is held.",
            )
            details[~won] = said.to_numpy(zero_copy_only=False)
        return self._remark(Said.TAKEN, at, pa.array(details, pa.string()), keys, winner)

    def _better(self, mine: Ints, winners: Ints) -> pa.Array:
        """Return how the ranks of those that won compare, as text."""
        rule = self._one.rule
        if not isinstance(rule, SqlPass) or not rule.rank or not len(mine):
            return pa.repeat("", len(mine))
        columns = [self._found.column(place) for place in self._one.ranks]
        parts: list[object] = [" for the largest total (" if self._assigns else " by rank ("]
        for number, (term, column) in enumerate(zip(rule.rank, columns, strict=True)):
            parts.append(f"{', ' if number else ''}{term.column} ")
            parts.append(_texts(column, winners))
            parts.append(" against ")
            parts.append(_texts(column, mine))
        return _joined(*parts, ")")

    def _winners(self, accepted: Ints, side: Side) -> Ints:
        """Return for each row of a side the accepted candidate it is in, or -1."""
        winners: Ints = np.full(int(self._places[side].max(initial=-1)) + 1, -1, dtype=np.int64)
        order = accepted[np.argsort(-self._decision.ranks[accepted], kind="stable")]
        winners[self._places[side][order]] = order
        return winners

    def _first_of_rows(self, at: Ints) -> Ints:
        """Return of some candidates the best of each row: by rank, then by the other's key."""
        if not len(at):
            return at
        rows = self._places[self._side][at]
        keys = dense_ranks([RankColumn(pa.chunked_array([self._other_keys(at)]))], len(at))
        order = np.lexsort((keys, self._decision.ranks[at], rows))
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = np.diff(rows[order]) != 0
        best: Ints = np.sort(at[order[first]])
        return best

    def _remark(
        self,
        said: Said,
        at: Ints,
        details: pa.Array,
        keys: pa.Array | None = None,
        winners: Ints | None = None,
    ) -> Remark:
        won = np.full(len(at), -1, dtype=np.int64) if winners is None else winners
        return Remark(
            said,
            self._mine(at),
            details,
            self._other_keys(at) if keys is None else keys,
            _where(won >= 0, self._found.keys(self._side, won[won >= 0])),
            self._ranks(at, won),
        )

    def _ranks(self, mine: Ints, winners: Ints) -> pa.Array:
        """Return the ranks of candidates and of those that won over them; see `RANKS`."""
        rule, count = self._one.rule, len(mine)
        if not isinstance(rule, SqlPass) or not rule.rank or not count:
            return pa.nulls(count, RANKS)
        won = pa.array(np.maximum(winners, 0), mask=winners < 0)
        parts = []
        for term, place in zip(rule.rank, self._one.ranks, strict=True):
            column = self._found.column(place)
            values = [_text_at(column, at) for at in (pa.array(mine), won)]
            arrays = [pa.repeat(term.column, count), *values]
            parts.append(pa.StructArray.from_arrays(arrays, fields=list(RANK)))
        width = len(parts)
        turned = np.arange(count * width).reshape(width, count).T.ravel()
        offsets = pa.array(np.arange(0, count * width + 1, width, dtype=np.int32))
        flat = pa.concat_arrays(parts).take(pa.array(turned))
        return pa.ListArray.from_arrays(offsets, flat, type=RANKS)

    def _mine(self, at: Ints) -> Ints:
        found: Ints = self._places[self._side][at]
        return found

    def _other_keys(self, at: Ints) -> pa.Array:
        return self._found.keys(self._side.other, at)

    def _of_picked(self, values: pa.Array, at: Ints) -> pa.Array:
        return values.take(pa.array(np.searchsorted(self._decision.picked, at)))


def accepted_rows(found: Found, decision: Decision) -> dict[Side, Ints]:
    """Return which rows of either side are in an accepted pair, each once."""
    kept = decision.codes == ACCEPTED
    return {side: distinct(found.places(side)[kept]) for side in Side}


def _sizes(ids: pa.Array) -> Ints:
    """Return how often each id is there, for each of them."""
    codes = ids.dictionary_encode().indices.to_numpy()
    counts: Ints = np.bincount(codes)[codes] if len(codes) else codes.astype(np.int64)
    return counts


def _numbers(values: Ints) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _texts(column: pa.ChunkedArray, at: Ints) -> pa.Array:
    return _text_at(column, pa.array(at)).fill_null("null")


def _text_at(column: pa.ChunkedArray, at: pa.Array) -> pa.Array:
    return value_text(one_chunk(column.take(at)))


def _where(known: Bools, texts: pa.Array) -> pa.Array:
    """Return texts where some are known, null elsewhere."""
    at = np.cumsum(known) - 1
    return texts.take(pa.array(np.maximum(at, 0), mask=~known))


def _joined(*parts: object) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _together(arrays: Sequence[pa.Array]) -> pa.Array:
    texts = [array.cast(pa.string()) for array in arrays]
    return pa.concat_arrays(texts) if texts else pa.nulls(0, pa.string())
