"""The recipe that compares two versions of a table.

Where a key identifies a row, equal keys are a pair. Where it repeats, rows of one key are paired
by what they hold, never by where they stand: rows that are equal in all columns first (which of
several equal ones makes no difference), then those that differ in the fewest. Rows of which two
pairs differ in as few are not paired, but held back as ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kalla_core.differences.columns import Columns, Pair
from kalla_core.matching.plans.expressions import quoted
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe, SourceSpec
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.write import source_document

LEFT, RIGHT = "left_table", "right_table"
ALIASES = {Side.LEFT: LEFT, Side.RIGHT: RIGHT}
EQUAL, CHANGED = "equal rows", "changed rows"
DIFFERING = "differing"
_FROM = f"FROM {LEFT} l JOIN {RIGHT} r ON "


def recipe_of(
    sources: Mapping[Side, SourceSpec], columns: Columns, *, key_repeats: bool
) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe that compares two tables, and its document.

    Args:
        sources: of both sides, with types that let their columns be compared.
        key_repeats: some row has the key of another of its side.
    """
    document: dict[str, Any] = {
        "recipe_id": "diff",
        "name": "Two versions of a table",
        "sources": {
            side.word: {
                **source_document(sources[side]),
                "primary_key": [_on(pair, side) for pair in columns.on],
            }
            for side in Side
        },
        **(
            _passes(columns)
            if key_repeats
            else {"match_sql": f"SELECT 1 AS same_key {_keys(columns)}"}
        ),
        "compare": [_compared(pair, columns.tolerances) for pair in columns.compared],
    }
    if not document["compare"]:
        del document["compare"]
    return parse_recipe(document, Path.cwd()), document


def _on(pair: Pair, side: Side) -> str:
    return str((pair.left if side is Side.LEFT else pair.right).name)


def _keys(columns: Columns) -> str:
    return _FROM + " AND ".join(f"{_l(pair)} = {_r(pair)}" for pair in columns.on)


def _passes(columns: Columns) -> dict[str, Any]:
    """Return the passes of tables whose key repeats."""
    in_sql = [pair for pair in columns.compared if pair.in_sql]
    differing = _differing(in_sql, columns.tolerances)
    changed = {
        "name": CHANGED,
        "match_sql": f"SELECT {differing} AS {DIFFERING} {_keys(columns)}",
        "cardinality": "1:1",
        "rank": [DIFFERING],
    }
    if len(in_sql) < len(columns.compared):  # rows that SQL finds equal may differ all the same
        return {"passes": [changed]}
    same = "".join(f" AND {_l(pair)} IS NOT DISTINCT FROM {_r(pair)}" for pair in in_sql)
    equal = {
        "name": EQUAL,
        "match_sql": f"SELECT 0 AS {DIFFERING} {_keys(columns)}{same}",
        "cardinality": "1:1",
        "on_tie": "first",
    }
    return {"passes": [equal, changed]}


def _differing(pairs: Sequence[Pair], tolerances: Mapping[str, str]) -> str:
    """Return how many columns differ, as SQL: sums of sums, which plan faster than a long one."""
    if not pairs:
        return "0"
    if len(pairs) == 1:
        return f"CASE WHEN {_same(pairs[0], tolerances)} THEN 0 ELSE 1 END"
    half = len(pairs) // 2
    first, rest = _differing(pairs[:half], tolerances), _differing(pairs[half:], tolerances)
    return f"({first} + {rest})"


def _same(pair: Pair, tolerances: Mapping[str, str]) -> str:
    equal = f"{_l(pair)} IS NOT DISTINCT FROM {_r(pair)}"
    tolerance = tolerances.get(pair.left.name)
    return (
        equal if tolerance is None else f"({equal} OR abs({_l(pair)} - {_r(pair)}) <= {tolerance})"
    )


def _compared(pair: Pair, tolerances: Mapping[str, str]) -> dict[str, Any]:
    one = {"left": pair.left.name, "right": pair.right.name}
    tolerance = tolerances.get(pair.left.name)
    return one if tolerance is None else {**one, "tolerance": tolerance}


def _l(pair: Pair) -> str:
    return "l." + quoted(pair.left.name)


def _r(pair: Pair) -> str:
    return "r." + quoted(pair.right.name)
