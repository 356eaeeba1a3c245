"""One candidate for each row whose key is on the other side although nothing there matched it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.failures import query_errors
from kalla_core.engine.reasons import wording
from kalla_core.engine.reasons.closest import NONE, comparable, nearest
from kalla_core.engine.reasons.held import Held, PairsOfRows, in_row_order, numbered
from kalla_core.engine.reasons.said import Sentences
from kalla_core.engine.reasons.scores import nearness, score_texts, scored
from kalla_core.engine.rows import Bools, Ints, Rows, one_chunk
from kalla_core.errors import InvalidSql
from kalla_core.evidence.keys import key_text
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_side
from kalla_core.matching.strategy.planned import Planned, Rule, measure_frame

CAP = 100
"""Candidates tried, in the order of their primary keys, where nothing can be measured."""

_AT_FIRST = 100
"""Candidates looked at for one of which all conditions hold, before the others are."""

_PAIRS_AT_ONCE = 1 << 18

_MOST_ROUNDS = 32
"""Of comparing the rows of all codes with the first so far; beyond that they are sorted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The closest candidate of each wanted row, in their order.

    Attributes:
        wanted: position of the row on its own side.
        chosen: position of the candidate on the other side.
        sizes: how many candidates it had, where `CAP` of them were tried; 0 elsewhere.
    """

    wanted: Ints
    chosen: Ints
    sizes: Ints

    def slice(self, start: int, count: int) -> Choice:
        """Return the choice of `count` rows from the one numbered `start`."""
        end = start + count
        return Choice(self.wanted[start:end], self.chosen[start:end], self.sizes[start:end])


@dataclass(frozen=True, slots=True)
class Nearest:
    """What is said of each wanted row.

    Attributes:
        missed: how many conditions on the pair do not hold.
        closest: string, the key text of the candidate, never null.
    """

    missed: Ints
    details: Sentences
    closest: pa.Array


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows with a number for their key: positions and codes, one each per row."""

    positions: Ints
    codes: Ints


def choose_candidates(
    planned: Planned,
    rule: Rule,
    side: Side,
    rows: Rows,
    others: Rows,
    wanted: Coded,
    offered: Coded,
) -> Choice:
    """Return the closest candidate of each wanted row.

    Args:
        wanted: rows of `side`; each code is also among those offered.
        offered: rows of the other side; some may have codes that nobody wants.
    """
    if len(wanted.codes) == 0:
        none = np.zeros(0, dtype=np.int64)
        return Choice(none, none, none)
    return _Search(planned, rule, side, rows, others).run(wanted, offered)


@dataclass(frozen=True, slots=True)
class Failures:
    """What keeps pairs of rows apart, told alike for both sides.

    Attributes:
        missed: how many conditions on the pair do not hold.
        why: a sentence for each.
    """

    missed: Ints
    why: Sentences

    def some(self, at: Ints) -> Failures:
        """Return that of the pairs at these places."""
        return Failures(self.missed[at], self.why.some(at))


def failures_of(
    planned: Planned, rule: Rule, left: Rows, right: Rows, at_left: Ints, at_right: Ints
) -> Failures:
    """Say what keeps the rows at these positions apart, pair by pair."""
    if len(at_left) == 0:
        return Failures(np.zeros(0, dtype=np.int64), Sentences((), 0))
    ours = left.take(at_left, compared(rule, Side.LEFT))
    theirs = right.take(at_right, compared(rule, Side.RIGHT))
    held = PairsOfRows(planned, rule, ours, theirs).held(scored(rule))
    missed = len(held.conditions) - held.how_many(len(at_left))
    scores = score_texts(rule, held)
    why = wording.failures(planned, rule, ours, theirs, held.conditions, scores)
    return Failures(missed, why)


