"""What tools take and answer. The schemas that clients see are made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_ROWS = 50
MOST_JUDGED = 200
Json = dict[str, Any]

Short = Annotated[str, Field(min_length=1, max_length=500)]
Sentence = Annotated[str, Field(min_length=1, max_length=2000)]
Sql = Annotated[str, Field(min_length=1, max_length=100_000)]
Uri = Annotated[str, Field(min_length=1, max_length=4000)]
RunId = Annotated[str, Field(min_length=1, max_length=200, description="As `run_recipe` gave it.")]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$", description="As 2026-03-15.")]
Rows = Annotated[int, Field(ge=0, le=MOST_ROWS)]
RecipeDocument = Annotated[Json, Field(description="A recipe, as the manual describes it.")]


class Source(BaseModel):
    """Where a table lies, and how it is written; as in a recipe."""

    model_config = ConfigDict(extra="forbid")

    uri: Uri
    alias: Annotated[Short | None, Field(description="Its name in match SQL.")] = None
    types: Annotated[
        dict[Short, Short] | None, Field(max_length=500, description="Column to type word.")
    ] = None
    filters: Annotated[list[Json] | None, Field(max_length=100)] = None
    format: Annotated[Json | None, Field(description="How a text file is written.")] = None
    primary_key: Annotated[list[Short] | None, Field(max_length=20)] = None


class Judged(BaseModel):
    """A pair of rows that somebody judged."""

    model_config = ConfigDict(extra="forbid")

    pair: Annotated[Short, Field(description="The `pair` of the question it answers.")]
    judgement: Literal["yes", "no", "unsure"]


class Mapping(BaseModel):
    """Columns of both sides that go together."""

    left: list[str]
    right: list[str]
    role: Literal["key", "amount", "day", "equal", "alike", "values"]
    sql: str
    says: str
    share: float | None


class Looked(BaseModel):
    """How much of a source was looked at."""

    alias: str
    rows: int
    looked_at: int
    how: str
    undecidable: list[str]


class FieldMappings(BaseModel):
    """Answer of `detect_field_mappings`."""

    mappings: list[Mapping]
    left: Looked
    right: Looked


class SaidFilter(BaseModel):
    """A filter as a document of a recipe, and in words."""

    column: str
    op: str
    value: Any
    says: str


class Filters(BaseModel):
    """Answer of `parse_nl_filter`."""

    filters: list[SaidFilter]


class Rule(BaseModel):
    """Answer of `nl_to_sql`."""

    match_sql: str
    says: list[str]


class Pass(BaseModel):
    """A rule that was inferred, and what speaks for it."""

    name: str
    says: str
    pairs: int
    estimate: float
    agreed: int
    disagreed: int
    left_coverage: float
    right_coverage: float
    why: list[str]


class Question(BaseModel):
    """A pair that somebody should judge; give the answer in `judged` of the next call."""

    pair: str
    left_row: Json
    right_row: Json
    why: str
    rows: int


class Rules(BaseModel):
    """Answer of `infer_rules`."""

    recipe: Json | None
    valid: bool
    faults: list[Json]
    primary_keys: dict[str, list[str]]
    passes: list[Pass]
    next_question: Question | None
    near_misses: list[str]
    left_out: list[str]
    left: Looked
    right: Looked


class Validation(BaseModel):
    """Answer of `validate_recipe`."""

    valid: bool
    faults: list[Json]
    warnings: list[str]
    columns: Annotated[dict[str, dict[str, str]], Field(description="Types, by source.")]


class Built(BaseModel):
    """Answer of `build_recipe`."""

    recipe: Json
    valid: bool
    faults: list[Json]
    warnings: list[str]


class Side(BaseModel):
    """Rows of one side."""

    alias: str
    rows: int
    matched: int
    unmatched: int


class Tried(BaseModel):
    """Answer of `preview_match`: what the engine found on samples."""

    left: Side
    right: Side
    passes: list[Json]
    matched_rows: list[Json]
    unmatched_left_rows: list[Json]
    unmatched_right_rows: list[Json]
    reasons: dict[str, dict[str, int]]
    warnings: list[str]
    looked_at: Annotated[list[Looked], Field(description="Of the left and the right source.")]


class Run(BaseModel):
    """Answer of `run_recipe` and `get_run`: a run as it now is."""

    run_id: str
    recipe_id: str
    status: str
    stage: str | None
    progress: float | None
    ended: bool
    counts: dict[str, int | None]
    passes: list[Json]
    warnings: list[str]
    error: str | None
    output_path: str


class Explained(BaseModel):
    """Answer of `explain_row`: what became of the rows with a key."""

    run_id: str
    found: list[Json]
