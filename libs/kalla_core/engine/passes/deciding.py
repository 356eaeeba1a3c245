"""Which candidates of a pass are accepted, held or left over; over numbers and ranks only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import pyarrow as pa

from kalla_core.assignment.assign import MOST_ROWS, assign
from kalla_core.assignment.components import numbered, pair_components
from kalla_core.assignment.ranks import (
    RankColumn,
    dense_ranks,
    is_ordered,
    reach_within,
    whole_scores,
)
from kalla_core.assignment.settle import (
    ACCEPTED,
    LEFT,
    TIED,
    Candidates,
    Codes,
    Places,
    Settled,
    settle,
)
from kalla_core.assignment.units import TooWide
from kalla_core.engine.passes.found import Found, Looked
from kalla_core.engine.passes.missed_sums import MissedSums
from kalla_core.engine.passes.plan import PlannedPass
from kalla_core.engine.passes.sums import Aside, balanced, by_sums
from kalla_core.engine.rows import Bools, Ints, distinct
from kalla_core.errors import CardinalityViolated, InvalidSql
from kalla_core.evidence.keys import match_ids
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.passes import Balance, Choose, OnTie, SqlPass, SubsetSumPass

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Labels:
    """What candidates that are not left over are called, in their order.

    Attributes:
        ids: string, `match_id`.
        groups: string, `match_group`; null of ties that are held.
        ties: string, the id of the tie that a pair competed in, or null.
    """

    ids: pa.Array
    groups: pa.Array
    ties: pa.Array

    def filter(self, kept: pa.Array) -> Labels:
        """Return those of the candidates that are marked."""
        return Labels(*(column.filter(kept) for column in (self.ids, self.groups, self.ties)))


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of the candidates of a pass, in their order.

    Attributes:
        codes: LEFT, ACCEPTED or TIED.
        distinct: of pairs that came several times the one that counts, of each pair one.
        ranks: from 0, less is better.
        picked: those that are not left over, ascending.
        label: tells what these are called, as long as the candidates are there. Whoever decides
            what comes next need not know it.
        aside: of each candidate why it is neither accepted nor a tie of ranks: `ASIDE`, and the
            words for it.
        notes: sentences on how it was decided, where that is not as the rule says.
        missed: of a pass by sums, the sets that came nearest to rows of which none adds up.
    """

    codes: Codes
    distinct: Bools
    ranks: Ints
    picked: Ints
    label: Callable[[], Labels]
    aside: Aside | None = None
    notes: tuple[str, ...] = ()
    missed: MissedSums | None = None

    @property
    def accepted(self) -> Ints:
        """Which candidates are accepted."""
        return np.flatnonzero(self.codes == ACCEPTED)

    @property
    def tied(self) -> Ints:
        """Which candidates are held."""
        return np.flatnonzero(self.codes == TIED)


def _balanced(balance: Balance, found: Found, looked: Looked) -> Decision:
    left, right = found.places(Side.LEFT), found.places(Side.RIGHT)
    groups = pair_components(left, right)
    names = {Side.LEFT: balance.left, Side.RIGHT: balance.right}
    codes, aside = balanced(groups, found, looked, names, balance.tolerance)
    none: Ints = np.full(found.count, -1, dtype=np.int64)
    every: Bools = np.ones(found.count, dtype=np.bool_)
    made = decision(found, codes, every, np.zeros(found.count, dtype=np.int64), none)
    return replace(made, aside=aside)


def _every(found: Found) -> Decision:
    """Return that all candidates are matches, whatever their groups leave open."""
    codes: Codes = np.full(found.count, ACCEPTED, dtype=np.int8)
    every: Bools = np.ones(found.count, dtype=np.bool_)
    none: Ints = np.full(found.count, -1, dtype=np.int64)
    return decision(found, codes, every, np.zeros(found.count, dtype=np.int64), none)


def _by_sums(rule: SubsetSumPass, found: Found, looked: Looked) -> Decision:
    order = _order(found, found.places(Side.LEFT), found.places(Side.RIGHT))
    summed = by_sums(rule, found, looked, order)
    every: Bools = np.ones(found.count, dtype=np.bool_)
    ranks: Ints = np.zeros(found.count, dtype=np.int64)
    made = decision(found, summed.codes, every, ranks, summed.ties)
    return replace(made, aside=summed.aside, missed=summed.missed)


