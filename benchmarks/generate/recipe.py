"""The recipe of a generated data set, as `kalla run` takes it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from benchmarks.generate.files import Format
from benchmarks.generate.patterns import Pattern

LEFT_KEY = "invoice_id"
RIGHT_KEY = "payment_id"
MATCH_COLUMNS = "l.invoice_id, r.payment_id, l.amount, r.paid_amount"


def recipe_document(name: str, pattern: Pattern, format_: Format) -> dict[str, Any]:
    """Return the recipe over `left` and `right` files beside it."""
    return {
        "recipe_id": f"bench-{name.replace('_', '-')}",
        "name": f"Invoices and payments, {name}",
        "match_sql": f"SELECT {MATCH_COLUMNS} FROM left_src l JOIN right_src r"
        f" ON {pattern.rule.kalla}",
        "match_description": pattern.rule.text,
        "sources": {
            "left": _source("invoices", "left", LEFT_KEY, pattern.left_schema, format_),
            "right": _source("payments", "right", RIGHT_KEY, pattern.right_schema, format_),
        },
    }


def _source(alias: str, stem: str, key: str, schema: pa.Schema, format_: Format) -> dict[str, Any]:
    source: dict[str, Any] = {
        "alias": alias,
        "type": "file",
        "uri": f"{stem}.{format_}",
        "primary_key": [key],
    }
    if format_ is Format.CSV:
        source["types"] = {field.name: _type_text(field.type) for field in schema}
    return source


def _type_text(type_: pa.DataType) -> str:
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    return {pa.date32(): "date", pa.int64(): "int64", pa.string(): "text"}[type_]
