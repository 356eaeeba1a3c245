"""What requests and answers look like, for the OpenAPI description.

Answers are made by `kalla_core.jobs.document` and its kin and not checked against these on the way
out; the tests do that. Requests are read by `kalla_core.recipe`, which tells more of what is wrong
than a schema can.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kalla_core.inspection.preview import DEFAULT_ROWS, MAX_ROWS
from kalla_core.jobs.model import JobStatus
from kalla_core.recipe.document import FilterDocument, Types
from kalla_core.recipe.fields import Text
from kalla_core.recipe.format_document import FormatDocument


class ErrorDetails(BaseModel):
    """Why a request failed."""

    code: str = Field(description="Stable word, the same on every wire.", examples=["queue_full"])
    message: str = Field(description="One readable paragraph, without secrets.")
    details: list[dict[str, Any]] = Field(
        description="The faults of a recipe or a parameter; else at most one object."
    )


class ErrorDocument(BaseModel):
    """An error."""

    error: ErrorDetails


class AcceptedDocument(BaseModel):
    """A job that was stored and will be run."""

    run_id: str
    status: Literal["accepted"]


class StageDocument(BaseModel):
    """How far one stage has come; in `staging` there is one for each source."""

    stage: str = Field(examples=["staging", "matching", "writing_results"])
    source: str | None
    progress: float | None
    fragments_done: int
    fragments_total: int
    rows_done: int
    rows_total: int | None
    bytes_done: int
    bytes_total: int | None


class CountsDocument(BaseModel):
    """Rows of the evidence, as far as they are known."""

    matched_count: int | None = Field(description="Rows of matched.")
    unmatched_left_count: int | None
    unmatched_right_count: int | None
    matched_left_count: int | None = Field(description="Distinct rows of the left source.")
    matched_right_count: int | None
    total_left: int | None
    total_right: int | None
    left_multiple_match_count: int | None = Field(description="Rows in two matches or more.")
    right_multiple_match_count: int | None
    matched_group_count: int | None = Field(
        description="Matches, where rows of matched say to which they belong."
    )


class ExecutorShareDocument(BaseModel):
    """What one executor has done for a job: the attempts that count, and those under way."""

    executor_id: str
    fragments_done: int
    fragments_running: int
    rows: int = Field(description="Read from sources, joined and settled.")
    fetched_bytes: int = Field(description="Taken from other executors.")


class BothSidesDocument(BaseModel):
    """Source rows of either side."""

    left: int
    right: int


class PassAmountDocument(BaseModel):
    """Amounts that a pass consumed, exact, as texts."""

    currency: str | None
    left: str
    right: str


class PassDocument(BaseModel):
    """What one pass did."""

    name: str
    kind: str = Field(description="`match_sql` or `subset_sum`.")
    cardinality: str | None
    accept: str = Field(description="`auto` or `suggest`.")
    candidates: int = Field(description="Distinct pairs that it looked at.")
    accepted: int = Field(description="Pairs of matched.")
    held: int = Field(description="Pairs of ambiguous.")
    suggested: int = Field(description="Pairs of suggested.")
    rows: BothSidesDocument = Field(description="That it consumed.")
    left_over: BothSidesDocument = Field(description="That no pass had consumed behind it.")
    amounts: list[PassAmountDocument]
    notes: list[str]


class JobErrorDocument(ErrorDetails):
    """Why a job failed or was cancelled."""

    stage: str | None


class JobDocument(BaseModel):
    """A job."""

    run_id: str
    recipe_id: str
    status: JobStatus
    stage: str | None
    progress: float | None = Field(description="Of the present stage, 0 to 1.")
    stages: list[StageDocument]
    counts: CountsDocument
    output_path: str
    output_paths: dict[str, str] = Field(
        description="Path of each output once the job has succeeded; one that ends in `/` is a "
        "folder of part files."
    )
    error: JobErrorDocument | None
    accepted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    durations_s: dict[str, float]
    attempt: int = Field(description="Try at the whole job, from 1; 0 while it is queued.")
    engine: str | None
    strategy: str | None
    executors: list[str]
    workers: list[ExecutorShareDocument] = Field(description="In the order of `executors`.")
    shuffled_bytes: int = Field(description="Bytes that went from executor to executor.")
    warnings: list[str]
    passes: list[PassDocument] = Field(
        description="What each pass did, once the job has succeeded; none of a plain join."
    )


class JobPageDocument(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobDocument]
    cursor: str | None = Field(description="Of the next page; null when there is none.")


class ExecutorDocument(BaseModel):
    """An executor and its load."""

    executor_id: str
    address: str
    version: str
    state: str
    slots: int
    slots_busy: int
    registered_at: datetime
    last_seen_at: datetime
    memory_bytes: int
    spool_bytes: int
    fetched_bytes: int
    served_bytes: int


class ExecutorsDocument(BaseModel):
    """The executors that are registered."""

    executors: list[ExecutorDocument]


class FaultDocument(BaseModel):
    """One thing wrong with a recipe."""

    code: str
    path: str = Field(examples=["sources.left.primary_key[0]"])
    message: str
    details: dict[str, Any]


class ValidationDocument(BaseModel):
    """What was found out about a recipe."""

    valid: bool
    faults: list[FaultDocument]
    warnings: list[str]
    sources: dict[str, dict[str, str]] = Field(description="Columns and types, by alias.")


class KeyDocument(BaseModel):
    """Two expressions that must be equal."""

    left: str
    right: str


class RuleDocument(BaseModel):
    """One way to be a pair; a UNION and an OR have several."""

    name: str = Field(description="As `Branch 2 of the UNION`; empty where there is one rule only.")
    keys: list[KeyDocument]
    conditions: list[str]
    beyond: list[str] = Field(description="What it asks for that no pair alone can tell.")


class ExplanationDocument(BaseModel):
    """How a recipe would be run, and why so."""

    strategy: Literal["copartition", "broadcast", "single"]
    why: list[str]
    identification: str
    keys: list[KeyDocument]
    conditions: list[str]
    rules: list[RuleDocument]
    buckets: int | None
    arrow_bytes: int | None
    memory_limit_bytes: int
    warnings: list[str]
    plan: str
    groups: Literal["pairs", "members"]


class PreviewRequest(BaseModel):
    """A source to look at."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"examples": [{"uri": "/data/invoices.csv", "rows": 5}]},
    )

    uri: Text
    rows: Annotated[int, Field(ge=1, le=MAX_ROWS)] = DEFAULT_ROWS
    types: Types = Field(default_factory=dict, description="Column to type word.")
    filters: list[FilterDocument] = Field(default_factory=list)
    format: FormatDocument | None = Field(None, description="How a CSV source is written.")
    guess: bool = Field(False, description="Find out how it is written, what `format` says aside.")


