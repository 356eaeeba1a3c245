"""What metadata.json says of a reconciliation, beside what it says of every run.

A run whose recipe has passes (or `cardinality`, `rank`, ... beside its match SQL), `amounts` or
`compare` adds up to three fields to the document; a plain join adds none of them.

    "passes": [{
        "name": "reference", "kind": "match_sql" | "subset_sum", "cardinality": "1:N" | null,
        "accept": "auto" | "suggest",
        "candidates": 120,                       distinct pairs that the pass looked at
        "accepted": 80,                          pairs of matched; 0 where accept is suggest
        "held": 12,                              pairs of ambiguous
        "suggested": 0,                          pairs of suggested
        "rows": {"left": 80, "right": 95},       source rows that it consumed
        "left_over": {"left": 20, "right": 5},   source rows that no pass had consumed behind it
        "amounts": [{"currency": "EUR", "left": "100.00", "right": "99.98"}],   that it consumed
        "notes": ["..."]
    }, ...]
    "control_totals": {
        "left": [{"currency": "EUR",
                  "rows": {"total": 100, "matched": 80, "unmatched": 20, "excluded": 3 | null,
                           "without_amount": 0},
                  "amounts": {"total": "1000.00", "matched": "800.00", "rest": "0.00",
                              "unmatched": "200.00"}}],
        "right": [...],
        "bridge": [{"currency": "EUR", "left_total": "1000.00", "right_total": "999.98",
                    "left_unmatched": "200.00", "right_unmatched": "200.00",
                    "left_rest": "0.00", "right_rest": "0.00", "differences": "0.02"}]
    }
    "compared": [{"left": "status", "right": "state", "tolerance": "0.01" | null,
                  "equal": 70, "different": 10, "null_against_value": 2,
                  "largest_difference": "0.50" | null,
                  "examples": [{"left_key": "1", "right_key": "7", "left": "a", "right": "b"}]}]

Amounts are texts, exact, with as many decimals as their column has. `currency` is null where the
recipe names none, and of rows that have none. Rows that filters excluded were not read: they are
counted, once, in the first entry of a side, and are in no total. Of compared columns,
`null_against_value` is part of `different`; `largest_difference` is there for numbers. The bridge
is `left_total - right_total = left_unmatched - right_unmatched + differences`. Where passes leave a
`rest` of rows that are matched in part, and there alone, that is told: `total = matched + rest +
unmatched`, `left_rest - right_rest` is added to the right of the bridge, and `rows` has `partly`,
how many of those matched they are. What a pass consumed is whole rows, with their rests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kalla_core.jobs.passes import PassFigures, pass_document, pass_of

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a run that reconciles did; None and empty for what the recipe does not ask for."""

    passes: tuple[PassFigures, ...] = ()
    control_totals: JsonObject | None = None
    compared: tuple[JsonObject, ...] = ()


def with_excluded(found: Reconciliation, excluded: Mapping[str, int | None]) -> Reconciliation:
    """Return what a run did with the rows that filters left out, by side; None for unknown."""
    if found.control_totals is None:
        return found
    totals = dict(found.control_totals)
    for side, count in excluded.items():
        first, *others = totals[side] or [None]
        if first is not None:
            totals[side] = [{**first, "rows": {**first["rows"], "excluded": count}}, *others]
    return replace(found, control_totals=totals)


def to_fields(found: Reconciliation | None) -> dict[str, Any]:
    """Return the fields of metadata.json; none of a plain join."""
    if found is None:
        return {}
    fields: dict[str, Any] = {}
    if found.passes:
        fields["passes"] = [pass_document(one) for one in found.passes]
    if found.control_totals is not None:
        fields["control_totals"] = found.control_totals
    if found.compared:
        fields["compared"] = list(found.compared)
    return fields


def from_fields(document: Mapping[str, Any]) -> Reconciliation | None:
    """Return what `to_fields` wrote; None of a plain join.

    Raises:
        TypeError: a pass lacks a field, or has one too many.
    """
    if not any(name in document for name in ("passes", "control_totals", "compared")):
        return None
    passes = tuple(pass_of(one) for one in document.get("passes", ()))
    return Reconciliation(
        passes, document.get("control_totals"), tuple(document.get("compared", ()))
    )
