"""What is asked of inference, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kalla_core.inference.mappings import FieldMapping
from kalla_core.inference.profiles import ColumnProfile

Row = Mapping[str, Any]
KeyValues = tuple[Any, ...]


class Judgement(StrEnum):
    """What somebody says of a pair."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair of rows that somebody judged.

    Attributes:
        left: values of the left primary key, in its order.
        right: of the right one.
    """

    left: KeyValues
    right: KeyValues
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Question:
    """A pair that somebody should judge.

    Attributes:
        left: values of the primary key; `left_row` has all columns.
        why: what the answer decides.
        rows: about how many pairs of the sample it decides.
    """

    left: KeyValues
    right: KeyValues
    left_row: Row
    right_row: Row
    why: str
    rows: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against a pass, counted in the sample.

    Attributes:
        pairs: pairs that it adds to those of the passes before it.
        left_coverage: share of the left rows that they are of.
        right_coverage: of the right rows.
        agreed: judged pairs with yes that it brings out.
        disagreed: with no.
        estimate: share of its pairs that are thought to be right.
        examples: primary keys of pairs that it brings out, three at most.
        counter_examples: of pairs that were judged no, or that it leaves out narrowly.
        says: sentences: why these columns, how values are written, what agrees.
    """

    pairs: int
    left_coverage: float
    right_coverage: float
    agreed: int
    disagreed: int
    estimate: float
    examples: tuple[tuple[KeyValues, KeyValues], ...] = ()
    counter_examples: tuple[tuple[KeyValues, KeyValues], ...] = ()
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InferredPass:
    """A pass of a recipe.

    Attributes:
        document: as in a recipe's `passes`, with `match_sql` unless it adds amounts up.
        says: the rule as one sentence.
    """

    document: Mapping[str, Any]
    says: str
    evidence: Evidence

    @property
    def name(self) -> str:
        """Its name in the evidence of a run."""
        return str(self.document["name"])


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was inferred.

    Attributes:
        left_key: columns that identify a left row; empty if no three columns do.
        passes: from strict to loose; empty if nothing is plausible.
        amounts: the recipe's `amounts`, None where no columns are ones.
        left_coverage: share of the left rows of the sample that have a match.
        next_question: None where no answer would change anything.
        tried: sentences about what was tried and did not do, nearest misses first.
        mappings: columns of both sides that go together.
    """

    left_key: tuple[str, ...]
    right_key: tuple[str, ...]
    passes: tuple[InferredPass, ...]
    amounts: Mapping[str, Any] | None
    left_coverage: float
    right_coverage: float
    left_profiles: tuple[ColumnProfile, ...]
    right_profiles: tuple[ColumnProfile, ...]
    next_question: Question | None
    tried: tuple[str, ...] = ()
    mappings: tuple[FieldMapping, ...] = ()