class ColumnDocument(BaseModel):
    """A column of a source."""

    name: str
    type: str


class GuessDocument(BaseModel):
    """How a source seems to be written."""

    file_format: str | None = Field(
        None,
        description="What the file is, for `?format=` in its URI, where its name does not say.",
    )
    format: dict[str, Any] = Field(description="The `format` that reads it.")
    types: dict[str, str] = Field(description="The `types` that it needs beside.")
    evidence: list[str]
    undecidable: list[str] = Field(description="What its bytes do not tell.")
    instead_of: str | None = Field(description="Why it was not read as the request says.")


class PreviewDocument(BaseModel):
    """What a source holds."""

    uri: str
    columns: list[ColumnDocument]
    row_count: int | None
    row_count_exact: bool
    rows: list[dict[str, Any]]
    notes: list[str] = Field(
        description="What is worth knowing of how it was read: columns renamed or filled, a value "
        "that made a column text, and the format that would read it."
    )
    guess: GuessDocument | None = Field(
        description="How it was read, where that was asked for or it could not be read otherwise."
    )


class HealthDocument(BaseModel):
    """The coordinator is alive."""

    status: Literal["ok"]


class ReadinessDocument(BaseModel):
    """Whether a job could be taken now."""

    ready: bool
    reason: str | None


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of the errors that a call may answer with."""
    described = {status: _ERRORS[status] for status in (*statuses, 401)}
    return {
        status: {"model": ErrorDocument, "description": text}
        for status, text in sorted(described.items())
    }


_ERRORS = {
    400: "The body is no JSON.",
    401: "No token, or a wrong one.",
    403: "A path or host that this coordinator may not reach.",
    404: "No such job.",
    406: "None of the formats that the client accepts.",
    409: "The job, or another one, is in a state that does not allow it.",
    413: "More bytes than a request may have.",
    422: "Something in the request is wrong; the details say what and where.",
    429: "Too many wait already; `Retry-After` says when to come back.",
    503: "Not now; `Retry-After` says when to come back.",
    504: "A source did not answer in time.",
}  # fmt: skip
