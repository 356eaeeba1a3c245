"""A plan rebuilt with row ids, and the refusal where they cannot travel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from datafusion import DataFrame

from kalla_core.matching.row_ids.ordering import Ties
from kalla_core.matching.row_ids.origins import Origin, silenced
from kalla_core.matching.sql.query import Side


class CannotCarry(Exception):
    """Row ids cannot travel through an operator; the message says which."""


@contextmanager
def refusals_told() -> Iterator[None]:
    """Raise `CannotCarry` where DataFusion refuses a rebuilt plan."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:  # DataFusion raises just that
            raise
        raise CannotCarry(f"this statement ({error})") from error


@dataclass(frozen=True, slots=True)
class Carried:
    """A rebuilt plan.

    Attributes:
        frame: the columns of the original by position and name, then hidden columns.
        origins: the hidden columns that name source rows.
        single: the sides of which every row names a single row (or, by an outer join, none).
        meets: some row may name rows of both sides.
        ties: what tells any two of its rows apart, for ORDER BY.
        warnings: what the user should know about the order of rows that compare equal.
        chance: a part that every fragment may compute for itself picks among equal rows as they
            come, so that two fragments could pick differently.
    """

    frame: DataFrame
    origins: tuple[Origin, ...]
    single: frozenset[Side] = frozenset()
    meets: bool = False
    ties: Ties = field(default_factory=Ties)
    warnings: tuple[str, ...] = ()
    chance: bool = False

    @property
    def sides(self) -> frozenset[Side]:
        """The sides of which rows are named."""
        return frozenset(side for origin in self.origins for side in origin.sides)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The hidden columns that are of use, each once."""
        return tuple(dict.fromkeys([*(o.column for o in self.origins), *self.ties.columns]))

    def over(self, names: Mapping[str, str]) -> Carried:
        """Return the same with its hidden columns renamed, as `names` has them."""
        return replace(
            self,
            origins=tuple(origin.renamed(names[origin.column]) for origin in self.origins),
            ties=self.ties.renamed(names),
        )

    def beside(self, other: Carried, frame: DataFrame) -> Carried:
        """Return `frame`, whose rows are rows of both."""
        return Carried(
            frame,
            silenced(self.origins, other.single) + silenced(other.origins, self.single),
            self.single | other.single,
            self.meets or other.meets or len(self.sides | other.sides) == len(Side),
            self.ties.beside(other.ties),
            self.warnings + other.warnings,
            self.chance or other.chance,
        )