def describe_candidates(
    planned: Planned, side: Side, others: Rows, choice: Choice, failures: Failures
) -> Nearest:
    """Say which candidate each row has, and what keeps the two from matching.

    Args:
        failures: of the pairs of a row and its candidate.
    """
    if len(choice.wanted) == 0:
        return Nearest(failures.missed, Sentences((), 0), pa.array([], pa.string()))
    keys = others.keys(choice.chosen)
    texts = key_text(keys)
    names = wording.row_names(keys, texts)
    details = wording.closest(planned, side, names, failures.why, choice.sizes, CAP)
    return Nearest(failures.missed, details, texts.fill_null("null"))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Rows that may be tried with each other: the columns that conditions read, and key codes.

    The offered rows are sorted by code and then by primary key.
    """

    wanted: pa.Table
    wanted_codes: Ints
    offered: pa.Table
    offered_codes: Ints

    def first_offer_of(self, rows: Ints) -> Ints:
        """Return where the offers of some wanted rows begin."""
        return np.searchsorted(self.offered_codes, self.wanted_codes[rows], side="left")

    def offers_of(self, rows: Ints) -> Ints:
        """Return how many offers some wanted rows have."""
        end = np.searchsorted(self.offered_codes, self.wanted_codes[rows], side="right")
        return end - self.first_offer_of(rows)


@dataclass(frozen=True, slots=True)
class _Tried:
    """What trying came to, row by row.

    Attributes:
        at: the wanted rows.
        best: of each, the offer for which most conditions hold, the first of several.
        held: how many hold for it.
        offers: how many offers there were.
    """

    at: Ints
    best: Ints
    held: Ints
    offers: Ints


class _Search:
    def __init__(self, planned: Planned, rule: Rule, side: Side, rows: Rows, others: Rows) -> None:
        self._planned = planned
        self._rule = rule
        self._side = side
        self._rows = rows
        self._others = others

    def run(self, wanted: Coded, offered: Coded) -> Choice:
        asked = np.zeros(int(offered.codes.max()) + 1, dtype=np.bool_)
        asked[wanted.codes] = True
        offers = by_primary_key(self._others, _only(offered, asked[offered.codes]))
        count = np.bincount(offers.codes)
        choice = offers.positions[np.searchsorted(offers.codes, wanted.codes, side="left")]
        sizes = np.zeros(len(choice), dtype=np.int64)
        rivals = count[wanted.codes] > 1  # one offer alone is the closest
        if rivals.any():
            choice[rivals], sizes[rivals] = self._closest(
                _only(wanted, rivals), _only(offers, count[offers.codes] > 1)
            )
        return Choice(wanted.positions, choice, sizes)

    def _closest(self, wanted: Coded, offers: Coded) -> tuple[Ints, Ints]:
        """Return the closest offer of rows that have several, and how many if `CAP` were tried."""
        ours = self._rows.take(wanted.positions, compared(self._rule, self._side))
        theirs = self._others.take(offers.positions, compared(self._rule, self._side.other))
        choice = self._measured(ours, wanted.codes, theirs, offers.codes)
        sizes = np.zeros(len(choice), dtype=np.int64)
        left_over = np.flatnonzero(choice == NONE)
        pairs = _Pairs(ours, wanted.codes, theirs, offers.codes)
        for tried in self._tried(pairs, left_over, 0, CAP, by_score=True):
            choice[tried.at], sizes[tried.at] = tried.best, tried.offers
        if self._rule.beyond or self._rule.chooses:
            for at, best in self._fulfilling(pairs, self._apart(pairs, choice)):
                choice[at], sizes[at] = best, 0
        return offers.positions[choice], sizes

    def _apart(self, pairs: _Pairs, choice: Ints) -> Ints:
        """Return the wanted rows that their choice does not go with, but another offer might."""
        chosen = pairs.offered.take(pa.array(choice))
        held = self._held(pairs.wanted, chosen)
        apart = held.how_many(len(choice)) < len(held.conditions)
        measured = next((n for n, one in enumerate(self._rule.conditions) if one.measurable), None)
        if measured is not None and self._rule.conditions[measured].nearest_holds_first:
            apart &= held.conditions[measured]
        return np.flatnonzero(apart)

    def _fulfilling(self, pairs: _Pairs, rows: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Yield those of `rows` that have an offer of which all conditions hold, with the first.

        Every offer is looked at, as the match SQL itself does, but only so many at a time.
        """
        offers = pairs.offers_of(rows)
        skip, most = 0, _AT_FIRST
        while len(rows):
            done = np.zeros(len(pairs.wanted_codes), dtype=np.bool_)
            for tried in self._tried(pairs, rows, skip, most):
                found = tried.held == len(self._rule.conditions)
                done[tried.at[found]] = True
                yield tried.at[found], tried.best[found]
            skip += most
            still = ~done[rows] & (offers > skip)
            rows, offers = rows[still], offers[still]
            most = min(4 * most, _PAIRS_AT_ONCE)

    def _measured(
        self, wanted: pa.Table, wanted_codes: Ints, offered: pa.Table, offered_codes: Ints
    ) -> Ints:
        ours = measured(self._planned, self._rule, self._side, wanted)
        theirs = measured(self._planned, self._rule, self._side.other, offered)
        if ours is None or theirs is None:
            return np.full(len(wanted_codes), NONE, dtype=np.int64)
        mine, others = comparable(ours, theirs)
        rank = np.arange(len(offered_codes), dtype=np.int64)
        return nearest(mine.keyed(wanted_codes), others.keyed(offered_codes), rank)

    def _tried(
        self, pairs: _Pairs, rows: Ints, skip: int, most: int, *, by_score: bool = False
    ) -> Iterator[_Tried]:
        """Try `most` offers of each of `rows`, which have any, after the first few.

        Args:
            by_score: of offers for which as many conditions hold, the one with the best score is
                the best, rather than the first.
        """
        offers = pairs.offers_of(rows)
        start = pairs.first_offer_of(rows) + skip
        tries = np.minimum(offers - skip, most)
        for low, high in _chunks(tries, _PAIRS_AT_ONCE):
            at, counts = rows[low:high], tries[low:high]
            first = np.cumsum(counts) - counts
            offset = np.arange(counts.sum()) - np.repeat(first, counts)
            pair_offers = np.repeat(start[low:high], counts) + offset
            wanted = pairs.wanted.take(pa.array(np.repeat(at, counts)))
            offered = pairs.offered.take(pa.array(pair_offers))
            held = self._held(wanted, offered, scored(self._rule)[:1] if by_score else ())
            many = held.how_many(len(offset))
            near = nearness(self._rule, held)
            sort_by = (-many,) if near is None else (-near, -many)
            order = np.lexsort((*sort_by, np.repeat(np.arange(len(at)), counts)))
            best = order[first]
            yield _Tried(at, pair_offers[best], many[best], offers[low:high])

    def _held(self, wanted: pa.Table, offered: pa.Table, scored: Sequence[int] = ()) -> Held:
        both = (wanted, offered) if self._side is Side.LEFT else (offered, wanted)
        return PairsOfRows(self._planned, self._rule, *both).held(scored)


