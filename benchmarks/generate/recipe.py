"""The recipe of a generated data set, as `kalla run` takes it."""

from __future__ import annotations

from typing import Any

from benchmarks.shapes import (
    LEFT_KEY,
    MATCH_COLUMNS,
    RIGHT_KEY,
    SHAPES,
    Columns,
    Format,
    PatternName,
)


def recipe_document(name: PatternName, format_: Format) -> dict[str, Any]:
    """Return the recipe over `left` and `right` files beside it; CSV with its types."""
    shape = SHAPES[name]
    return {
        "recipe_id": f"bench-{name.replace('_', '-')}",
        "name": f"Invoices and payments, {name}",
        "match_sql": f"SELECT {MATCH_COLUMNS} FROM left_src l JOIN right_src r"
        f" ON {shape.rule.kalla}",
        "match_description": shape.rule.text,
        "sources": {
            "left": _source("invoices", f"left.{format_}", LEFT_KEY, shape.left, format_),
            "right": _source("payments", f"right.{format_}", RIGHT_KEY, shape.right, format_),
        },
    }


def _source(alias: str, uri: str, key: str, columns: Columns, format_: Format) -> dict[str, Any]:
    source = {"alias": alias, "type": "file", "uri": uri, "primary_key": [key]}
    return source | ({"types": dict(columns)} if format_ is Format.CSV else {})
