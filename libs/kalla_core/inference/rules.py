"""From classes that are believed to passes, from strict to loose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

import numpy as np

from kalla_core.inference.agreement import AmountPair, DayPair
from kalla_core.inference.classes import LEVELS, Class, Kind
from kalla_core.inference.joining import Pairs
from kalla_core.inference.keyed import Keyed
from kalla_core.inference.listed import Listed
from kalla_core.inference.overlaps import Overlap
from kalla_core.inference.statements import (
    Near,
    adding_up,
    day_lag,
    difference,
    equal_amounts,
    equality,
    likeness,
    near_amounts,
    select,
)
from kalla_core.inference.sums import MAX_ITEMS, Sums
from kalla_core.inference.unkeyed import Unkeyed
from kalla_core.inference.values import NONE, SCALE

_ROUND = tuple(
    map(Decimal, ("0", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10"))
)
_SHARES = tuple(map(Decimal, ("0.001", "0.005", "0.01", "0.02", "0.03", "0.05", "0.1", "0.2")))
_ALIKE = ("0.85", "0.6", "0")


@dataclass(frozen=True, slots=True, eq=False)
class Drafted:
    """A pass before it has its name and evidence.

    Attributes:
        classes: what it takes.
    """

    name: str
    says: str
    document: Mapping[str, Any]
    classes: tuple[Class, ...]
    why: tuple[str, ...] = ()

    @property
    def pairs(self) -> Pairs:
        """All that it takes."""
        return Pairs(
            np.concatenate([one.pairs.left for one in self.classes]),
            np.concatenate([one.pairs.right for one in self.classes]),
        )


def of_key(found: Keyed, classes: Sequence[Class], label: str) -> Iterator[Drafted]:
    """Return the passes of a key, with its classes as they are believed now."""
    taken = [one for one in classes if one.taken and len(one.pairs)]
    if not taken:
        return
    alone = [one for one in taken if one.kind is Kind.ALONE]
    groups = {
        kind: [one for one in taken if one.kind is kind]
        for kind in (Kind.MANY_RIGHT, Kind.MANY_LEFT, Kind.MANY)
    }
    unbounded = found.amounts is None or any(one.level == LEVELS - 1 for one in alone)
    many = {kind for kind, some in groups.items() if some}
    grouped = [one for some in groups.values() for one in some]
    if unbounded and not _adding(taken) and (found.amounts is None or not many):
        yield _all(found, [*alone, *grouped], many, label)
        return
    strict = [one for one in alone if one.level <= 1]
    loose = [one for one in alone if one.level > 1]
    if strict and found.amounts is not None:
        yield _alone(found, strict, f"{label} and amount", found.amounts)
    for kind in (Kind.SUM_RIGHT, Kind.SUM_LEFT):
        some = [one for one in taken if one.kind is kind]
        if some and found.amounts is not None:
            yield _summed(found, some, kind, label, found.amounts)
    if loose and found.amounts is not None and not unbounded:
        yield _alone(found, loose, f"{label}, amount near", found.amounts)
    rest = [*(loose if unbounded else []), *grouped]
    if rest:
        yield _all(found, rest, many, f"{label} alone")


def _adding(taken: Sequence[Class]) -> bool:
    return any(one.kind in (Kind.SUM_LEFT, Kind.SUM_RIGHT) for one in taken)


def _keys(found: Keyed) -> list[str]:
    return [equality(one) for one in found.anchor.equalities]


def _in_window(found: Keyed, taken: Sequence[Class]) -> list[str]:
    """Return a condition on days, where pairs outside are known and not believed."""
    if found.days is None or found.window is None or any(one.outside for one in taken):
        return []
    mine = {(one.kind, one.level) for one in taken}
    known = any(one.outside and (one.kind, one.level) in mine for one in found.classes)
    if not found.anchor.narrowed and not known:
        return []
    return [f"{day_lag(found.days)} BETWEEN {found.window[0]} AND {found.window[1]}"]


def _ranked(found: Keyed) -> tuple[list[str], list[str]]:
    columns, rank = [], []
    if found.amounts is not None:
        columns.append(f"{difference(found.amounts)} AS amount_off")
        rank.append("amount_off")
    if found.days is not None:
        columns.append(f"abs({day_lag(found.days)}) AS days_off")
        rank.append("days_off")
    return columns, rank


def _alone(found: Keyed, taken: Sequence[Class], name: str, amounts: AmountPair) -> Drafted:
    near = fitted(amounts, taken)
    conditions = [*_keys(found), near_amounts(amounts, near), *_in_window(found, taken)]
    columns, rank = _ranked(found)
    document = {
        "match_sql": select(columns, conditions), "cardinality": "1:1", "rank": rank,
    }  # fmt: skip
    says = f"{found.anchor.says}; amounts {near.says}"
    return Drafted(name, says, document, tuple(taken), _why(found))


def _summed(
    found: Keyed, taken: Sequence[Class], kind: Kind, label: str, amounts: AmountPair
) -> Drafted:
    several = "right" if kind is Kind.SUM_RIGHT else "left"
    sql = adding_up(found.anchor.equalities, amounts, Decimal("0.05"), several)
    document = {"match_sql": sql, "cardinality": "1:N" if several == "right" else "N:1"}
    return Drafted(
        f"{label}, several add up", f"{found.anchor.says}; {kind.value}", document, tuple(taken),
        _why(found),
    )  # fmt: skip


def _all(found: Keyed, taken: Sequence[Class], many: set[Kind], label: str) -> Drafted:
    columns, rank = _ranked(found)
    cardinality = "1:1"
    if Kind.MANY in many or {Kind.MANY_LEFT, Kind.MANY_RIGHT} <= many:
        cardinality = "N:M"
    elif many:
        cardinality = "1:N" if Kind.MANY_RIGHT in many else "N:1"
    conditions = [*_keys(found), *_in_window(found, taken)]
    document: dict[str, Any] = {
        "match_sql": select(columns, conditions),
        "cardinality": cardinality,
    }
    if cardinality != "N:M" and rank:
        document["rank"] = rank
    return Drafted(label, f"{found.anchor.says}, whatever the amounts" if found.amounts else
                   found.anchor.says, document, tuple(taken), _why(found))  # fmt: skip


def _why(found: Keyed) -> tuple[str, ...]:
    anchor = found.anchor
    said = [f"{len(anchor.alone):,} pairs of rows share these values with no other row."]
    if anchor.amounts is not None:
        said.append(
            f"In them `{anchor.amounts.left.name}` and `{anchor.amounts.right.name}` are equal in"
            f" {anchor.amounts.equal:.0%}, within 5 % in {anchor.amounts.near:.0%}."
        )
    if anchor.days is not None:
        said.append(
            f"`{anchor.days.right.name}` is {anchor.days.least} to {anchor.days.most} days after"
            f" `{anchor.days.left.name}` in {anchor.days.inside:.0%}."
        )
    said += [
        f"{one.overlap.says} in {one.share:.0%}, and in {one.by_chance:.0%} of pairs at random."
        for one in anchor.equal[:2]
    ]
    return tuple(said)


def fitted(amounts: AmountPair, taken: Sequence[Class]) -> Near:
    """Return the least round tolerance that keeps all pairs of some classes."""
    left, right = amounts.units()
    pairs = [one.pairs for one in taken]
    a = np.concatenate([left[one.left] for one in pairs])
    b = np.concatenate([right[one.right] for one in pairs])
    there = (a != NONE) & (b != NONE)
    off, size = np.abs(a[there] - b[there]), np.abs(a[there])
    if not len(off):
        return Near(absolute=Decimal(0))
    most = Decimal(int(off.max())) / SCALE
    if most <= _ROUND[-1]:
        return Near(absolute=next(one for one in _ROUND if one >= most))
    share = Decimal(float((off / np.maximum(size, 1)).max())).quantize(
        Decimal("0.0001"), ROUND_CEILING
    )
    return Near(share=next((one for one in _SHARES if one >= share), share))


def of_agreement(found: Unkeyed, classes: Sequence[Class]) -> Iterator[Drafted]:
    """Return the passes without a key, names alike first."""
    taken = [one for one in classes if one.taken and len(one.pairs)]
    strict = [one for one in taken if one.level <= 1]
    loose = [one for one in taken if one.level > 1]
    for some, name in ((strict, _named(found)), (loose, "amount near")):
        if some:
            yield _agreeing(found, some, name)


def _named(found: Unkeyed) -> str:
    return "name" if found.amounts is None else "amount"


def _agreeing(found: Unkeyed, taken: Sequence[Class], name: str) -> Drafted:
    conditions = [equality(one) for one in found.blocks]
    says = [one.says for one in found.blocks]
    columns, rank = [], []
    if found.amounts is not None:
        near = fitted(found.amounts, taken)
        exact = not near.absolute and near.share is None
        condition = equal_amounts(found.amounts) if exact else near_amounts(found.amounts, near)
        conditions.append(condition)
        columns, rank = [f"{difference(found.amounts)} AS amount_off"], ["amount_off"]
        says.append(f"amounts {near.says}")
    if found.names:
        least = _ALIKE[max(one.unlike for one in taken)]
        columns.append(f"{likeness(found.names[0])} AS likeness")
        rank.append("likeness desc")
        if least != "0":
            conditions.append(f"{likeness(found.names[0])} >= {least}")
            says.append(f"{found.names[0].says}, {least} or more")
    if found.days is not None and found.window is not None:
        conditions.append(_lagging(found.days, found.window, key=found.amounts is None))
        columns.append(f"abs({day_lag(found.days)}) AS days_off")
        rank.append("days_off")
        says.append(
            f"{found.window[0]} to {found.window[1]} days from `{found.days.left.name}`"
            f" to `{found.days.right.name}`"
        )
    document = {"match_sql": select(columns, conditions), "cardinality": "1:1", "rank": rank}
    why = (f"{found.accidents:.0%} of such pairs would come about by chance.",)
    return Drafted(_of_columns(found.blocks, name), "; ".join(says), document, tuple(taken), why)


def _lagging(days: DayPair, window: tuple[int, int], *, key: bool) -> str:
    """Return the condition on days; as a key where there is no other."""
    if key:
        return f"{days.left.sql.replace('{}', 'l')} = {days.right.sql.replace('{}', 'r')}"
    return f"{day_lag(days)} BETWEEN {window[0]} AND {window[1]}"


def _of_columns(blocks: Sequence[Overlap], name: str) -> str:
    columns = [one.left.texts.column for one in blocks]
    return ", ".join([*columns, name]) if columns else f"{name} and day"


def of_lists(found: Listed, classes: Sequence[Class]) -> Iterator[Drafted]:
    """Return the pass of references that texts list, if it is believed."""
    taken = [one for one in classes if one.taken]
    if not taken:
        return
    sql = "\nUNION ALL\n".join(select(["l.*"], [one]) for one in found.conditions())
    document = {"match_sql": sql, "cardinality": "N:1" if found.texts_side == 1 else "1:N"}
    name = f"{found.references.column} in {found.texts.column}"
    yield Drafted(name, found.says, document, tuple(taken))


def of_sums(found: Sums, classes: Sequence[Class]) -> Iterator[Drafted]:
    """Return the pass that adds amounts up, if it is believed."""
    taken = [one for one in classes if one.taken]
    if not taken:
        return
    document: dict[str, Any] = {
        "kind": "subset_sum",
        "one": found.one,
        "block": [[one.left.texts.column, one.right.texts.column] for one in found.blocks],
        "amount": [found.amounts.left.name, found.amounts.right.name],
        "max_items": MAX_ITEMS,
    }
    if found.days is not None and found.window is not None:
        columns = [found.days.left.column, found.days.right.column]
        document["days"] = {"columns": columns, "between": list(found.window)}
    several = "left" if found.one == "right" else "right"
    says = f"several {several} rows add up to a {found.one} one, with equal " + " and ".join(
        one.says for one in found.blocks
    )
    name = f"several {several} rows for one"
    yield Drafted(name, says, document, tuple(taken))
