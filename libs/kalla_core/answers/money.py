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

from kalla_core.answers.selected import selected
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
    schemas = {side: source_columns(evidence, side) for side in Side}
    amounts = _amounts(evidence.metadata.recipe, schemas)
    matched = _Matched(evidence, schemas)
    found = {}
    for side in Side:
        own = schemas[side]
        currency = _currency(evidence.metadata.recipe, side, own)
        moment = _moment(own)
        found[side] = SideColumns(
            amount=amounts[side],
            currency=currency,
            moment=moment,
            matched_amount=matched.name_of(amounts[side], side),
            matched_currency=matched.name_of(currency, side),
            matched_moment=matched.name_of(moment, side),
        )
    return found


def in_matched(evidence: Evidence, side: Side) -> dict[str, str]:
    """Return the columns of a side that `matched` has, and what they are called there."""
    schemas = {side: source_columns(evidence, side) for side in Side}
    matched = _Matched(evidence, schemas)
    found = {name: matched.name_of(name, side) for name in schemas[side].names}
    return {name: there for name, there in found.items() if there is not None}


def source_columns(evidence: Evidence, side: Side) -> pa.Schema:
    """Return the columns of a side, as its unmatched output has them."""
    return pa.schema(list(evidence.schema(UNMATCHED[side]))[len(UNMATCHED_FIELDS) :])


def _amounts(
    recipe: Mapping[str, Any], schemas: Mapping[Side, pa.Schema]
) -> dict[Side, str | None]:
    named = recipe.get("amounts")
    if isinstance(named, dict):
        return {side: _if_exact(named.get(side.word), schemas[side]) for side in Side}
    left, right = schemas[Side.LEFT], schemas[Side.RIGHT]
    for a, b in _COMPARED.findall("\n".join(queries_of(recipe))):
        for one, other in ((a, b), (b, a)):
            if _is_exact(one, left) and _is_exact(other, right):
                return {Side.LEFT: one, Side.RIGHT: other}
    return {side: _only_decimal(schemas[side]) for side in Side}


def queries_of(recipe: Mapping[str, Any]) -> list[str]:
    """Return the match SQL of a recipe as its document has it, or that of each pass."""
    passes = recipe.get("passes") or [recipe]
    return [str(one["match_sql"]) for one in passes if one.get("match_sql")]


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


class _Matched:
    """Finds out what columns of the sources are called in `matched`, as far as can be told."""

    def __init__(self, evidence: Evidence, sources: Mapping[Side, pa.Schema]) -> None:
        self._there = evidence.schema(MATCHED)
        self._sources = sources
        recipe = evidence.metadata.recipe
        columns = {side: sources[side].names for side in Side}
        self._called = {
            column: name
            for name, column in selected(queries_of(recipe), table_names(recipe), columns).items()
        }

    def name_of(self, name: str | None, side: Side) -> str | None:
        """Return what `matched` calls a column of a side; None where it has it not."""
        if name is None:
            return None
        if f"{name}_{side.word}" in self._there.names:
            return f"{name}_{side.word}"
        if name not in self._sources[side.other].names and self._has(name, name, side):
            return name
        called = self._called.get((side, name))
        return called if called is not None and self._has(called, name, side) else None

    def _has(self, called: str, name: str, side: Side) -> bool:
        kind = self._sources[side].field(name).type
        return called in self._there.names and self._there.field(called).type == kind


def table_names(recipe: Mapping[str, Any]) -> dict[str, Side]:
    """Return the names that match SQL has for the tables of both sides."""
    sources = recipe.get("sources", {})
    names = {f"{side.word}_src": side for side in Side}
    aliases = ((sources.get(side.word, {}).get("alias"), side) for side in Side)
    return names | {str(alias): side for alias, side in aliases if alias is not None}
