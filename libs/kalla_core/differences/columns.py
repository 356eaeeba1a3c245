"""Which columns of two tables belong together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from kalla_core.errors import InvalidSetting, UnknownColumn
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.column_types import type_word
from kalla_core.recipe.nearest import nearest, suggestion

_KINDS = (
    ("number", (pa.types.is_integer, pa.types.is_decimal, pa.types.is_floating)),
    ("text", (pa.types.is_string,)),
    ("date", (pa.types.is_date, pa.types.is_timestamp)),
    ("boolean", (pa.types.is_boolean,)),
)
_NOTHING = "null"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns that belong together, as either side names and types them."""

    left: pa.Field
    right: pa.Field

    @property
    def same_type(self) -> bool:
        """Whether both have the same type; one without any value has every type."""
        kinds = (self.left.type, self.right.type)
        return kinds[0] == kinds[1] or any(map(pa.types.is_null, kinds))

    @property
    def compares(self) -> bool:
        """Whether values of the one can equal values of the other."""
        kinds = (kind_of(self.left.type), kind_of(self.right.type))
        return kinds[0] == kinds[1] or _NOTHING in kinds

    @property
    def in_sql(self) -> bool:
        """Whether match SQL can compare them: lists and structs it cannot."""
        words = [word for word, _ in _KINDS] + [_NOTHING]
        return self.compares and all(kind_of(one.type) in words for one in (self.left, self.right))


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be compared, as it was asked for.

    Attributes:
        on: the columns that identify a row.
        columns: those to compare; empty for all that both sides have.
        ignored: those to leave out.
        tolerances: column to how far its numbers may be apart, a decimal as text.
    """

    on: tuple[str, ...]
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    tolerances: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of two tables, told apart.

    Attributes:
        on: those that identify a row.
        shared: the others that both have and that are to be compared, in the order of the left.
        alone: those that only one side has, in its order.
        tolerances: by the left name.
        notes: sentences about names that are the same but for case.
    """

    on: tuple[Pair, ...]
    shared: tuple[Pair, ...]
    alone: Mapping[Side, tuple[pa.Field, ...]]
    tolerances: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def compared(self) -> tuple[Pair, ...]:
        """Those of `shared` whose values can be equal."""
        return tuple(pair for pair in self.shared if pair.compares)


def kind_of(arrow_type: pa.DataType) -> str:
    """Return the word for the values that a type has; what has no such word compares as text."""
    if pa.types.is_null(arrow_type):
        return _NOTHING
    for word, fits in _KINDS:
        if any(fit(arrow_type) for fit in fits):
            return word
    return type_word(arrow_type)


def pair_columns(schemas: Mapping[Side, pa.Schema], wish: Wish) -> Columns:
    """Tell the columns of two tables apart.

    Columns of equal names belong together; of those that are left, such whose names are equal but
    for case, where each side has one of them.

    Raises:
        UnknownColumn: a column that was asked for is not there, on a side that needs it.
        InvalidSetting: what was asked for contradicts itself, or does not fit the types.
    """
    left, right = (schemas[side] for side in Side)
    partners = _partners(left.names, right.names)
    found = {name: Pair(left.field(name), right.field(other)) for name, other in partners.items()}
    on = tuple(_demanded(name, found, schemas, "--on") for name in wish.on)
    for pair in on:
        if not pair.compares:
            raise InvalidSetting(
                f"--on {pair.left.name}: it is {type_word(pair.left.type)} on the left and "
                f"{type_word(pair.right.type)} on the right, which are never equal."
            )
    keys = {pair.left.name for pair in on}
    chosen = [_demanded(name, found, schemas, "--columns") for name in wish.columns]
    ignored = set(_ignored(wish.ignored, found, schemas))
    both = (keys | {pair.left.name for pair in chosen}) & {name for _, name in ignored}
    if both:
        raise InvalidSetting(f"--ignore {min(both)}: it is to be compared as well; leave one out.")
    shared = tuple(
        pair
        for name, pair in found.items()
        if name not in keys and (Side.LEFT, name) not in ignored and (not chosen or pair in chosen)
    )
    paired = {Side.LEFT: set(partners), Side.RIGHT: set(partners.values())}
    alone = {
        side: tuple(
            one
            for one in schemas[side]
            if not chosen and one.name not in paired[side] and (side, one.name) not in ignored
        )
        for side in Side
    }
    return Columns(on, shared, alone, _tolerances(wish.tolerances, shared), _notes(partners))


