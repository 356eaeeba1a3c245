"""The kinds of fields that documents are made of: texts, lists and objects, with their bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

# Far more than anybody writes, and little enough to be looked at in a moment.
MAX_TEXT = 4096
MAX_URI = 8192
MAX_SQL = 1 << 18
MAX_PROSE = 1 << 16
MAX_COLUMNS = 10_000
MAX_FILTERS = 1000
MAX_EXTRAS = 64


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty", "Must not be empty.")
    return text


def at_most(count: int) -> BeforeValidator:
    """Refuse a longer list before its items are looked at, each of which may have faults."""

    def check(value: object) -> object:
        if isinstance(value, list | tuple) and len(value) > count:
            raise PydanticCustomError(
                "out_of_range",
                "Takes {count} at most, not {found}.",
                {"count": count, "found": len(value)},
            )
        return value

    return BeforeValidator(check)


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_not_blank)]
Uri = Annotated[str, Field(max_length=MAX_URI), AfterValidator(_not_blank)]
Sql = Annotated[str, Field(max_length=MAX_SQL), AfterValidator(_not_blank)]
Prose = Annotated[str, Field(max_length=MAX_PROSE)]
Columns = Annotated[list[Text], at_most(MAX_COLUMNS)]
PrimaryKey = Annotated[Columns, Field(min_length=1)]


class Strict(BaseModel):
    """A document in which nothing is converted and nothing is unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)