def decide(one: PlannedPass, found: Found, looked: Looked) -> Decision:
    """Decide over the candidates of a pass.

    Raises:
        CardinalityViolated: a row of a pass that takes all has too many partners.
        InvalidSql: the values that a margin is of have too many digits.
    """
    rule = one.rule
    if isinstance(rule, SubsetSumPass):
        return _by_sums(rule, found, looked)
    left, right = found.places(Side.LEFT), found.places(Side.RIGHT)
    columns = _rank_columns(one, rule, found)
    ranks = dense_ranks(columns, found.count)
    if rule.balance is not None:
        return _balanced(rule.balance, found, looked) if rule.rest is None else _every(found)
    if rule.choose is Choose.ALL:
        codes: Codes = np.full(found.count, ACCEPTED, dtype=np.int8)
        _demand_cardinality(rule, found, left, right)
        every: Bools = np.ones(found.count, dtype=np.bool_)
        none: Ints = np.full(found.count, -1, dtype=np.int64)
        return decision(found, codes, every, ranks, none)
    kept = _distinct(one, found, left, right, ranks)
    hold = rule.on_tie is OnTie.HOLD
    candidates = Candidates(
        left[kept],
        right[kept],
        ranks[kept],
        _reach(rule, columns, ranks)[kept],
        np.arange(len(kept), dtype=np.int64) if hold else _order(found, left, right)[kept],
    )
    places = Places(rule.cardinality.one_left, rule.cardinality.one_right)
    notes: tuple[str, ...] = ()
    if rule.choose is Choose.ASSIGN and columns:
        settled, notes = _assigned(rule, columns[0], kept, candidates, places)
    else:
        settled = settle(candidates, places, hold=hold)
    codes = np.full(found.count, LEFT, dtype=np.int8)
    codes[kept] = settled.codes
    ties: Ints = np.full(found.count, -1, dtype=np.int64)
    ties[kept] = np.where(settled.ties < 0, -1, kept[np.maximum(settled.ties, 0)])
    distinct: Bools = np.zeros(found.count, dtype=np.bool_)
    distinct[kept] = True
    return replace(decision(found, codes, distinct, ranks, ties), notes=notes)


def _assigned(
    rule: SqlPass, score: RankColumn, kept: Ints, candidates: Candidates, places: Places
) -> tuple[Settled, tuple[str, ...]]:
    """Return the assignment of the largest total; what is too large for it is decided by rank."""
    try:
        scores = whole_scores(score.values.take(pa.array(kept)))
    except TooWide as error:
        raise _too_wide(rule, "an assignment") from error
    made = assign(candidates.left, candidates.right, scores, places)
    notes = []
    if (scores <= 0).any():
        notes.append(
            f"{int((scores <= 0).sum())} candidates have no `{rule.rank[0].column}` above zero, "
            "and are in no assignment."
        )
    beyond = np.flatnonzero(made.beyond)
    if len(beyond):
        settled = settle(candidates.some(beyond), places, hold=True)
        made.codes[beyond] = settled.codes
        made.ties[beyond] = np.where(settled.ties < 0, -1, beyond[np.maximum(settled.ties, 0)])
        notes.append(
            f"{len(beyond)} candidates hang together in more than {MOST_ROWS} rows of a side, and "
            "were decided by `best`."
        )
    return Settled(made.codes, made.ties), tuple(notes)


def _too_wide(rule: SqlPass, what: str) -> InvalidSql:
    column = rule.rank[0].column
    return InvalidSql(
        f"The values of `{column}` have too many digits for {what}; round them in the match SQL.",
        column_name=column,
    )


def decision(found: Found, codes: Codes, distinct: Bools, ranks: Ints, ties: Ints) -> Decision:
    """Return what was decided.

    Args:
        ties: of each candidate the number of its tie, below 0 for none.
    """
    picked = np.flatnonzero(codes != LEFT)
    label = cache(partial(_labels, found, codes, picked, ties))
    return Decision(codes, distinct, ranks, picked, label)


