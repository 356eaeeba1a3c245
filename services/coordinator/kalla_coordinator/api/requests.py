"""The bodies of requests for the OpenAPI description, with examples.

Routes read their bodies themselves, to say more of what is wrong; so the description is given here.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from kalla_coordinator.api.documents import PreviewRequest
from kalla_coordinator.api.infer_documents import InferRequest, TryRequest
from kalla_core.ids import RUN_ID_PATTERN
from kalla_core.recipe.document import (
    ExtraDocument,
    Kind,
    OptionsDocument,
    RecipeDocument,
    TableDocument,
)
from kalla_core.recipe.fields import PrimaryKey, Strict, Text
from kalla_core.recipe.passes_document import ReconcilingDocument

_REFERENCE = "#/components/schemas/{model}"

_SQL = (
    "SELECT l.invoice_id, r.payment_id FROM left_src l JOIN right_src r "
    "ON l.reference = r.reference AND tolerance_match(l.amount, r.paid_amount, 0.02)"
)
_PARTS = {
    "run_id": "7d0b8a52-6d56-4b0e-9a3b-6b7a1f0f7c11",
    "match_sql": _SQL,
    "sources": [
        {"alias": "invoices", "uri": "/data/invoices.csv"},
        {"alias": "payments", "uri": "postgres://reader@db/books?table=payments"},
    ],
    "primary_keys": {"invoices": ["invoice_id"], "payments": ["payment_id"]},
    "callback_url": "http://app.example/api/worker",
}
_RECIPE = {
    "recipe_id": "invoice-payment-match",
    "name": "Invoices and payments",
    "match_sql": _SQL,
    "sources": {
        "left": {
            "alias": "invoices",
            "type": "file",
            "uri": "/data/invoices.csv",
            "primary_key": ["invoice_id"],
        },
        "right": {
            "alias": "payments",
            "type": "file",
            "uri": "/data/payments.csv",
            "primary_key": ["payment_id"],
        },
    },
}


class Source(TableDocument):
    """One of the two sources of a job in parts."""

    type: Kind | None = None
    uri: Text


class _Job(Strict):
    run_id: Annotated[str, Field(pattern=f"^{RUN_ID_PATTERN}$")]
    output_path: Text | None = None
    callback_url: Annotated[str, Field(pattern="^https?://[^/]+")] | None = None


class JobInParts(_Job, ReconcilingDocument):
    """A job in parts; the first source is the left one."""

    sources: Annotated[list[Source], Field(min_length=2, max_length=2)]
    primary_keys: dict[Text, PrimaryKey]
    recipe_id: Text | None = None
    name: Text | None = None
    description: str | None = None
    match_description: str | None = None
    extras: list[ExtraDocument] | None = None
    options: OptionsDocument | None = None


class JobOfRecipe(_Job):
    """A job with a whole recipe."""

    recipe: RecipeDocument


def _body(*models: str, examples: dict[str, Any]) -> dict[str, Any]:
    references = [{"$ref": _REFERENCE.format(model=model)} for model in models]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    shown = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": schema, "examples": shown}}
    return {"required": True, "content": content}


JOB_BODY = _body(
    "JobInParts",
    "JobOfRecipe",
    examples={
        "parts": _PARTS,
        "recipe": {"run_id": _PARTS["run_id"], "recipe": _RECIPE},
    },
)
RECIPE_BODY = _body("RecipeDocument", examples={"recipe": _RECIPE})
PREVIEW_BODY = _body("PreviewRequest", examples={"file": {"uri": "/data/invoices.csv", "rows": 5}})

INFER_BODY = _body(
    "InferRequest",
    examples={
        "files": {
            "sources": {
                "left": {"alias": "invoices", "uri": "/data/invoices.csv"},
                "right": {"alias": "payments", "uri": "/data/payments.csv"},
            },
            "judged": [{"left": ["17"], "right": ["4711"], "judgement": "yes"}],
        }
    },
)
TRY_BODY = _body("TryRequest", examples={"recipe": {"recipe": _RECIPE, "rows": 5}})


def request_schemas() -> dict[str, Any]:
    """Return the schemas of all requests, by name."""
    models: list[type[BaseModel]] = [
        JobInParts,
        JobOfRecipe,
        RecipeDocument,
        PreviewRequest,
        InferRequest,
        TryRequest,
    ]
    _, document = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REFERENCE
    )
    return dict(document["$defs"])