def by_primary_key(rows: Rows, coded: Coded) -> Coded:
    """Return rows by code, and those of one code by primary key and position."""
    order = np.lexsort((_ranks(rows, coded), coded.codes))
    return _only(coded, order)


def first_by_primary_key(rows: Rows, coded: Coded) -> Coded:
    """Return of each code the first row by primary key and position.

    Args:
        coded: ascending by code.
    """
    starts = np.flatnonzero(np.append(True, coded.codes[1:] != coded.codes[:-1]))
    counts = np.diff(np.append(starts, len(coded.codes)))
    keys = [*rows.keys(coded.positions), pa.array(coded.positions)]
    if counts.max(initial=0) > _MOST_ROUNDS or not all(_has_order(one.type) for one in keys):
        ranked = by_primary_key(rows, coded)
        return _only(ranked, np.flatnonzero(np.append(True, ranked.codes[1:] != ranked.codes[:-1])))
    first = starts.copy()
    for place in range(1, counts.max(initial=1)):
        there = counts > place
        rival, best = starts[there] + place, first[there]
        first[there] = np.where(_is_before(keys, rival, best), rival, best)
    return _only(coded, first)


def _has_order(kind: pa.DataType) -> bool:
    """Whether comparing two values of a type says how Arrow sorts them."""
    kinds = (pa.types.is_string, pa.types.is_integer, pa.types.is_decimal128, pa.types.is_date)
    return any(is_kind(kind) for is_kind in kinds)


def _is_before(keys: Sequence[pa.Array], ones: Ints, others: Ints) -> Bools:
    """Tell whether the keys in some places come before those in others; nulls come last."""
    before = np.zeros(len(ones), dtype=np.bool_)
    alike = ~before
    for column in keys:
        one, other = column.take(pa.array(ones)), column.take(pa.array(others))
        valid, also = np.asarray(one.is_valid()), np.asarray(other.is_valid())
        less = np.asarray(pc.less(one, other).fill_null(False)) | (valid & ~also)
        same = np.asarray(pc.equal(one, other).fill_null(False)) | ~(valid | also)
        before |= alike & less
        alike &= same
    return before


def _ranks(rows: Rows, coded: Coded) -> Ints:
    """Order rows by primary key and position; what has no rival for its code needs none."""
    ranks = np.zeros(len(coded.codes), dtype=np.int64)
    rivals = np.flatnonzero(np.bincount(coded.codes)[coded.codes] > 1)
    at = coded.positions[rivals]
    columns = rows.keys(at)
    names = [f"k{number}" for number in range(len(columns))]
    table = pa.table([*columns, pa.array(at)], names=[*names, "position"])
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.schema.names])
    ranks[rivals[order.to_numpy()]] = np.arange(len(rivals))
    return ranks


def _only(rows: Coded, which: Bools | Ints) -> Coded:
    return Coded(rows.positions[which], rows.codes[which])


def measured(planned: Planned, rule: Rule, side: Side, rows: pa.Table) -> pa.Array | None:
    """Return what the first distance that a rule limits is between, of rows of a side.

    None if it limits no distance, or if it fails for rows of which the match SQL never asked.
    """
    session = new_session()
    register_side(session, planned.query, side, numbered(rows))
    frame = measure_frame(planned, rule, session, side)
    if frame is None:
        return None
    try:
        with query_errors():
            values = frame.to_arrow_table()
    except InvalidSql:
        return None
    return one_chunk(in_row_order(values).column("value"))


def compared(rule: Rule, side: Side) -> frozenset[str]:
    """Return the columns of a side that conditions read."""
    if side is Side.LEFT:
        return frozenset(name for c in rule.conditions for name in c.left_columns)
    return frozenset(name for c in rule.conditions for name in c.right_columns)


def _chunks(sizes: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Cut a list of sizes into runs [low, high) that add up to about `most` each."""
    edges = np.cumsum(sizes)
    low = 0
    while low < len(sizes):
        reached = edges[low - 1] if low else 0
        high = max(int(np.searchsorted(edges, reached + most, side="right")), low + 1)
        yield low, high
        low = high