def _labels(found: Found, codes: Codes, picked: Ints, ties: Ints) -> Labels:
    ids = match_ids(found.keys(Side.LEFT, picked), found.keys(Side.RIGHT, picked))
    taken = codes[picked] == ACCEPTED
    left, right = (found.places(side)[picked][taken] for side in Side)
    groups = np.full(len(picked), -1, dtype=np.int64)
    groups[taken] = pair_components(left, right)
    return Labels(ids, _least(ids, groups), _least(ids, ties[picked]))


def _least(ids: pa.Array, labels: Ints) -> pa.Array:
    """Return for each id the least of those with its label; null for labels below 0."""
    known = labels >= 0
    if not known.any():
        return pa.nulls(len(ids), pa.string())
    dense, _ = numbered(labels[known])
    at: Ints = np.arange(len(ids), dtype=np.int64)
    together = np.flatnonzero(known)[np.bincount(dense)[dense] > 1]
    if len(together):
        text = np.array(ids.take(pa.array(together)).to_numpy(zero_copy_only=False), dtype="S16")
        order = np.argsort(text, kind="stable")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        which, count = numbered(labels[together])
        least: Ints = np.full(count, len(order), dtype=np.int64)
        np.minimum.at(least, which, place)
        at[together] = together[order[least[which]]]
    return ids.take(pa.array(at, mask=~known))


def _rank_columns(one: PlannedPass, rule: SqlPass, found: Found) -> list[RankColumn]:
    if not found.count:
        return []
    return [
        RankColumn(found.column(place), term.descending)
        for place, term in zip(one.ranks, rule.rank, strict=True)
    ]


def _reach(rule: SqlPass, columns: list[RankColumn], ranks: Ints) -> Ints:
    if rule.margin is None or not columns:
        return ranks
    try:
        return reach_within(ranks, columns[0], rule.margin)
    except TooWide as error:
        raise _too_wide(rule, "a margin") from error


def _distinct(one: PlannedPass, found: Found, left: Ints, right: Ints, ranks: Ints) -> Ints:
    """Return the candidates, each pair once: by its best rank, then by what the SQL says of it."""
    width = int(right.max(initial=0)) + 1
    if len(distinct(left * width + right)) == len(left):
        return np.arange(len(left), dtype=np.int64)
    outputs = [n for n, kind in enumerate(one.planned.output.types) if is_ordered(kind)]
    content = dense_ranks([RankColumn(found.column(n)) for n in outputs], len(left))
    order = np.lexsort((content, ranks, right, left))
    kept: Ints = np.sort(order[~_repeats(order, left, right)])
    return kept


def _repeats(order: Ints, left: Ints, right: Ints) -> Bools:
    again: Bools = np.zeros(len(order), dtype=np.bool_)
    again[1:] = (np.diff(left[order]) == 0) & (np.diff(right[order]) == 0)
    return again


def _order(found: Found, left: Ints, right: Ints) -> Ints:
    """Return the place of each candidate in the order of both primary keys."""
    if not found.count:
        return np.zeros(0, dtype=np.int64)
    pieces = list(found.pieces())
    columns = [
        RankColumn(pa.chunked_array([piece.key(side)[number] for piece in pieces]))
        for side in Side
        for number in range(len(pieces[0].key(side)))
    ]
    keys = dense_ranks(columns, found.count)
    places: Ints = np.empty(found.count, dtype=np.int64)
    places[np.lexsort((right, left, keys))] = np.arange(found.count)
    return places


def _demand_cardinality(rule: SqlPass, found: Found, left: Ints, right: Ints) -> None:
    for side, places, one in (
        (Side.LEFT, left, rule.cardinality.one_left),
        (Side.RIGHT, right, rule.cardinality.one_right),
    ):
        if not one:
            continue
        rows, first, counts = np.unique(places, return_index=True, return_counts=True)
        if len(rows) == len(places):
            continue
        worst = np.argsort(-counts, kind="stable")[:_EXAMPLES]
        keys = found.keys(side, first[worst]).to_pylist()
        examples = ", ".join(
            f"{key} has {count}" for key, count in zip(keys, counts[worst].tolist(), strict=True)
        )
        raise CardinalityViolated(
            f"The pass `{rule.name}` takes all its candidates, and {int((counts > 1).sum())} rows "
            f"of the {side.word} have more than the one partner that `{rule.cardinality}` allows: "
            f"{examples}. Let it choose the best, or make the match SQL tell them apart.",
            rule=rule.name,
            side=side.word,
            examples=keys,
        )
