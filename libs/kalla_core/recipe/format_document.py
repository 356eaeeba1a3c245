"""The JSON of a source's `format`."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from kalla_core.recipe.moment_formats import check_format
from kalla_core.recipe.source_format import (
    AS_USUAL,
    NO_QUOTE,
    AmountForm,
    DebitSign,
    FixedColumn,
    SignedAmount,
    SourceFormat,
)

MAX_SKIPPED = 1000
MAX_EXPRESSION = 500
MAX_LINE = 100_000
MAX_SHEETS = 10_000
_ALL = "all"
_TAB = {"tab": "\t", "\\t": "\t"}


def _wrong(reason: str) -> PydanticCustomError:
    return PydanticCustomError("invalid_format", "{reason}", {"reason": reason})


def _sign(text: str) -> str:
    sign = _TAB.get(text.lower(), text)
    if len(sign) != 1 or not sign.isascii() or sign in "\r\n\0":
        raise _wrong(f"Must be one ASCII character other than a line break, not {text!r}.")
    return sign


def _delimiter(text: str) -> str:
    sign = _sign(text)
    if sign == '"':
        raise _wrong("Must be one ASCII character other than a quote or a line break.")
    return sign


def _quote(text: str) -> str:
    return text if text == NO_QUOTE else _sign(text)


def _number_sign(text: str) -> str:
    if len(text) != 1 or text.isalnum() or text in "+-()\r\n":
        raise _wrong(f"Must be one character that is no part of numbers, not {text!r}.")
    return text


def _encoding(text: str) -> str:
    try:
        found = codecs.lookup(text)
        "".encode(found.name)
    except (LookupError, UnicodeError):
        raise _wrong(
            f"There is no encoding {text!r}; Python's names are taken, as utf-8, cp1252,"
            " iso-8859-1, utf-16."
        ) from None
    return found.name


def _moment(*, timed: bool) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            check_format(text, timed=timed)
        except ValueError as error:
            raise _wrong(str(error)) from error
        return text

    return check


def _header(value: object) -> object:
    if value is None or isinstance(value, bool) or (isinstance(value, str) and value.strip()):
        return value
    if isinstance(value, int) and 1 <= value <= MAX_SKIPPED:
        return value
    raise _wrong(
        f"Must be a line's number from 1 to {MAX_SKIPPED}, what that line starts with, true or"
        " false."
    )


def _sheet(value: object) -> object:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SHEETS:
        return value
    raise _wrong(f"Must be a sheet's name, or its number from 1, not {value!r}.")


def _expression(text: str) -> str:
    import pyarrow as pa  # takes long to load, and few formats have an expression
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), text)
    except pa.ArrowInvalid as error:
        raise _wrong(f"Must be a regular expression, and `{text}` is none: {error}.") from error
    return text


def _named(text: str) -> str:
    if not text.strip():
        raise _wrong("Must not be empty.")
    return text


def _path(text: str) -> str:
    if not all(text.split(".")):
        raise _wrong(f"Must be names parted by single dots, not {text!r}.")
    return text


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _forms(value: object) -> object:
    return [form.value for form in AmountForm] if value == _ALL else _listed(value)


Sign = Annotated[str, AfterValidator(_sign)]
NumberSign = Annotated[str, AfterValidator(_number_sign)]
Position = Annotated[int, Field(ge=1, le=MAX_LINE)]
Skipped = Annotated[int, Field(ge=0, le=MAX_SKIPPED)]
Words = Annotated[list[str], BeforeValidator(_listed)]
Dates = Annotated[
    list[Annotated[str, AfterValidator(_moment(timed=False))]], BeforeValidator(_listed)
]
Timestamps = Annotated[
    list[Annotated[str, AfterValidator(_moment(timed=True))]], BeforeValidator(_listed)
]
Forms = Annotated[list[Annotated[AmountForm, Field(strict=False)]], BeforeValidator(_forms)]


Expression = Annotated[
    str, Field(max_length=MAX_EXPRESSION), AfterValidator(_named), AfterValidator(_expression)
]
Name = Annotated[str, Field(max_length=MAX_EXPRESSION), AfterValidator(_named)]


class AmountDocument(BaseModel):
    """A signed amount out of a column of credits and one of debits."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    name: Name
    credit: Name
    debit: Name
    debit_sign: Annotated[DebitSign, Field(strict=False)] | None = None

    @field_validator("debit")
    @classmethod
    def _another(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("credit"):
            raise _wrong(f"Must be another column than `credit`, which is {value!r}.")
        return value


class ColumnDocument(BaseModel):
    """A column of a fixed width, by its width or by its first and last character, from 1."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    name: Name | None = None
    width: Position | None = None
    start: Position | None = None
    end: Position | None = None

    @model_validator(mode="after")
    def _placed(self) -> ColumnDocument:
        if (self.width is None) == (self.end is None):
            raise _wrong("Must have either `width` or `end`.")
        if self.name is None and self.width is None:
            raise _wrong("Must have a `name`; only a `width` without one leaves characters out.")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise _wrong("Must not end before it starts.")
        return self


def _fixed(columns: list[ColumnDocument]) -> list[ColumnDocument]:
    try:
        fixed_columns(columns)
    except ValueError as error:
        raise _wrong(str(error)) from error
    return columns


class FormatDocument(BaseModel):
    """How the text of a source is written."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    quote: Annotated[str, AfterValidator(_quote)] | None = None
    escape: Sign | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    decimal: NumberSign | None = None
    thousands: NumberSign | None = None
    dates: Dates | None = Field(None, alias="date")
    timestamps: Timestamps | None = Field(None, alias="timestamp")
    true_words: Words | None = Field(None, alias="true")
    false_words: Words | None = Field(None, alias="false")
    nulls: Words | None = Field(None, alias="null")
    comment: Sign | None = None
    header: Annotated[Any, AfterValidator(_header)] = None
    skip_first: Skipped = 0
    skip_last: Skipped = 0
    trailing_delimiter: bool = False
    amounts: Forms | None = None
    stop: Expression | None = None
    row_number: Name | None = None
    amount: AmountDocument | None = None
    columns: Annotated[list[ColumnDocument], AfterValidator(_fixed)] | None = None
    sheet: Annotated[Any, AfterValidator(_sheet)] = None
    table: Name | None = None
    records: Annotated[Name, AfterValidator(_path)] | None = None

    @field_validator("quote", "escape", "comment")
    @classmethod
    def _differs(cls, value: str | None, info: ValidationInfo) -> str | None:
        taken = {name: info.data.get(name) for name in ("delimiter", "quote", "escape")}
        for name, sign in taken.items():
            if value is not None and value == sign and name != info.field_name:
                raise _wrong(f"Must be another sign than `{name}`.")
        return value

    @field_validator("thousands")
    @classmethod
    def _is_not_decimal(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == (info.data.get("decimal") or "."):
            raise _wrong(
                "Must be another sign than the one before the fraction, which is"
                f" {info.data.get('decimal') or '.'!r}; set `decimal` too."
            )
        return value


def format_of(
    document: FormatDocument | None, beside: AmountDocument | None = None
) -> SourceFormat:
    """Return the format that a document says.

    Args:
        beside: a signed amount that is not said in the document.
    """
    if beside is not None:
        document = (document or FormatDocument.model_validate({})).model_copy(
            update={"amount": beside}
        )
    if document is None:
        return AS_USUAL
    lists = ("dates", "timestamps", "true_words", "false_words", "nulls", "amounts")
    said = {name: getattr(document, name) for name in FormatDocument.model_fields}
    amount = document.amount
    said["amount"] = None if amount is None else SignedAmount(**dict(amount))
    said["columns"] = fixed_columns(document.columns or ())
    return SourceFormat(**said | {name: tuple(said[name] or ()) for name in lists})


def fixed_columns(columns: Sequence[ColumnDocument]) -> tuple[FixedColumn, ...]:
    """Return where columns lie; a width counts from where the column before it ended.

    Raises:
        ValueError: names that are not unique, or no column with a name.
    """
    found, at = [], 0
    for column in columns:
        start = at if column.start is None else column.start - 1
        at = column.end if column.end is not None else start + (column.width or 0)
        if at <= start:
            raise ValueError(f"The column {column.name!r} would end before it starts.")
        if column.name is not None:
            found.append(FixedColumn(column.name, start, at))
    names = [column.name for column in found]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ValueError(f"Two columns are named {double!r}.")
    if columns and not found:
        raise ValueError("No column has a name.")
    return tuple(found)