def unlike_texts(schemas: Mapping[Side, pa.Schema]) -> dict[Side, tuple[str, ...]]:
    """Return the columns of each side that are no texts and belong to texts of the other."""
    left, right = (schemas[side] for side in Side)
    found: dict[Side, list[str]] = {side: [] for side in Side}
    for name, other in _partners(left.names, right.names).items():
        fields = {Side.LEFT: left.field(name), Side.RIGHT: right.field(other)}
        kinds = {side: kind_of(one.type) for side, one in fields.items()}
        for side in Side:
            if kinds[side.other] == "text" and kinds[side] not in ("text", _NOTHING):
                found[side].append(fields[side].name)
    return {side: tuple(names) for side, names in found.items()}


def _partners(left: Sequence[str], right: Sequence[str]) -> dict[str, str]:
    """Return the right name of each left column that has one, in the order of the left."""
    partners = {name: name for name in left if name in right}
    open_left = _by_lower(name for name in left if name not in partners)
    open_right = _by_lower(name for name in right if name not in partners)
    for lower, names in open_left.items():
        others = open_right.get(lower, [])
        if len(names) == len(others) == 1:
            partners[names[0]] = others[0]
    return {name: partners[name] for name in left if name in partners}


def _by_lower(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.casefold(), []).append(name)
    return found


def _demanded(
    asked: str, found: Mapping[str, Pair], schemas: Mapping[Side, pa.Schema], flag: str
) -> Pair:
    """Return the pair of columns that one name means."""
    name = _named(asked, found)
    if name is not None:
        return found[name]
    for side in Side:
        if _named(asked, schemas[side].names) is None:
            known = schemas[side].names
            raise UnknownColumn(
                f"{flag} {asked}: the {side.word} side has no such column. "
                f"{suggestion(asked, known)}",
                column=asked,
                nearest=nearest(asked, known),
            )
    raise InvalidSetting(f"{flag} {asked}: it stands for several columns; write it as they do.")


def _named(asked: str, names: Collection[str]) -> str | None:
    if asked in names:
        return asked
    alike = [name for name in names if name.casefold() == asked.casefold()]
    return alike[0] if len(alike) == 1 else None


def _ignored(
    names: Iterable[str], found: Mapping[str, Pair], schemas: Mapping[Side, pa.Schema]
) -> Iterable[tuple[Side, str]]:
    """Yield the columns that are left out, on whichever side they are."""
    for asked in names:
        name = _named(asked, found)
        if name is not None:
            yield Side.LEFT, name
            yield Side.RIGHT, found[name].right.name
            continue
        there = [(side, _named(asked, schemas[side].names)) for side in Side]
        known = [(side, one) for side, one in there if one is not None]
        if not known:
            every = [*schemas[Side.LEFT].names, *schemas[Side.RIGHT].names]
            raise UnknownColumn(
                f"--ignore {asked}: neither side has such a column. {suggestion(asked, every)}",
                column=asked,
                nearest=nearest(asked, every),
            )
        yield from known


def _tolerances(asked: Mapping[str, str], shared: Sequence[Pair]) -> dict[str, str]:
    by_name = {pair.left.name: pair for pair in shared}
    found: dict[str, str] = {}
    for column, tolerance in asked.items():
        name = _named(column, by_name)
        if name is None:
            raise UnknownColumn(
                f"--tolerance {column}: no such column is compared. "
                f"{suggestion(column, list(by_name))}",
                column=column,
                nearest=nearest(column, list(by_name)),
            )
        kinds = {kind_of(one.type) for one in (by_name[name].left, by_name[name].right)}
        if kinds - {_NOTHING} != {"number"}:
            raise InvalidSetting(
                f"--tolerance {column}: a tolerance is of numbers, and this is "
                f"{type_word(by_name[name].left.type)}."
            )
        found[name] = tolerance
    return found


def _notes(partners: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{name} of the left is {other} on the right: names are the same but for case."
        for name, other in partners.items()
        if name != other
    )
