"""The recipe as the rest of Kalla sees it: frozen, checked for shape, free of JSON.

`kalla_core.recipe.parse` makes these from a document; nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from kalla_core.recipe.passes import Amounts, Compared, Pass
from kalla_core.recipe.source_format import AS_USUAL, SourceFormat

Scalar = str | int | float | bool

MAX_BUCKETS = 4096
"""Of one run."""


class SourceType(StrEnum):
    """What a recipe may call a source; the URI decides the connector."""

    POSTGRES = "postgres"
    MYSQL = "mysql"
    FILE = "file"
    CSV_UPLOAD = "csv_upload"
    S3 = "s3"
    BIGQUERY = "bigquery"
    ELASTICSEARCH = "elasticsearch"


class FilterOp(StrEnum):
    """Operators of a filter."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    BETWEEN = "between"
    IN = "in"
    LIKE = "like"


@dataclass(frozen=True, slots=True)
class Filter:
    """Keep the rows whose `column` stands in relation `op` to `value`.

    `value` is one scalar, two for `between`, one or more for `in`.
    """

    column: str
    op: FilterOp
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Carry:
    """The open items of an earlier run, which a source has beside its own rows.

    Attributes:
        evidence: where the evidence of that run lies: a folder, or `s3://bucket/prefix`.
        amount: the column that open amounts are of; None for that of the recipe's control totals.
        age_from: the column that ages count from; None for the run that left a row open first.
        as_of: the day that ages count to; None for the day on which the run started, in UTC.
    """

    evidence: str
    amount: str | None = None
    age_from: str | None = None
    as_of: date | None = None


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One table as a recipe names it.

    Attributes:
        alias: the name it has in the match SQL, beside `left_src` or `right_src`.
        uri: where it lies; None until the run says (`file` and `csv_upload` only).
        primary_key: the columns that identify a row; empty for extras.
        columns: the recipe's `schema`, columns that must exist; empty when not given.
        types: column to type text, as `decimal(12,2)`, for sources that have no types.
        format: how the source's text is written.
        carry: open items of an earlier run that are rows of it as well; None for none.
    """

    alias: str
    type: SourceType
    uri: str | None
    primary_key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    format: SourceFormat = AS_USUAL
    carry: Carry | None = None


class EngineChoice(StrEnum):
    """Where the fragments of a run are executed."""

    AUTO = "auto"
    LOCAL = "local"
    CLUSTER = "cluster"


class GroupForm(StrEnum):
    """How matched tells of a group that matches a group."""

    PAIRS = "pairs"
    MEMBERS = "members"


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out; none of it changes the rows of the evidence.

    More pairs than `max_pairs_per_row` for each row of both sides, and than a million, stop a run.

    Attributes:
        partitions: parts per source; None lets the engine choose.
        buckets: hash classes; None (`auto`) lets the engine choose.
        max_pairs_per_row: None for the usual bound.
    """

    engine: EngineChoice = EngineChoice.AUTO
    partitions: int | None = None
    buckets: int | None = None
    timeout: timedelta | None = None
    overwrite: bool = False
    single_file: bool = False
    max_pairs_per_row: int | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """Two sources, extras and the rule that says when rows match.

    Attributes:
        match_sql: the match SQL; of several passes that of the first that has one.
        groups: with members, rows of matched also say which match they belong to.
        passes: in order; empty for a plain join, where every pair is a match.
        amounts: the columns that control totals are of.
        compared: columns that should be equal in a match.
    """

    recipe_id: str
    name: str
    match_sql: str
    left: SourceSpec
    right: SourceSpec
    extras: tuple[SourceSpec, ...] = ()
    description: str = ""
    match_description: str = ""
    options: Options = field(default_factory=Options)
    groups: GroupForm = GroupForm.PAIRS
    passes: tuple[Pass, ...] = ()
    amounts: Amounts | None = None
    compared: tuple[Compared, ...] = ()

    @property
    def reconciles(self) -> bool:
        """Whether it asks for more than the pairs of a join."""
        return bool(self.passes or self.amounts is not None or self.compared)
