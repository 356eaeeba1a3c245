"""The sentences of `reason_detail`, made a column at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.keys.near import differences
from kalla_core.engine.keys.visible import is_text, quoted, shown_pieces
from kalla_core.engine.reasons.said import Sentences, joined
from kalla_core.engine.rows import Bools, Ints, one_chunk
from kalla_core.evidence.keys import key_text
from kalla_core.matching.keys.conditions import Condition
from kalla_core.matching.keys.keys import SideKey
from kalla_core.matching.plans.lineage import Column
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.written import is_name
from kalla_core.matching.strategy.planned import Planned, Rule

_NO_MATCH = "No row of the other side satisfies the match SQL, "

_NOT_CHOSEN = (
    "Its key is there and every condition on the pair holds; "
    "beyond the pair, the match SQL asks for "
)
_UNTOLD = "what two rows alone cannot tell"


def no_match(planned: Planned) -> str:
    """Say why rows are left where no rule has a key."""
    if planned.impossible:
        return f"{_NO_MATCH}which no rows can satisfy: its conditions contradict each other."
    if planned.rules[0].stands_for_many:
        return f"{_NO_MATCH}whose branches are too many to tell them apart and share no key."
    return f"{_NO_MATCH}which has no equality key."


def key_null(rule: Rule, side: Side, keys: pa.Table) -> pa.Array:
    """Say which key is null; `keys` has `__k0`... of the rows in question."""
    sentence = pa.nulls(len(keys), pa.string())
    for number in reversed(range(len(rule.keys))):
        is_null = one_chunk(keys.column(f"__k{number}")).is_null()
        said = f"{_nothing(rule.keys[number].side(side))}, and null equals nothing."
        sentence = pc.if_else(is_null, said, sentence)
    return one_chunk(sentence)


def _nothing(key: SideKey) -> str:
    """Say of a key that it is null; of one that may have failed, that it cannot be computed."""
    if not key.forgiving or isinstance(key.symbol, Column):
        return f"{key.text} is null"
    made = f"What the match SQL makes of {key.text}" if is_name(key.text) else key.text
    return f"{made} is null or cannot be computed"


def key_not_found(planned: Planned, rule: Rule, side: Side, keys: pa.Table) -> Sentences:
    """Say which key nobody on the other side has."""
    other = side.other
    alias = planned.query.side(other).alias
    return Sentences([f"No row of {alias} has ", *_key(rule, other, keys), "."], len(keys))


def key_near(
    planned: Planned,
    rule: Rule,
    side: Side,
    keys: pa.Table,
    others: pa.Table,
    names: Sequence[pa.Array | str],
) -> pa.Array:
    """Say, after that, who has the key but for its spelling.

    Args:
        keys: has `__k0`... of the rows in question; `others` of a row near each.
        names: of these, as pieces of `row_names`.
    """
    count = len(rule.keys)
    found = differences(_columns(keys, count), _columns(others, count))
    words = [
        pc.if_else(pa.array(differs), spelling.value, pa.scalar(None, pa.string()))
        for spelling, differs in found.items()
    ]
    but_for = _listed(words, len(keys), ", ")
    but_for = pc.if_else(pc.equal(but_for, ""), "how it is written", but_for)
    alias = planned.query.side(side.other).alias
    pieces: list[pa.Array | str] = [f" Near in {alias}: ", *names, ", which has "]
    pieces += _key(rule, side.other, others)
    return joined([*pieces, ", the same but for ", but_for, "."], len(keys))


def key_of(rule: Rule, side: Side, keys: pa.Table) -> pa.Array:
    """Return what rows have of a rule's key, as `a.k = 'A', a.j = 1`.

    Args:
        keys: `__k0`... of the rows.
    """
    return joined(_key(rule, side, keys), len(keys))


def _key(rule: Rule, side: Side, keys: pa.Table) -> list[pa.Array | str]:
    """Return pieces such as `k = 'A', j = 1`."""
    pieces: list[pa.Array | str] = []
    for number, key in enumerate(rule.keys):
        name = f"{', ' if number else ''}{key.text(side)} = "
        pieces += [name, *shown_pieces(keys.column(f"__k{number}"))]
    return pieces


def _columns(keys: pa.Table, count: int) -> list[pa.Array]:
    return [one_chunk(keys.column(f"__k{number}")) for number in range(count)]


def failures(
    planned: Planned,
    rule: Rule,
    left: pa.Table,
    right: pa.Table,
    held: Sequence[Bools],
    scores: Sequence[pa.Array | None],
) -> Sentences:
    """Say what keeps each pair of rows apart, and by how much; or what else left it out.

    Beside what fails it says of scores that hold how much they come to.

    Args:
        left: the left row of each pair; `right` likewise.
        held: for each condition, which pairs it holds for.
        scores: for each condition its score of each pair, as text, or null; None where it has none.
    """
    conditions, none = rule.conditions, pa.scalar(None, pa.string())
    if len(held) == 1 and not held[0].any():
        return Sentences(_failure(planned, conditions[0], left, right, scores[0]), len(left))
    apart = np.zeros(len(left), dtype=np.bool_)
    for holds in held:
        apart |= ~holds
    failed, holding = [], []
    for condition, holds, score in zip(conditions, held, scores, strict=True):
        if not holds.all():
            fails = pa.array(~holds)
            some = None if score is None else score.filter(fails)
            said = _failure(planned, condition, left.filter(fails), right.filter(fails), some)
            failed.append(_spread(joined(said, len(holds) - int(holds.sum())), ~holds))
        if score is not None and holds.any():
            said = _told_of(planned, condition, "holds", left, right, score)
            known = pc.and_(pa.array(holds & apart), pc.is_valid(score))
            holding.append(pc.if_else(known, joined(said, len(left)), none))
    sentences = [*failed, *holding]
    if not apart.all():
        left_out = _NOT_CHOSEN + (", ".join(rule.beyond) or _UNTOLD) + "."
        sentences.append(pc.if_else(pa.array(apart), none, left_out))
    return Sentences([_listed(sentences, len(left), "; ")], len(left))


def closest(
    planned: Planned,
    side: Side,
    names: Sequence[pa.Array | str],
    why: Sentences,
    sizes: Ints,
    cap: int,
) -> Sentences:
    """Say which row came closest to each, and what keeps the two apart.

    Args:
        names: the candidates' keys, as pieces of `row_names`.
        why: as `failures` gives it.
        sizes: how many candidates a row had where none was nearest; 0 where one was.
    """
    other = planned.query.side(side.other).alias
    pieces = [f"Closest in {other}: ", *names, ". ", *why.pieces]
    if (sizes > cap).any():
        note = f" (the best of the first {cap} by primary key)"
        pieces.append(pc.if_else(pa.array(sizes > cap), note, ""))
    return Sentences(pieces, why.count)


def row_names(keys: Sequence[pa.Array], texts: pa.Array) -> list[pa.Array | str]:
    """Return in pieces how a sentence names rows: by their primary keys, never null.

    Args:
        texts: these, as `key_text` gives them.
    """
    if len(keys) == 1 and is_text(keys[0].type):
        return [quoted(texts).fill_null("null")] if texts.null_count else shown_pieces(texts)
    return [texts.fill_null("null")]


def _listed(sentences: Sequence[pa.Array], count: int, between: str) -> pa.Array:
    """Return those of `sentences` that each row has, one after the other; empty where none.

    Arrow's own joining with `null_handling="skip"` gives fewer rows where some have none.
    """
    if not sentences or count == 0:
        return pa.repeat(pa.scalar(""), count)
    if len(sentences) == 1:
        return sentences[0].fill_null("")
    pieces, before = [sentences[0]], np.asarray(sentences[0].is_valid())
    for sentence in sentences[1:]:
        has = np.asarray(sentence.is_valid())
        follows = has & before
        if follows.any():
            pieces.append(pc.if_else(pa.array(follows), between, ""))
        pieces.append(sentence)
        before = before | has
    return pc.binary_join_element_wise(*pieces, "", null_handling="replace", null_replacement="")


def _spread(said: pa.Array, where: Bools) -> pa.Array:
    """Return texts in the places that are marked, one for each of them; null in all others."""
    if where.all():
        return said
    return said.take(pa.array(np.maximum(np.cumsum(where) - 1, 0), mask=~where))


def _failure(
    planned: Planned,
    condition: Condition,
    left: pa.Table,
    right: pa.Table,
    score: pa.Array | None,
) -> list[pa.Array | str]:
    return _told_of(planned, condition, "does not hold", left, right, score)


def _told_of(
    planned: Planned,
    condition: Condition,
    holds: str,
    left: pa.Table,
    right: pa.Table,
    score: pa.Array | None,
) -> list[pa.Array | str]:
    """Say, in pieces, that a condition holds or does not, for which values, and by how much."""
    query = planned.query
    pieces: list[pa.Array | str] = [f"{condition.text} {holds}"]
    compared = [(query.left.alias, left, name) for name in condition.left_columns]
    compared += [(query.right.alias, right, name) for name in condition.right_columns]
    for number, (alias, table, name) in enumerate(compared):
        pieces += [", " if number else ": ", f"{alias}.{name} = "]
        pieces += shown_pieces(table.column(name))
    difference = _difference(condition, left, right)
    if difference is not None:
        pieces += difference
    if score is not None:
        asked = f" ({condition.asks} is asked)"
        said = pc.binary_join_element_wise(", which come to ", score, asked, "")
        pieces.append(said.fill_null(""))
    return pieces


_ANY_INTEGER = pa.decimal128(20, 0)
_MOST_DIGITS_OF_128_BITS = 38


def _difference(
    condition: Condition, left: pa.Table, right: pa.Table
) -> list[pa.Array | str] | None:
    """Return `, which differ by 0.50` where the condition compares one number or date of each."""
    if (
        not condition.of_columns
        or not len(condition.left_columns) == len(condition.right_columns) == 1
    ):
        return None
    a = one_chunk(left.column(condition.left_columns[0]))
    b = one_chunk(right.column(condition.right_columns[0]))
    distance = _distance(a, b)
    if distance is None:
        return None
    unit: pa.Array | str = ""
    if pa.types.is_date(a.type):
        unit = pc.if_else(pc.equal(distance, 1), " day", " days")
    pieces = [", which differ by ", key_text([distance]), unit]
    zero = pc.equal(distance, 0)
    if not zero.null_count and not zero.true_count:
        return pieces
    return [pc.if_else(zero, "", pc.binary_join_element_wise(*pieces, "")).fill_null("")]


def _distance(a: pa.Array, b: pa.Array) -> pa.Array | None:
    if pa.types.is_date(a.type) and pa.types.is_date(b.type):
        a, b = (x.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()) for x in (a, b))
    numbers = (pa.types.is_integer, pa.types.is_decimal, pa.types.is_floating)
    if not all(any(is_kind(x.type) for is_kind in numbers) for x in (a, b)):
        return None
    if pa.types.is_floating(a.type) or pa.types.is_floating(b.type):
        return None  # the numbers as printed say more than the difference of doubles
    a, b = _exact(a), _exact(b)
    digits = max(x.type.precision - x.type.scale for x in (a, b))
    digits += max(x.type.scale for x in (a, b))
    if digits >= _MOST_DIGITS_OF_128_BITS or pa.types.is_decimal256(a.type):
        a, b = (x.cast(pa.decimal256(x.type.precision, x.type.scale)) for x in (a, b))
    try:
        return pc.abs(pc.subtract(a, b))
    except pa.ArrowInvalid:  # by their types, never by their values: more digits than Arrow holds
        return None


def _exact(numbers: pa.Array) -> pa.Array:
    """Return integers as decimals, of which no difference overflows; decimals as they are."""
    return numbers if pa.types.is_decimal(numbers.type) else numbers.cast(_ANY_INTEGER)
