"""All of inference in order: look, bring together, weigh, make passes, ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from kalla_core.inference.agreement import AmountPair
from kalla_core.inference.anchors import Anchor, Sides, anchors
from kalla_core.inference.classes import Class, judged_in, weighed
from kalla_core.inference.keyed import keyed
from kalla_core.inference.listed import listed
from kalla_core.inference.mappings import mappings
from kalla_core.inference.model import (
    Evidence,
    InferredPass,
    Judged,
    Judgement,
    Proposal,
    Question,
)
from kalla_core.inference.overlaps import Overlap, overlaps, texts_in
from kalla_core.inference.profiles import comparable, primary_key, profiles
from kalla_core.inference.rules import Drafted, of_agreement, of_key, of_lists, of_sums
from kalla_core.inference.sample import sampled
from kalla_core.inference.sums import sums
from kalla_core.inference.traits import Traits, traits
from kalla_core.inference.transforms import unsealed
from kalla_core.inference.unkeyed import unkeyed
from kalla_core.inference.values import amounts_of, days_of

_ACCIDENTAL_BITS = 0.8
_LEAST_COVERAGE = 0.02
_KEYS = 3
_DISTINCT = 20
_MOSTLY = 0.6
_LEAST_DOUBT = 1.0
_LEAST_SHARE_OF_DOUBT = 0.002

Answers = Sequence[tuple[int, int, Judgement]]


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """What the tables are called in the match SQL."""

    left: str = "left_src"
    right: str = "right_src"


def infer(
    left: pa.Table,
    right: pa.Table,
    judged: Sequence[Judged] = (),
    names: Names = Names(),
    keys: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
) -> Proposal:
    """Return the passes that match two tables best, and what to ask next.

    Args:
        left: a sample, or all rows; text as `string`.
        judged: pairs by the values of the primary keys; those that are not in the sample tell
            nothing.
        names: aliases of the sources.
        keys: primary keys of both sides; found out by default.
    """
    left, right = comparable(left), comparable(right)
    looked = profiles(left), profiles(right)
    found_keys = keys or (primary_key(left, looked[0]), primary_key(right, looked[1]))
    left, right = sampled(left, right)
    texts = texts_in(left), texts_in(right)
    sides = Sides(
        (len(left), len(right)),
        overlaps(*texts),
        (amounts_of(left), amounts_of(right)),
        (days_of(left), days_of(right)),
        texts,
    )
    ranked = anchors(sides)
    answers = _answers(left, right, found_keys, judged)
    good = [one for one in ranked if plausible(one, sides)]
    if not good:
        good = [one for one in ranked if _distinctive(one)][:1]
    tried = _tried([one for one in ranked if one not in good])
    drafts: list[Drafted] = []
    classes: list[Class] = []
    common = traits(good[0], *texts) if good else None
    if common is not None:
        drafts, classes = _drafted(good, common, sides, answers)
    question = _question(left, right, found_keys, classes, answers)
    amounts = None if common is None else _control(common)
    covered = _coverage(drafts, sides.rows)
    return Proposal(
        *found_keys, _passes(drafts, found_keys, (left, right), names, answers), amounts,
        *covered, *looked, question, tried,
        mappings(sides, None if common is None else (good[0], common)),
    )  # fmt: skip


def _distinctive(one: Anchor) -> bool:
    """Whether an equality is one of texts with letters and digits that both sides mostly share."""
    what = one.equalities[0].what
    if len(one.equalities) > 1 or not isinstance(what, Overlap) or what.shared < _DISTINCT:
        return False
    mixed = all(
        any(sign.isdigit() for sign in text) and any(sign.isalpha() for sign in text)
        for text in (str(view.texts.unique[0]) for view in (what.left, what.right))
    )
    return mixed and min(what.left_share, what.right_share) >= _MOSTLY


def plausible(one: Anchor, sides: Sides) -> bool:
    """Whether what an anchor brings out is no accident."""
    rows = min(sides.rows)
    if len(np.unique(one.pairs.left)) < max(3, _LEAST_COVERAGE * rows):
        return False
    amounts = [each.what for each in one.equalities if isinstance(each.what, AmountPair)]
    taken = [each.columns for each in one.equalities]
    left = frozenset().union(*(columns[0] for columns in taken))
    right = frozenset().union(*(columns[1] for columns in taken))
    comparable = any(
        not left & set(a.columns) and not right & set(b.columns)
        for a in sides.amounts[0] for b in sides.amounts[1]
    ) or any(
        a.column not in left and b.column not in right
        for a in sides.days[0] for b in sides.days[1]
    )  # fmt: skip
    if amounts and one.bits < 1.5 and len(one.equalities) == 1:
        return False
    if one.bits >= _ACCIDENTAL_BITS:
        return True
    return not comparable and (len(one.alone) >= 0.5 * rows or _distinctive(one))


def _is_key(one: Anchor) -> bool:
    """Whether it has a text, no amount, and few partners per row."""
    whats = [each.what for each in one.equalities]
    if any(isinstance(each, AmountPair) for each in whats):
        return False
    if not any(isinstance(each, Overlap) for each in whats):
        return False
    if len(one.equalities) == 1 and _distinctive(one) and one.bits < _ACCIDENTAL_BITS:
        return True
    rows = max(1, min(len(np.unique(one.pairs.left)), len(np.unique(one.pairs.right))))
    many = max(len(np.unique(one.pairs.left)), len(np.unique(one.pairs.right)))
    return len(one.pairs) <= 1.6 * many and many <= 40 * rows


def _drafted(
    good: Sequence[Anchor], common: Traits, sides: Sides, answers: Answers
) -> tuple[list[Drafted], list[Class]]:
    free = [np.ones(rows, dtype=bool) for rows in sides.rows]
    drafts: list[Drafted] = []
    seen: list[Class] = []
    labels: list[str] = []
    keys = _keys(good)
    common = _without_keys(common, keys)
    lists = listed(13, sides, good[0], (free[0], free[1]))
    if lists is not None:
        classes = weighed(lists.classes, answers)
        mine = list(of_lists(lists, classes))
        seen += classes
        drafts += mine
        _consume(free, mine)
    for source, one in enumerate(keys):
        found = keyed(source, one, common, sides, (free[0], free[1]))
        classes = weighed(found.classes, answers)
        label = _label(one, labels)
        labels.append(label)
        mine = list(of_key(found, classes, label))
        seen += classes
        drafts += mine
        _consume(free, mine)
    agreeing = unkeyed(10, common, sides, (free[0], free[1]))
    if agreeing is not None:
        classes = weighed(agreeing.classes, answers)
        mine = list(of_agreement(agreeing, classes))
        seen += classes
        drafts += mine
        _consume(free, mine)
    days = agreeing.days if agreeing is not None else common.days
    window = agreeing.window if agreeing is not None else None
    for source, single in ((11, "right"), (12, "left")):
        added = sums(
            source, single, common.blocks, common.amounts, days, window, (free[0], free[1])
        )
        if added is not None:
            classes = weighed(added.classes, answers)
            mine = list(of_sums(added, classes))
            seen += classes
            drafts += mine
            _consume(free, mine)
    return drafts, seen


def _without_keys(common: Traits, keys: Sequence[Anchor]) -> Traits:
    """Return traits whose blocks are no keys by themselves: those have been tried."""
    single = [
        (one.equalities[0].columns[0], one.equalities[0].columns[1])
        for one in keys
        if len(one.equalities) == 1
    ]
    left = frozenset().union(*(columns for columns, _ in single))
    right = frozenset().union(*(columns for _, columns in single))
    blocks = tuple(
        one for one in common.blocks
        if one.left.texts.column not in left and one.right.texts.column not in right
    )  # fmt: skip
    return replace(common, blocks=blocks)


def _keys(good: Sequence[Anchor]) -> list[Anchor]:
    """Return the keys, the best first, those that bring out other pairs than those before."""
    found: list[Anchor] = []
    for one in good:
        if len(found) == _KEYS or not _is_key(one):
            continue
        if found and (one.narrowed or one.worth < 0.05 * found[0].worth):
            continue
        met = {(a.columns[0], a.columns[1]) for a in one.equalities}
        if any({(a.columns[0], a.columns[1]) for a in other.equalities} <= met for other in found):
            continue
        found.append(one)
    return found


def _label(one: Anchor, taken: Sequence[str]) -> str:
    names = []
    for each in one.equalities:
        names += sorted(each.columns[0])
    label = " and ".join(names)
    return label if label not in taken else f"{label} ({len(taken) + 1})"


def _consume(free: list[np.ndarray], drafts: Sequence[Drafted]) -> None:
    for one in drafts:
        free[0][one.pairs.left] = False
        free[1][one.pairs.right] = False


def _control(common: Traits) -> dict[str, Any] | None:
    amounts = common.amounts
    if amounts is None or not (amounts.left.raw and amounts.right.raw) or amounts.factor != 1:
        return None
    return {"left": amounts.left.name, "right": amounts.right.name}


def _coverage(drafts: Sequence[Drafted], rows: tuple[int, int]) -> tuple[float, float]:
    if not drafts:
        return 0.0, 0.0
    left = np.unique(np.concatenate([one.pairs.left for one in drafts]))
    right = np.unique(np.concatenate([one.pairs.right for one in drafts]))
    return len(left) / max(1, rows[0]), len(right) / max(1, rows[1])


def _passes(
    drafts: Sequence[Drafted], keys: tuple[tuple[str, ...], tuple[str, ...]],
    tables: tuple[pa.Table, pa.Table], names: Names, answers: Answers,
) -> tuple[InferredPass, ...]:  # fmt: skip
    found = []
    used: dict[str, int] = {}
    for one in drafts:
        used[one.name] = used.get(one.name, 0) + 1
        name = one.name if used[one.name] == 1 else f"{one.name} ({used[one.name]})"
        document = {"name": name, **one.document}
        if "match_sql" in document:
            sql = str(document["match_sql"]).replace("{left}", names.left)
            document["match_sql"] = unsealed(sql.replace("{right}", names.right))
        found.append(InferredPass(document, one.says, _evidence(one, keys, tables, answers)))
    return tuple(found)


def _evidence(
    one: Drafted, keys: tuple[tuple[str, ...], tuple[str, ...]],
    tables: tuple[pa.Table, pa.Table], answers: Answers,
) -> Evidence:  # fmt: skip
    pairs = one.pairs
    belief = sum(each.belief * len(each.pairs) for each in one.classes) / max(1, len(pairs))
    places = np.linspace(0, len(pairs) - 1, min(3, len(pairs))).astype(np.int64).tolist()
    examples = tuple(
        (
            _values(tables[0], keys[0], int(pairs.left[n])),
            _values(tables[1], keys[1], int(pairs.right[n])),
        )
        for n in places
    )
    against = tuple(
        (_values(tables[0], keys[0], left), _values(tables[1], keys[1], right))
        for left, right, judgement in answers
        if judgement is Judgement.NO and bool(((pairs.left == left) & (pairs.right == right)).any())
    )
    return Evidence(
        pairs=len(pairs),
        left_coverage=len(np.unique(pairs.left)) / max(1, len(tables[0])),
        right_coverage=len(np.unique(pairs.right)) / max(1, len(tables[1])),
        agreed=sum(each.yes for each in one.classes),
        disagreed=sum(each.no for each in one.classes),
        estimate=round(float(belief), 3),
        examples=examples,
        counter_examples=against[:3],
        says=one.why,
    )


def _values(table: pa.Table, key: Sequence[str], row: int) -> tuple[Any, ...]:
    return tuple(table.column(name)[row].as_py() for name in key)


def _answers(
    left: pa.Table, right: pa.Table, keys: tuple[tuple[str, ...], tuple[str, ...]],
    judged: Sequence[Judged],
) -> list[tuple[int, int, Judgement]]:  # fmt: skip
    """Return judged pairs as row numbers; those of other rows are left out."""
    if not judged:
        return []
    places: list[dict[tuple[str, ...], int]] = []
    for table, key, wanted in (
        (left, keys[0], {one.left for one in judged}),
        (right, keys[1], {one.right for one in judged}),
    ):
        texts = {tuple(map(str, values)) for values in wanted}
        columns = [table.column(name).to_pylist() for name in key]
        rows = zip(*columns, strict=True) if columns else iter(())
        places.append(
            {tuple(map(str, row)): n for n, row in enumerate(rows) if tuple(map(str, row)) in texts}
        )
    found = []
    for one in judged:
        first = places[0].get(tuple(map(str, one.left)))
        second = places[1].get(tuple(map(str, one.right)))
        if first is not None and second is not None:
            found.append((first, second, one.judgement))
    return found


def _question(
    left: pa.Table, right: pa.Table, keys: tuple[tuple[str, ...], tuple[str, ...]],
    classes: Sequence[Class], answers: Answers,
) -> Question | None:  # fmt: skip
    """Return a pair of the class about which doubt times rows is largest."""
    if not all(keys):
        return None
    asked = {(first, second) for first, second, _ in answers}
    unsure = [(a, b, c) for a, b, c in answers if c is Judgement.UNSURE]
    least = max(_LEAST_DOUBT, _LEAST_SHARE_OF_DOUBT * min(len(left), len(right)))
    for one in sorted(classes, key=lambda each: -each.doubt / (1 + 2 * _among(each, unsure))):
        if one.doubt < least:
            return None
        for place in _spread(len(one.pairs)):
            pair = int(one.pairs.left[place]), int(one.pairs.right[place])
            if pair not in asked:
                return _asked(left, right, keys, one, pair)
    return None


def _among(one: Class, answers: Answers) -> int:
    return sum(1 for a, b, _ in answers if judged_in(one.pairs, [(a, b, Judgement.YES)])[0])


def _spread(count: int) -> Iterator[int]:
    """Return places from the middle on, each once, far from each other first."""
    seen = set()
    step = 2
    while step <= 2 * count:
        for number in range(1, step, 2):
            place = count * number // step
            if place not in seen:
                seen.add(place)
                yield place
        step *= 2
    yield from (place for place in range(count) if place not in seen)


def _asked(
    left: pa.Table, right: pa.Table, keys: tuple[tuple[str, ...], tuple[str, ...]], one: Class,
    pair: tuple[int, int],
) -> Question:  # fmt: skip
    apart = ("equal", "within 5 cents", "within 1 %", "within 5 %", "within 20 %", "far apart")
    about = [f"amounts {apart[one.level]}", one.kind.value]
    about += ["days outside the usual window"] if one.outside else []
    about += ["names little alike"] if one.unlike else []
    rows = [table.slice(n, 1).to_pylist()[0] for table, n in zip((left, right), pair, strict=True)]
    return Question(
        _values(left, keys[0], pair[0]), _values(right, keys[1], pair[1]), rows[0], rows[1],
        f"Decides {len(one.pairs):,} pairs: {', '.join(about)}.", len(one.pairs),
    )  # fmt: skip


def _tried(rest: Sequence[Anchor]) -> tuple[str, ...]:
    return tuple(
        f"{one.says}: {len(one.pairs):,} pairs, {len(one.alone):,} of them alone, but nothing"
        " else agrees in them more often than in pairs at random."
        for one in sorted(rest, key=lambda each: -each.worth)[:3]
    )
