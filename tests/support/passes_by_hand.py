"""Whole recipes of passes in plain Python: what each pass accepts and holds, over rows as dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.support.best_by_hand import ByHand, Pair, sums_by_hand

Row = Mapping[str, Any]
Keys = tuple[int, int]
TOLERANCE = Decimal(1)
MOST_ITEMS, MOST_CANDIDATES = 3, 5


@dataclass(frozen=True)
class Rule:
    """A pass: how it decides, and the fields of a recipe that say so.

    Attributes:
        kind: `best`, `all`, `assign`, `groups` or `sums`.
        within: by how much amounts of a candidate differ at most.
        rank: of `diff` and `lag desc`, if any.
    """

    name: str
    kind: str
    cardinality: str = "N:M"
    within: int = 2
    rank: tuple[str, ...] = ()
    on_tie: str = "hold"
    margin: str | None = None
    suggests: bool = False
    one: str = "right"
    rest: str | None = None

    @property
    def one_left(self) -> bool:
        return self.cardinality in ("1:1", "N:1")

    @property
    def one_right(self) -> bool:
        return self.cardinality in ("1:1", "1:N")

    def document(self) -> dict[str, Any]:
        """Return it as a recipe has it."""
        fields: dict[str, Any] = {"name": self.name}
        if self.suggests:
            fields["accept"] = "suggest"
        if self.rest is not None:
            fields["rest"] = {"tolerance": self.rest}
        if self.kind == "sums":
            return fields | {
                "kind": "subset_sum",
                "one": self.one,
                "block": [["ref", "ref"]],
                "amount": ["amount", "amount"],
                "tolerance": str(TOLERANCE),
                "max_items": MOST_ITEMS,
                "max_candidates": MOST_CANDIDATES,
            }
        fields["match_sql"] = (
            "SELECT l.ref, abs(l.amount - r.amount) AS diff, l.day - r.day AS lag, "
            "2 - abs(l.amount - r.amount) AS score FROM l JOIN r ON l.ref = r.ref "
            f"AND abs(l.amount - r.amount) <= {self.within}"
        )
        if self.kind == "groups":
            balance = {"left": "amount", "right": "amount", "tolerance": str(TOLERANCE)}
            fields |= {"group_by": "component"}
            return fields if self.rest is not None else fields | {"balance": balance}
        fields["cardinality"] = self.cardinality
        if self.kind == "assign":
            return fields | {"choose": "assign", "rank": ["score desc"]}
        if self.kind == "best":
            fields |= {"on_tie": self.on_tie, "choose": "best", "rank": list(self.rank)}
            fields |= {} if self.margin is None else {"margin": float(self.margin)}
        return fields


@dataclass
class Outcome:
    """What a recipe comes to: pairs by pass, and the rows that no pass consumed.

    Attributes:
        rests: of rows that are matched in part, by id, what is open.
    """

    matched: dict[str, set[Keys]] = field(default_factory=dict)
    suggested: dict[str, set[Keys]] = field(default_factory=dict)
    ambiguous: dict[str, set[Keys]] = field(default_factory=dict)
    left: list[Row] = field(default_factory=list)
    right: list[Row] = field(default_factory=list)
    rests: tuple[dict[int, Decimal], dict[int, Decimal]] = field(default_factory=lambda: ({}, {}))


def reconciled(rules: Sequence[Rule], left: Sequence[Row], right: Sequence[Row]) -> Outcome:
    """Carry out the passes in order, each over what those before it left."""
    done = Outcome(left=list(left), right=list(right))
    for rule in rules:
        accepted, held = _decided(rule, done.left, done.right)
        if rule.rest is not None:
            accepted = _resting(Decimal(rule.rest), accepted, done)
        done.ambiguous[rule.name] = held
        (done.suggested if rule.suggests else done.matched)[rule.name] = accepted
        if not rule.suggests:
            done.left = [row for row in done.left if row["id"] not in {a for a, _ in accepted}]
            done.right = [row for row in done.right if row["id"] not in {b for _, b in accepted}]
    return done


def _resting(tolerance: Decimal, accepted: set[Keys], done: Outcome) -> set[Keys]:
    """Return the matches that settle a row; note what they leave open of one that has more."""
    sides = [{row["id"]: row["amount"] for row in side} for side in (done.left, done.right)]
    kept: set[Keys] = set()
    for group in _hanging_together(accepted):
        rows = [{pair[n] for pair in group} for n in (0, 1)]
        sums = [sum(sides[n][row] for row in rows[n]) for n in (0, 1)]
        more = 0 if sums[0] > sums[1] else 1
        apart = abs(sums[0] - sums[1])
        if apart > tolerance and len(rows[more]) > 1:
            continue
        if apart > tolerance:
            done.rests[more][rows[more].pop()] = apart
        kept |= group
    return kept


def _hanging_together(pairs: set[Keys]) -> list[set[Keys]]:
    groups: list[set[Keys]] = []
    for pair in pairs:
        mine = [g for g in groups if any(pair[0] == a or pair[1] == b for a, b in g)]
        groups = [g for g in groups if g not in mine] + [{pair}.union(*mine)]
    return groups


def _decided(rule: Rule, left: Sequence[Row], right: Sequence[Row]) -> tuple[set[Keys], set[Keys]]:
    if rule.kind == "sums":
        return _sums(rule, left, right)
    near = [
        (a, b)
        for a in left
        for b in right
        if a["ref"] == b["ref"] and abs(a["amount"] - b["amount"]) <= rule.within
    ]
    keys = [(a["id"], b["id"]) for a, b in near]
    if rule.kind == "all":
        return set(keys), set()
    if rule.kind == "groups" and rule.rest is not None:
        return set(keys), set()
    if rule.kind == "groups":
        return _balanced(near), set()
    if rule.kind == "assign":
        return _assigned(rule, near)
    by_hand = ByHand(rule.one_left, rule.one_right, rule.on_tie == "hold")
    accepted, ties = by_hand.settle(_ranked(rule, near))
    held = {pair for tie in ties for pair in tie} if rule.on_tie == "hold" else set()
    return {(p.left, p.right) for p in accepted}, {(p.left, p.right) for p in held}


def _ranked(rule: Rule, near: Sequence[tuple[Row, Row]]) -> list[Pair]:
    values = {
        "diff": lambda a, b: abs(a["amount"] - b["amount"]),
        "lag desc": lambda a, b: b["day"] - a["day"],
    }
    terms = [tuple(values[term](a, b) for term in rule.rank) for a, b in near]
    order = sorted(set(terms))
    ranks = {term: rank for rank, term in enumerate(order)}
    margin = None if rule.margin is None else Decimal(rule.margin)

    def reach(term: tuple[Any, ...]) -> int:
        if margin is None:
            return ranks[term]
        within = [ranks[other] for other in order if other[0] < term[0] + margin]
        return max([ranks[term], *within])

    return [
        Pair(a["id"], b["id"], ranks[term], reach(term), a["id"] * 1000 + b["id"])
        for (a, b), term in zip(near, terms, strict=True)
    ]


def _assigned(rule: Rule, near: Sequence[tuple[Row, Row]]) -> tuple[set[Keys], set[Keys]]:
    scored = [(a["id"], b["id"], 2 - abs(a["amount"] - b["amount"])) for a, b in near]
    in_all, in_some = best_assignments(scored, rule.one_left, rule.one_right)
    accepted = {scored[n][:2] for n in in_all}
    return accepted, {scored[n][:2] for n in in_some} - accepted


def best_assignments(
    pairs: Sequence[tuple[int, int, Any]], one_left: bool, one_right: bool
) -> tuple[frozenset[int], frozenset[int]]:
    """Return which pairs (left, right, score) all best assignments have, and which some have."""
    positive = [n for n, pair in enumerate(pairs) if pair[2] > 0]
    if one_left and one_right:
        return _one_to_one([(*pairs[n], n) for n in positive])
    if not (one_left or one_right):
        return frozenset(positive), frozenset(positive)
    # Each row of the side that has one pair at most chooses for itself.
    by_row: dict[int, list[int]] = {}
    for n in positive:
        by_row.setdefault(pairs[n][0 if one_left else 1], []).append(n)
    best = [
        [n for n in of_row if pairs[n][2] == max(pairs[m][2] for m in of_row)]
        for of_row in by_row.values()
    ]
    alone = frozenset(of_row[0] for of_row in best if len(of_row) == 1)
    return alone, frozenset(n for of_row in best for n in of_row)


def _one_to_one(
    pairs: Sequence[tuple[int, int, Any, int]],
) -> tuple[frozenset[int], frozenset[int]]:
    """Return the same of pairs (left, right, score, number) where no row may be used twice.

    Lefts choose one after the other, each a right that is free or none: `before` has the best
    total of those before a left by the rights they use, `after` that of the others by the same.
    """
    lefts = sorted({pair[0] for pair in pairs})
    choices = [
        [(0, 0, -1), *((1 << right, score, n) for at, right, score, n in pairs if at == left)]
        for left in lefts
    ]
    before: list[dict[int, Any]] = [{0: 0}]
    for of_left in choices:
        totals: dict[int, Any] = {}
        for used, total in before[-1].items():
            for right, score, _ in of_left:
                if not used & right:
                    now = used | right
                    totals[now] = max(totals.get(now, 0), total + score)
        before.append(totals)
    best = max(before[-1].values())
    after = dict.fromkeys(before[-1], 0)
    in_all, in_some = set(), set()
    for of_left, so_far in zip(reversed(choices), reversed(before[:-1]), strict=True):
        chosen, earlier = set(), {}
        for used, total in so_far.items():
            free = [
                (score + after[used | right], n) for right, score, n in of_left if not used & right
            ]
            earlier[used] = max(free)[0]
            chosen |= {n for rest, n in free if total + rest == best}
        in_some |= chosen
        in_all |= chosen if len(chosen) == 1 else set()
        after = earlier
    return frozenset(in_all - {-1}), frozenset(in_some - {-1})


def _balanced(near: Sequence[tuple[Row, Row]]) -> set[Keys]:
    groups: list[list[tuple[Row, Row]]] = []
    for pair in near:
        touching = [g for g in groups if any(_share(pair, other) for other in g)]
        rest = [g for g in groups if g not in touching]
        groups = [*rest, [pair, *(p for g in touching for p in g)]]
    accepted = set()
    for group in groups:
        lefts = {a["id"]: a["amount"] for a, _ in group}
        rights = {b["id"]: b["amount"] for _, b in group}
        if abs(sum(lefts.values()) - sum(rights.values())) <= TOLERANCE:
            accepted |= {(a["id"], b["id"]) for a, b in group}
    return accepted


def _share(one: tuple[Row, Row], other: tuple[Row, Row]) -> bool:
    return one[0]["id"] == other[0]["id"] or one[1]["id"] == other[1]["id"]


def _sums(rule: Rule, left: Sequence[Row], right: Sequence[Row]) -> tuple[set[Keys], set[Keys]]:
    sides = [[(r["id"], r["ref"], r["amount"]) for r in side] for side in (left, right)]
    items, targets = sides if rule.one == "right" else sides[::-1]
    told = sums_by_hand(items, targets, TOLERANCE, MOST_ITEMS, MOST_CANDIDATES)
    accepted, held = (
        {
            (item, target) if rule.one == "right" else (target, item)
            for target, some in sets.items()
            for item in some
        }
        for sets in (told.accepted, told.held)
    )
    return accepted, held
