"""Where a result row comes from: hidden columns that name its source rows.

A scan has one number per row (`RowId`). Joins put the numbers of both inputs side by side. GROUP
BY and DISTINCT fold many rows into one, so their numbers become a list (`Collected`) whose
elements each describe one of the folded rows; what was side by side in that row stays together.

Where a row has both a number of a side and a list with numbers of the same side (a sum of
payments joined back to the payments), the number tells which row it is about, and the list only
what the sum was made of: of that side the list tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from kalla_core.matching.sql.query import Side

HIDDEN = "__kalla_"
"""How the names of hidden columns begin; user columns may not."""


@dataclass(frozen=True, slots=True)
class RowId:
    """A column of row numbers of one side, UInt64; null where an outer join found no row."""

    side: Side
    column: str

    @property
    def sides(self) -> frozenset[Side]:
        """The sides that are named by it."""
        return frozenset((self.side,))

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of the column."""
        return pa.uint64()

    def renamed(self, column: str) -> RowId:
        """Return the same under another column name."""
        return RowId(self.side, column)


@dataclass(frozen=True, slots=True)
class Collected:
    """A list column with one element per folded row.

    With one member the element is that member's value; with several it is a struct with one
    field per member, in order. `column` of the members says nothing here.

    Attributes:
        silent: sides of which it tells nothing, although it has numbers of them.
    """

    members: tuple[Origin, ...]
    column: str
    silent: frozenset[Side] = frozenset()

    @property
    def sides(self) -> frozenset[Side]:
        """The sides that are named by it."""
        named = frozenset(side for member in self.members for side in member.sides)
        return named - self.silent

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of the column."""
        if len(self.members) == 1:
            return pa.list_(self.members[0].arrow_type)
        fields = [(member_field(i), m.arrow_type) for i, m in enumerate(self.members)]
        return pa.list_(pa.struct(fields))

    def renamed(self, column: str) -> Collected:
        """Return the same under another column name."""
        return Collected(self.members, column, self.silent)


Origin = RowId | Collected


def silenced(origins: Iterable[Origin], single: frozenset[Side]) -> tuple[Origin, ...]:
    """Return `origins` as they are beside rows that name a single row of the sides `single`."""
    kept = (
        o if isinstance(o, RowId) else Collected(o.members, o.column, o.silent | single)
        for o in origins
    )
    return tuple(origin for origin in kept if origin.sides)


def member_field(index: int) -> str:
    """Return the name of a member's field in the struct of a collected row."""
    return f"m{index}"


def shape(origin: Origin) -> object:
    """Return what two origins must have in common to share a column: all but the name."""
    if isinstance(origin, RowId):
        return origin.side
    return (*(shape(member) for member in origin.members), origin.silent)
