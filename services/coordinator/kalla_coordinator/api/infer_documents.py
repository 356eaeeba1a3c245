"""Inferring and trying recipes over HTTP: what is asked and what is answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kalla_core.recipe.document import FilterDocument, Types
from kalla_core.recipe.fields import Text
from kalla_core.recipe.format_document import FormatDocument

_STRICT = ConfigDict(strict=True, extra="forbid")
_Rows = Annotated[int, Field(ge=0, le=100)]


class InferredSource(BaseModel):
    """A source of a recipe to be."""

    model_config = _STRICT

    alias: Text
    uri: Text
    types: Types = Field(default_factory=dict, description="Column to type word.")
    filters: list[FilterDocument] = Field(default_factory=list)
    format: FormatDocument | None = Field(
        None, description="How it is written; found out where neither this nor `types` is given."
    )


class InferredSources(BaseModel):
    """Both sides."""

    model_config = _STRICT

    left: InferredSource
    right: InferredSource


class JudgedPair(BaseModel):
    """Two rows, by the values of their primary keys, and whether they belong together."""

    model_config = _STRICT

    left: Annotated[list[Any], Field(min_length=1, max_length=3)]
    right: Annotated[list[Any], Field(min_length=1, max_length=3)]
    judgement: Literal["yes", "no", "unsure"]


class InferRequest(BaseModel):
    """Two sources, and what is known of pairs of their rows."""

    model_config = _STRICT

    sources: InferredSources
    judged: Annotated[list[JudgedPair], Field(max_length=500)] = Field(default_factory=list)
    rows: _Rows = Field(10, description="To show of each set of the trial, at most.")


class TryRequest(BaseModel):
    """A recipe to try on samples."""

    model_config = _STRICT

    recipe: dict[str, Any]
    judged: Annotated[list[JudgedPair], Field(max_length=500)] = Field(default_factory=list)
    rows: _Rows = Field(10, description="To show of each set of the trial, at most.")


class TriedDocument(BaseModel):
    """What became of a recipe on samples."""

    faults: list[dict[str, Any]]
    sample: dict[str, Any] | None = Field(
        description="Rows looked at of each side, and of how many."
    )
    tried: dict[str, int] | None = Field(description="Rows that the engine matched, and left open.")
    trial: dict[str, Any] | None = Field(
        description="`counts`, rows of each set, `judged`: whether each pair came out as said,"
        " figures of the `passes`, `reasons` why rows are open, and `warnings`."
    )


class InferredDocument(BaseModel):
    """A recipe that was inferred, and what speaks for it."""

    recipe: dict[str, Any] | None = Field(description="Null where no rule is plausible.")
    primary_keys: dict[str, list[str]]
    passes: list[dict[str, Any]] = Field(description="From strict to loose, each with evidence.")
    sample: dict[str, Any] = Field(description="Rows looked at of each side, and of how many.")
    tried: dict[str, int] | None
    next_question: dict[str, Any] | None = Field(
        description="The pair whose answer tells most; null where none would change anything."
    )
    near_misses: list[str]
    left_out: list[str]
    mappings: list[dict[str, Any]] = Field(
        description="Columns of both sides that go together, each with its `role` and SQL."
    )
    undecidable: list[str]
    profiles: dict[str, list[dict[str, Any]]] = Field(description="Of each side's columns.")
    trial: dict[str, Any] | None
