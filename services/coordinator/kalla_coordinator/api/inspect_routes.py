"""Recipes and sources looked at over HTTP: validate, explain, preview, infer, try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from kalla_coordinator.api.context import Api
from kalla_coordinator.api.documents import (
    ExplanationDocument,
    PreviewDocument,
    PreviewRequest,
    ValidationDocument,
    errors,
)
from kalla_coordinator.api.infer_documents import (
    InferredDocument,
    InferredSource,
    InferRequest,
    TriedDocument,
    TryRequest,
)
from kalla_coordinator.api.requests import INFER_BODY, PREVIEW_BODY, RECIPE_BODY, TRY_BODY
from kalla_core.errors import RecipeInvalid
from kalla_core.inspection.documents import validation_document
from kalla_core.inspection.request import Kind
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import checked, parse_document
from kalla_core.recipe.write import to_document
from kalla_core.serving.bodies import made_of
from kalla_core.validate import Validation

_ERRORS = errors(400, 403, 413, 422, 429, 503, 504)


def inspect_routes(api: Api) -> APIRouter:
    """Return the routes that look at recipes and sources."""
    routes = APIRouter(prefix="/api", tags=["recipes and sources"])

    @routes.post(
        "/validate",
        responses={200: {"model": ValidationDocument}, **_ERRORS},
        openapi_extra={"requestBody": RECIPE_BODY},
    )
    async def validate_recipe(request: Request) -> Response:
        """Check a recipe against its sources, and list everything that is wrong with it."""
        recipe = await made_of(request, recipe_or_faults)
        return JSONResponse(await validated(api, recipe))

    @routes.post(
        "/explain",
        responses={200: {"model": ExplanationDocument}, **_ERRORS},
        openapi_extra={"requestBody": RECIPE_BODY},
    )
    async def explain_recipe(request: Request) -> Response:
        """Say how a recipe would be run, and why so."""
        recipe = await made_of(request, parse_document)
        return JSONResponse(await api.inspector.ask(Kind.EXPLAIN, to_document(recipe)))

    @routes.post(
        "/sources/preview",
        responses={200: {"model": PreviewDocument}, **_ERRORS},
        openapi_extra={"requestBody": PREVIEW_BODY},
    )
    async def preview_source(request: Request) -> Response:
        """Show the columns, the types and the first rows of a source, filters applied."""
        asked = await made_of(request, preview_of)
        return JSONResponse(await api.inspector.ask(Kind.PREVIEW, asked))

    @routes.post(
        "/infer",
        responses={200: {"model": InferredDocument}, **_ERRORS},
        openapi_extra={"requestBody": INFER_BODY},
    )
    async def infer_recipe(request: Request) -> Response:
        """Infer a recipe for two sources, try it on samples, and say which pair to judge next."""
        asked = await made_of(request, inference_of)
        return JSONResponse(await api.inspector.ask(Kind.PROPOSE, asked))

    @routes.post(
        "/try",
        responses={200: {"model": TriedDocument}, **_ERRORS},
        openapi_extra={"requestBody": TRY_BODY},
    )
    async def try_recipe(request: Request) -> Response:
        """Run a recipe on samples whose rows have partners; nothing is kept."""
        asked = await made_of(request, trial_of)
        return JSONResponse(await api.inspector.ask(Kind.TRY, asked))

    return routes


async def validated(api: Api, recipe: Recipe | RecipeInvalid) -> dict[str, Any]:
    """Return what is wrong with a recipe, looked at together with its sources if it is one."""
    if isinstance(recipe, RecipeInvalid):
        return validation_document(Validation(recipe.faults, (), {}, None))
    return await api.inspector.ask(Kind.VALIDATE, to_document(recipe))


def recipe_or_faults(document: object) -> Recipe | RecipeInvalid:
    """Return a recipe, or all that is wrong with what is none."""
    try:
        return parse_document(document)
    except RecipeInvalid as error:
        return error


def preview_of(document: object) -> Mapping[str, Any]:
    """Return what a source is to be looked at by.

    Raises:
        RecipeInvalid: with all faults.
    """
    shaped, faults = checked(document, PreviewRequest)
    if shaped is None:
        raise RecipeInvalid(faults, "request")
    return shaped.model_dump(mode="json", exclude={"format"}) | {"format": _written(shaped)}


def inference_of(document: object) -> Mapping[str, Any]:
    """Return what a recipe is to be inferred from.

    Raises:
        RecipeInvalid: with all faults.
    """
    shaped, faults = checked(document, InferRequest)
    if shaped is None:
        raise RecipeInvalid(faults, "request")
    sides = {"left": shaped.sources.left, "right": shaped.sources.right}
    sources = {
        side: one.model_dump(mode="json", exclude={"format"}) | {"format": _written(one)}
        for side, one in sides.items()
    }
    return shaped.model_dump(mode="json", exclude={"sources"}) | {"sources": sources}


def trial_of(document: object) -> Mapping[str, Any]:
    """Return what recipe is to be tried; its own faults are told by who tries it.

    Raises:
        RecipeInvalid: with all faults of the request.
    """
    shaped, faults = checked(document, TryRequest)
    if shaped is None:
        raise RecipeInvalid(faults, "request")
    asked = shaped.model_dump(mode="json")
    return asked | {"recipe": to_document(parse_document(asked["recipe"]))}


def _written(source: PreviewRequest | InferredSource) -> dict[str, Any] | None:
    """Return a format; what it does not say stays unsaid: null is no value of all its fields."""
    if source.format is None:
        return None
    return source.format.model_dump(mode="json", by_alias=True, exclude_unset=True)
