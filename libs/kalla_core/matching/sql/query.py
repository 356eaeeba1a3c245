"""What a match SQL is asked of: the tables of a job, without their data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

ROW = "__kalla_row"
"""Hidden column of a source table: the number of the row, UInt64, unique within the table."""


class Side(StrEnum):
    """The two data sets; the value is the table's name in match SQL."""

    LEFT = "left_src"
    RIGHT = "right_src"

    @property
    def word(self) -> str:
        """`left` or `right`, as in messages and file names."""
        return self.value.removesuffix("_src")

    @property
    def other(self) -> Side:
        """The side it is compared with."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table as the planner sees it; extras have no primary key.

    Attributes:
        texts: for columns that are text though they look like something else, what makes them so,
            as a sentence; nothing is planned by it.
    """

    alias: str
    schema: pa.Schema
    primary_key: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class MatchQuery:
    """Match SQL over the shapes of its tables. Plain data; every process plans it anew.

    Attributes:
        started_at: the run's start, zoned UTC; what `now()` and its kin mean.
    """

    sql: str
    left: TableShape
    right: TableShape
    extras: tuple[TableShape, ...]
    started_at: datetime

    def side(self, side: Side) -> TableShape:
        """Return the shape of one side."""
        return self.left if side is Side.LEFT else self.right
