"""What DataFusion refused, and what is known about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kalla_core.matching.sql.culprits import Culprit, Refusal, culprit
from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.places import place_of
from kalla_core.matching.sql.query import MatchQuery
from kalla_core.matching.sql.tables import table_names
from kalla_core.matching.sql.text import Splice


@dataclass(frozen=True, slots=True)
class Said:
    """See the module.

    Attributes:
        splices: what was put into the user's SQL before it was planned.
        functions: names of all functions there are.
        message: DataFusion's own.
        refusal: asks DataFusion what it says to another statement.
    """

    query: MatchQuery
    tokens: Sequence[Token]
    splices: Sequence[Splice]
    functions: Collection[str]
    message: str
    refusal: Refusal

    @property
    def sql(self) -> str:
        """The user's own text."""
        return self.query.sql

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables."""
        return tuple(table_names(self.query))

    def culprit(self) -> Culprit | None:
        """Return the expression that is refused, looked for by asking again and again."""
        return culprit(self.sql, self.splices, self.message, self.refusal)

    def place(self, text: str) -> int | None:
        """Return where `text` stands."""
        return place_of(self.tokens, text)
