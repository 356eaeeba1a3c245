"""A recipe as JSON has it: names, types and bounds of every field, and nothing between fields.

The pydantic models here are the edge; `kalla_core.recipe.parse` turns them into the frozen model.
Everything is strict: no text becomes a number, and a field nobody knows is a fault.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from kalla_core.errors import InvalidType
from kalla_core.recipe.carry_document import CarryDocument
from kalla_core.recipe.fields import (
    MAX_EXTRAS,
    MAX_FILTERS,
    MAX_PROSE,
    MAX_TEXT,
    Columns,
    PrimaryKey,
    Prose,
    Strict,
    Text,
    Uri,
    at_most,
)
from kalla_core.recipe.format_document import AmountDocument, FormatDocument
from kalla_core.recipe.model import MAX_BUCKETS, EngineChoice, FilterOp, GroupForm, SourceType
from kalla_core.recipe.passes_document import ReconcilingDocument
from kalla_core.recipe.type_words import read_type

MAX_PAIRS_PER_ROW = 1_000_000_000
MAX_PARTITIONS = 1024
MAX_TIMEOUT_S = 366 * 86400
MIN_TIMEOUT_S = 0.001


def _automatic(value: object) -> object:
    return None if value == "auto" else value


def _column_type(text: str) -> str:
    try:
        read_type(text)
    except InvalidType as error:
        raise PydanticCustomError("invalid_type", "{reason}", {"reason": str(error)}) from error
    return text


Count = Annotated[int, Field(ge=1, le=MAX_BUCKETS)]
Buckets = Annotated[Count | None, BeforeValidator(_automatic)]
Types = dict[Text, Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_column_type)]]
# A word of JSON becomes a member of an enumeration; strict would ask for the member itself.
Engine = Annotated[EngineChoice, Field(strict=False)]
Groups = Annotated[GroupForm, Field(strict=False)]
Operator = Annotated[FilterOp, Field(strict=False)]
Kind = Annotated[SourceType, Field(strict=False)]


class FilterDocument(Strict):
    """One condition on the rows of a source."""

    column: Text
    op: Operator
    value: Annotated[Any, Field(json_schema_extra={"items": {}})]  # may be a list

    @field_validator("value")
    @classmethod
    def _fits_operator(cls, value: object, info: ValidationInfo) -> object:
        op = info.data.get("op")
        if op is FilterOp.BETWEEN:
            return _scalars(value, "`between` takes two values: [low, high].", exactly=2)
        if op is FilterOp.IN:
            return _scalars(value, "`in` takes a list of one value or more: [a, b].")
        if op is FilterOp.LIKE and not isinstance(value, str):
            raise _bad_value('`like` takes a text, as "INV-%".')
        if op is not None:
            return _scalar(value, f"`{op}` takes one value: a text, a number, true or false.")
        return value


def _scalars(value: object, sentence: str, exactly: int | None = None) -> tuple[object, ...]:
    if not isinstance(value, list | tuple) or not value or len(value) != (exactly or len(value)):
        raise _bad_value(sentence)
    return tuple(_scalar(item, sentence) for item in value)


def _scalar(value: object, sentence: str) -> object:
    if isinstance(
        value, Decimal
    ):  # how kalla_core.recipe.jsontext hands over what floats cannot hold
        raise _bad_value(
            f"{value} has more digits than a number in JSON keeps; write it in quotes."
        )
    if not isinstance(value, str | int | float | bool):
        raise _bad_value(sentence)
    if isinstance(value, str) and len(value) > MAX_PROSE:
        raise _bad_value(f"A text takes {MAX_PROSE} characters at most, not {len(value)}.")
    if isinstance(value, float) and not _is_finite(value):
        raise _bad_value("NaN and infinity are no values.")
    return value


def _is_finite(value: float) -> bool:
    return value - value == 0


def _bad_value(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("invalid_filter", "{sentence}", {"sentence": sentence})


class TableDocument(Strict):
    """What every source may say, wherever it stands."""

    alias: Text
    columns: Columns | None = Field(None, alias="schema")
    filters: Annotated[list[FilterDocument] | None, at_most(MAX_FILTERS)] = None
    types: Types | None = None
    format: FormatDocument | None = None
    amount: AmountDocument | None = None

    @field_validator("amount")
    @classmethod
    def _said_once(
        cls, value: AmountDocument | None, info: ValidationInfo
    ) -> AmountDocument | None:
        written = info.data.get("format")
        if value is not None and written is not None and written.amount is not None:
            raise PydanticCustomError("invalid_format", "Is said in `format` as well.")
        return value


class ExtraDocument(TableDocument):
    """A small lookup table beside the two sources."""

    type: Kind
    uri: Uri | None = None


class SourceDocument(ExtraDocument):
    """The left or the right source."""

    primary_key: PrimaryKey
    carry: CarryDocument | None = None


class SourcesDocument(Strict):
    """Both sources."""

    left: SourceDocument
    right: SourceDocument


class OptionsDocument(Strict):
    """How a run is carried out."""

    engine: Engine | None = None
    partitions: Annotated[int | None, Field(ge=1, le=MAX_PARTITIONS)] = None
    buckets: Buckets = None
    timeout_s: Annotated[float | None, Field(ge=MIN_TIMEOUT_S, le=MAX_TIMEOUT_S)] = None
    overwrite: bool | None = None
    single_file: bool | None = None
    max_pairs_per_row: Annotated[int | None, Field(ge=1, le=MAX_PAIRS_PER_ROW)] = None


class RecipeDocument(ReconcilingDocument):
    """A whole recipe."""

    recipe_id: Text
    name: Text
    description: Prose | None = None
    match_description: Prose | None = None
    sources: SourcesDocument
    extras: Annotated[list[ExtraDocument] | None, at_most(MAX_EXTRAS)] = None
    groups: Groups | None = None
    options: OptionsDocument | None = None
