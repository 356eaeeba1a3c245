"""What DataFusion refused, and what is known about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kalla_core.matching.arrow_types import kind_of
from kalla_core.matching.lexer import Token, folded
from kalla_core.matching.places import place_of
from kalla_core.matching.query import MatchQuery
from kalla_core.matching.tables import table_names
from kalla_core.matching.text import Splice


@dataclass(frozen=True, slots=True)
class Said:
    """See the module.

    Attributes:
        splices: what was put into the user's SQL before it was planned.
        functions: names of all functions there are.
    """

    query: MatchQuery
    tokens: Sequence[Token]
    splices: Sequence[Splice]
    functions: Collection[str]

    @property
    def sql(self) -> str:
        """The user's own text."""
        return self.query.sql

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables."""
        return tuple(table_names(self.query))

    def may_be(self, column: str, kind: str) -> bool:
        """Whether a table has a column of a name and a kind."""
        shapes = (self.query.left, self.query.right, *self.query.extras)
        return any(
            folded(field.name) == folded(column) and kind_of(field.type) == kind
            for shape in shapes
            for field in shape.schema
        )

    def place(self, text: str) -> int | None:
        """Return where `text` stands."""
        return place_of(self.tokens, text)
