"""A recipe as JSON, changed in places, and the faults it then has."""

import copy
from typing import Any

import pytest

from kalla_core.errors import RecipeInvalid
from kalla_core.recipe.parse import parse_recipe

DOCUMENT: dict[str, Any] = {
    "recipe_id": "invoice-payment-match",
    "name": "Invoice-Payment Reconciliation",
    "description": "Match invoices to payments by reference and amount",
    "match_sql": "SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.id = r.ref",
    "match_description": "References equal, amounts within 2 cents",
    "sources": {
        "left": {
            "alias": "invoices",
            "type": "postgres",
            "uri": "postgres://user:pass@host/db?table=invoices",
            "primary_key": ["invoice_id"],
            "schema": ["invoice_id", "amount"],
            "filters": [{"column": "amount", "op": "between", "value": [1, 2.5]}],
        },
        "right": {
            "alias": "payments",
            "type": "file",
            "uri": "data/payments.csv",
            "primary_key": ["payment_id", "line"],
            "types": {"paid_amount": "decimal(12,2)"},
        },
    },
    "groups": "members",
    "extras": [{"alias": "fx_rates", "type": "file", "uri": "data/fx.csv"}],
    "options": {
        "engine": "local",
        "partitions": 4,
        "buckets": "auto",
        "timeout_s": 3600,
        "overwrite": False,
        "single_file": True,
        "max_pairs_per_row": 1000,
    },
}
ABSENT = object()


def changed(**changes: Any) -> dict[str, Any]:
    """The document above with the fields at some paths set, or taken away."""
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return document


def faults_of(document: Any) -> dict[str, tuple[str, str]]:
    with pytest.raises(RecipeInvalid) as refused:
        parse_recipe(document)
    return {fault.path: (fault.code, fault.message) for fault in refused.value.faults}


def only_fault(document: Any) -> tuple[str, str, str]:
    (found,) = faults_of(document).items()
    path, (code, message) = found
    return code, path, message
