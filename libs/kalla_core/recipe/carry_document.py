"""The JSON of `carry`: which evidence the open items of a source come from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from kalla_core.recipe.fields import MAX_TEXT, Strict, Text, Uri
from kalla_core.recipe.model import Carry


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError(
            "invalid_date", "Must be a day, as 2026-01-31, not `{text}`.", {"text": text}
        ) from None
    return text


class CarryDocument(Strict):
    """The open items of an earlier run."""

    evidence: Uri
    amount: Text | None = None
    age_from: Text | None = None
    as_of: Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_day)] | None = None


def carry_of(document: CarryDocument | None, amount: str | None) -> Carry | None:
    """Return what a document says.

    Args:
        amount: the column of the recipe's control totals, for a document that names none.
    """
    if document is None:
        return None
    day = None if document.as_of is None else date.fromisoformat(document.as_of)
    return Carry(document.evidence, document.amount or amount, document.age_from, day)


def carry_document(carry: Carry | None) -> Mapping[str, Any] | None:
    """Return what `carry_of` read."""
    if carry is None:
        return None
    fields = {
        "evidence": carry.evidence,
        "amount": carry.amount,
        "age_from": carry.age_from,
        "as_of": None if carry.as_of is None else carry.as_of.isoformat(),
    }
    return {name: value for name, value in fields.items() if value is not None}
