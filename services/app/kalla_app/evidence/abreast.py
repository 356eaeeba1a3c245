"""A row and those that came close to it, field by field. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from kalla_core.answers.why.told import Failed, apart
from kalla_core.matching.sql.query import Side

_MIDNIGHT = re.compile(r"T00:00:00(\.0+)?Z?$")

Column = tuple[Side, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """A value.

    Attributes:
        text: None for null.
        known: whether evidence tells it.
        differs: from the row's own.
        fails: a condition that reads it does not hold.
    """

    text: str | None
    known: bool = True
    differs: bool = False
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A field, or two that belong together.

    Attributes:
        own: its name on the row's side; `its` on the other. None where a side has no such field.
        cells: the row's own first; None where the side has no such field.
        compared: whether match SQL compares the two.
    """

    own: str | None
    its: str | None
    cells: tuple[Cell | None, ...]
    compared: bool


@dataclass(frozen=True, slots=True)
class Facing:
    """A row that came close, as it is compared.

    Attributes:
        row: what evidence has of it, by the names of its side.
        failing: columns of conditions that do not hold.
    """

    row: Mapping[str, Any]
    failing: Collection[Column]


def lines(
    side: Side,
    schemas: Mapping[Side, pa.Schema],
    compared: Sequence[tuple[str, str]],
    own: Mapping[str, Any],
    others: Sequence[Facing],
) -> tuple[Line, ...]:
    """Return the fields of a row beside those of others: what is compared first.

    Args:
        side: of the row.
        schemas: the columns of both sides.
        compared: columns that belong together by match SQL, left and right.
    """
    ours, theirs = schemas[side], schemas[side.other]
    pairs = [pair if side is Side.LEFT else (pair[1], pair[0]) for pair in compared]
    mine, its = {one for one, _ in pairs}, {other for _, other in pairs}
    alike = [(name, name) for name in ours.names if name in theirs.names and name not in mine & its]
    both = {name for name, _ in alike}
    alone = [(name, None) for name in ours.names if name not in mine | both]
    missing = [(None, name) for name in theirs.names if name not in its | both]
    wanted: list[tuple[str | None, str | None]] = [*pairs, *alike, *alone, *missing]
    return tuple(
        _line(side, schemas, one, other, own, others, compared=at < len(pairs))
        for at, (one, other) in enumerate(wanted)
    )


def _line(
    side: Side,
    schemas: Mapping[Side, pa.Schema],
    one: str | None,
    other: str | None,
    own: Mapping[str, Any],
    others: Sequence[Facing],
    *,
    compared: bool,
) -> Line:
    mine = None if one is None else _cell(own, one)
    cells: list[Cell | None] = [mine]
    for facing in others:
        cell = None if other is None else _cell(facing.row, other)
        if cell is not None and mine is not None and one is not None and other is not None:
            kinds = schemas[side].field(one).type, schemas[side.other].field(other).type
            differs = cell.known and mine.known and not _same(mine.text, cell.text, kinds)
            fails = compared and {(side, one), (side.other, other)} <= {*facing.failing}
            cell = Cell(cell.text, cell.known, differs, fails)
        cells.append(cell)
    return Line(one, other, tuple(cells), compared)


def read_by(failed: Sequence[Failed], names: Mapping[str, Column]) -> dict[Column, str]:
    """Return the columns that conditions which do not hold read, and their values as SQL has them.

    Args:
        names: columns by how sentences call them, see `spelled`.
    """
    found: dict[Column, str] = {}
    for one in failed:
        for piece in apart(one.values, ", "):
            name, equals, value = piece.partition(" = ")
            if equals and name in names:
                found[names[name]] = value
    return found


def pairs_of(failed: Iterable[Failed], names: Mapping[str, Column]) -> Iterator[tuple[str, str]]:
    """Yield the columns, left and right, of conditions that read one of each side."""
    for one in failed:
        read = read_by([one], names)
        left, right = ([name for side, name in read if side is which] for which in Side)
        if len(left) == len(right) == 1:
            yield left[0], right[0]


def spelled(aliases: Mapping[Side, str], schemas: Mapping[Side, pa.Schema]) -> dict[str, Column]:
    """Return the columns of both sides by the names that sentences may call them."""
    return {
        f"{alias}.{column}": (side, name)
        for side in Side
        for name in schemas[side].names
        for alias in (aliases[side], f'"{aliases[side]}"')
        for column in (name, f'"{name}"')
    }


def plain(literal: str) -> str | None:
    """Return the text of a value that is written as SQL; None for null."""
    if literal == "null":
        return None
    quoted = len(literal) > 1 and literal[0] == literal[-1] == "'"
    return literal[1:-1].replace("''", "'") if quoted else literal


def _cell(row: Mapping[str, Any], name: str) -> Cell:
    if name not in row:
        return Cell(None, known=False)
    value = row[name]
    if value is None or isinstance(value, str):
        return Cell(value)
    return Cell(json.dumps(value, ensure_ascii=False))


def _same(one: str | None, other: str | None, kinds: tuple[pa.DataType, pa.DataType]) -> bool:
    if one == other or one is None or other is None:
        return one == other
    if all(map(_is_number, kinds)):
        try:
            return Decimal(one) == Decimal(other)
        except InvalidOperation:
            return False
    if all(map(pa.types.is_temporal, kinds)):
        return _MIDNIGHT.sub("", one) == _MIDNIGHT.sub("", other)
    return False


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind)
    )
