"""Which columns of evidence hold amounts, currencies and dates.

A recipe with `amounts` says so. Of others the match SQL tells: what `tolerance_match` compares are
amounts. Else a side's only column of decimals is one. Floats are never added up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import UNMATCHED_FIELDS
from kalla_core.matching.sql.query import Side

_COMPARED = re.compile(
    r"tolerance_(?:match|pct)\s*\(\s*(?:\w+\.)?\"?(\w+)\"?\s*,\s*(?:\w+\.)?\"?(\w+)\"?\s*,", re.I
)
_CURRENCY = re.compile(r"^(currency|ccy|curr|currency_code|iso_currency|waehrung)$", re.I)
_DATE = re.compile(r"date|booked|posted|value|day|time|datum|at$", re.I)


@dataclass(frozen=True, slots=True)
class SideColumns:
    """Columns of one side; each None where there is none, or none that can be told.

    Attributes:
        amount: in the unmatched output; so are `currency` and `moment`, a date or a timestamp.
        matched_amount: in `matched`; so are `matched_currency` and `matched_moment`.
    """

    amount: str | None = None
    currency: str | None = None
    moment: str | None = None
    matched_amount: str | None = None
    matched_currency: str | None = None
    matched_moment: str | None = None


def side_columns(evidence: Evidence) -> dict[Side, SideColumns]:
    """Return the columns of both sides."""
    schemas = {side: _source(evidence, side) for side in Side}
    amounts = _amounts(evidence.metadata.recipe, schemas)
    matched = evidence.schema(MATCHED)
    found = {}
    for side in Side:
        own, other = schemas[side], schemas[side.other]
        currency = _currency(evidence.metadata.recipe, side, own)
        moment = _moment(own)
        found[side] = SideColumns(
            amount=amounts[side],
            currency=currency,
            moment=moment,
            matched_amount=_in_matched(amounts[side], side, own, other, matched),
            matched_currency=_in_matched(currency, side, own, other, matched),
            matched_moment=_in_matched(moment, side, own, other, matched),
        )
    return found


def in_matched(evidence: Evidence, side: Side) -> dict[str, str]:
    """Return the columns of a side that `matched` has, and what they are called there."""
    own, other = _source(evidence, side), _source(evidence, side.other)
    matched = evidence.schema(MATCHED)
    found = {name: _in_matched(name, side, own, other, matched) for name in own.names}
    return {name: there for name, there in found.items() if there is not None}


def _source(evidence: Evidence, side: Side) -> pa.Schema:
    return pa.schema(list(evidence.schema(UNMATCHED[side]))[len(UNMATCHED_FIELDS) :])


def _amounts(
    recipe: Mapping[str, Any], schemas: Mapping[Side, pa.Schema]
) -> dict[Side, str | None]:
    named = recipe.get("amounts")
    if isinstance(named, dict):
        return {side: _if_exact(named.get(side.word), schemas[side]) for side in Side}
    left, right = schemas[Side.LEFT], schemas[Side.RIGHT]
    for a, b in _COMPARED.findall(_sql(recipe)):
        for one, other in ((a, b), (b, a)):
            if _is_exact(one, left) and _is_exact(other, right):
                return {Side.LEFT: one, Side.RIGHT: other}
    return {side: _only_decimal(schemas[side]) for side in Side}


def _sql(recipe: Mapping[str, Any]) -> str:
    passes = recipe.get("passes") or [recipe]
    return "\n".join(str(one.get("match_sql", "")) for one in passes)


def _is_exact(name: str, schema: pa.Schema) -> bool:
    return _if_exact(name, schema) is not None


def _if_exact(name: object, schema: pa.Schema) -> str | None:
    if not isinstance(name, str) or name not in schema.names:
        return None
    kind = schema.field(name).type
    return name if pa.types.is_decimal(kind) or pa.types.is_integer(kind) else None


def _only_decimal(schema: pa.Schema) -> str | None:
    names = [field.name for field in schema if pa.types.is_decimal(field.type)]
    return names[0] if len(names) == 1 else None


def _currency(recipe: Mapping[str, Any], side: Side, schema: pa.Schema) -> str | None:
    named = (recipe.get("amounts") or {}).get("currency")
    if isinstance(named, list) and len(named) == 2:
        name = named[0 if side is Side.LEFT else 1]
        return name if name in schema.names else None
    fitting = [field.name for field in schema if _CURRENCY.match(field.name)]
    return fitting[0] if fitting and pa.types.is_string(schema.field(fitting[0]).type) else None


def _moment(schema: pa.Schema) -> str | None:
    dated = [
        field.name
        for field in schema
        if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type)
    ]
    likely = [name for name in dated if _DATE.search(name)]
    return next(iter([*likely, *dated]), None)


def _in_matched(
    name: str | None, side: Side, own: pa.Schema, other: pa.Schema, matched: pa.Schema
) -> str | None:
    """Return the column of `matched` that a column of a side became, as far as names tell."""
    if name is None:
        return None
    if f"{name}_{side.word}" in matched.names:
        return f"{name}_{side.word}"
    alone = name in matched.names and name not in other.names
    same = alone and matched.field(name).type == own.field(name).type
    return name if same else None
