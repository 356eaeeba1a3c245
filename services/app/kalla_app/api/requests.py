"""What routes read of their requests, and how lists are paged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request

from kalla_app.store.cursors import cursor, place_of
from kalla_core.recipe.jsontext import read_json
from kalla_core.serving.bodies import aside, body_of, made_of

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=600)]
Check = Annotated[bool, Query()]


async def document_of(request: Request) -> object:
    """Return the JSON of a request.

    Raises:
        RecipeInvalid: it is none.
        RequestTooLarge, RequestRefused: as `body_of`.
    """
    return await made_of(request, lambda document: document)


async def fields_of(request: Request) -> dict[str, Any]:
    """Return the object that a request's JSON is; one that is none, or no body, has no fields."""
    body = await body_of(request)
    document, _ = await aside(read_json, body) if body.strip() else ({}, ())
    return dict(document) if isinstance(document, dict) else {}


def behind(word: str | None) -> str | None:
    """Return the name that a page ended with.

    Raises:
        InvalidSetting: the cursor is none.
    """
    return None if word is None else str(place_of(word, (str,))[0])


def page(
    name: str,
    found: Sequence[T],
    limit: int,
    shown: Callable[[T], Any],
    key: Callable[[T], object],
) -> dict[str, Any]:
    """Return a page of a list of which one more than `limit` was asked for."""
    rows = found[:limit]
    more = len(found) > limit
    return {
        name: [shown(row) for row in rows],
        "cursor": cursor(key(rows[-1])) if more else None,
    }
