"""`kalla.v1.Evidence` and `kalla.v1.Recipes` over gRPC: the same as their kin over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc

from kalla_coordinator.api.accept import accepted
from kalla_coordinator.api.context import Api
from kalla_coordinator.api.evidence_routes import MAX_LIMIT, MOST_PARTS
from kalla_coordinator.api.inspect_routes import preview_of, recipe_or_faults, validated
from kalla_coordinator.api.reading import Pieces, Reading
from kalla_coordinator.api.results import EvidenceSet
from kalla_core.answers.encode import Format
from kalla_core.errors import InvalidSetting
from kalla_core.inspection.request import Kind
from kalla_core.serving.bodies import aside, made_from
from kalla_core.wire.generated import evidence_pb2, evidence_pb2_grpc

EVIDENCE = "kalla.v1.Evidence"
RECIPES = "kalla.v1.Recipes"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def add_evidence(server: grpc.aio.Server, api: Api) -> None:
    """Let a server answer the calls of both services."""
    evidence: Any = evidence_pb2_grpc.add_EvidenceServicer_to_server  # generated without types
    recipes: Any = evidence_pb2_grpc.add_RecipesServicer_to_server
    evidence(_Evidence(api), server)
    recipes(_Recipes(api), server)


class _Evidence(evidence_pb2_grpc.EvidenceServicer):
    """The calls; errors become statuses in `guard`."""

    def __init__(self, api: Api) -> None:
        self._reading = Reading(api)

    async def GetMetadata(  # noqa: N802 - as the proto has it
        self, request: evidence_pb2.GetMetadataRequest, _: Context
    ) -> evidence_pb2.Document:
        return _document(await self._reading.metadata(request.run_id))

    async def GetRows(  # noqa: N802
        self, request: evidence_pb2.GetRowsRequest, _: Context
    ) -> AsyncGenerator[evidence_pb2.Piece, None]:
        if request.limit > MAX_LIMIT:
            raise InvalidSetting(f"limit can be at most {MAX_LIMIT}, not {request.limit}.")
        which, chosen = _set(request.set), _format(request.media_type)
        pieces = await self._reading.rows(request.run_id, which, chosen, request.limit or None)
        async for piece in _sent(pieces):
            yield piece

    async def GetFile(  # noqa: N802
        self, request: evidence_pb2.GetFileRequest, __: Context
    ) -> AsyncGenerator[evidence_pb2.Piece, None]:
        _, pieces = await self._reading.file(request.run_id, request.name)
        async for piece in _sent(pieces):
            yield piece

    async def GetWhy(  # noqa: N802
        self, request: evidence_pb2.GetWhyRequest, _: Context
    ) -> evidence_pb2.Document:
        if not 1 <= len(request.key) <= MOST_PARTS:
            raise InvalidSetting(f"key has 1 to {MOST_PARTS} parts, not {len(request.key)}.")
        if request.side not in ("", "left", "right"):
            raise InvalidSetting(f"There is no side {request.side!r}; there are left and right.")
        found = await self._reading.why(request.run_id, list(request.key), request.side or None)
        return _document(found)


class _Recipes(evidence_pb2_grpc.RecipesServicer):
    def __init__(self, api: Api) -> None:
        self._api = api

    async def ValidateRecipe(  # noqa: N802
        self, request: evidence_pb2.ValidateRecipeRequest, _: Context
    ) -> evidence_pb2.Document:
        recipe = await aside(made_from, request.recipe_json, recipe_or_faults)
        return _document(await validated(self._api, recipe))

    async def PreviewSource(  # noqa: N802
        self, request: evidence_pb2.PreviewSourceRequest, _: Context
    ) -> evidence_pb2.Document:
        asked = await aside(made_from, request.request_json, preview_of)
        return _document(await self._api.inspector.ask(Kind.PREVIEW, asked))


async def _sent(pieces: Pieces) -> AsyncGenerator[evidence_pb2.Piece, None]:
    async with aclosing(pieces):
        async for data in pieces:
            yield evidence_pb2.Piece(data=data)


def _document(found: Mapping[str, Any]) -> evidence_pb2.Document:
    return evidence_pb2.Document(json=json.dumps(found, ensure_ascii=False))


def _set(name: str) -> EvidenceSet:
    try:
        return EvidenceSet(name)
    except ValueError:
        known = ", ".join(EvidenceSet)
        raise InvalidSetting(f"There is no set {name!r}; there are {known}.") from None


def _format(media_type: str) -> Format:
    chosen = accepted(media_type)
    if chosen is None:
        raise InvalidSetting(f"Rows come as {', '.join(Format)}, not as {media_type!r}.")
    return chosen
