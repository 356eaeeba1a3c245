"""Two tables in which candidates compete, and rules for them of every kind."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.support.reconciled import TwoTables, table

COLUMNS = {
    "id": pa.int64(),
    "ref": pa.string(),
    "who": pa.string(),
    "amount": pa.decimal128(12, 2),
    "day": pa.int64(),
    "state": pa.string(),
}
NEAR = (
    "SELECT l.ref, abs(l.amount - r.amount) AS diff, l.day - r.day AS lag FROM l JOIN r"
    " ON l.ref = r.ref AND abs(l.amount - r.amount) <= 4"
)
BY_AMOUNT = "SELECT l.amount, l.day - r.day AS lag FROM l JOIN r ON l.amount = r.amount"
TOTALS = {"left": "amount", "right": "amount", "currency": ["who", "who"]}
COMPARED = [{"left": "state", "right": "state"}, {"left": "amount", "right": "amount",
            "tolerance": "1.00"}]  # fmt: skip

_BEST: Mapping[str, Any] = {"match_sql": NEAR, "rank": ["diff"]}
_BY_LAG: Mapping[str, Any] = {"match_sql": NEAR, "rank": ["lag desc", "diff"]}
_SUMS: Mapping[str, Any] = {
    "name": "sums",
    "kind": "subset_sum",
    "one": "right",
    "block": [["who", "who"]],
    "amount": ["amount", "amount"],
    "tolerance": "0.10",
    "max_items": 3,
    "max_candidates": 14,
}

RULES: Mapping[str, Mapping[str, Any]] = {
    "1:1 with ties held": {**_BEST, "cardinality": "1:1"},
    "1:1 with ties by key": {**_BY_LAG, "cardinality": "1:1", "on_tie": "first"},
    "1:N": {**_BEST, "cardinality": "1:N", "amounts": TOTALS},
    "N:1 within a margin": {**_BEST, "cardinality": "N:1", "margin": 0.5},
    "1:1 without rank": {"match_sql": BY_AMOUNT, "cardinality": "1:1"},
    "N:M with totals": {"match_sql": NEAR, "amounts": TOTALS, "compare": COMPARED},
    "1:1 assigned": {
        "match_sql": NEAR.replace("AS diff", "AS diff, 5 - abs(l.amount - r.amount) AS score"),
        "cardinality": "1:1",
        "rank": ["score desc", "lag"],
        "choose": "assign",
    },
    "groups that balance": {
        "passes": [
            {
                "name": "groups",
                "match_sql": NEAR,
                "group_by": "component",
                "balance": {"left": "amount", "right": "amount", "tolerance": "40.00"},
            }
        ],
        "amounts": TOTALS,
    },
    "passes, one that proposes, sums": {
        "passes": [
            {"name": "ref", **_BEST, "cardinality": "1:1", "margin": 0.25},
            {"name": "amount", "match_sql": BY_AMOUNT, "cardinality": "1:1", "rank": ["lag"]},
            _SUMS,
            {"name": "maybe", **_BY_LAG, "cardinality": "N:1", "accept": "suggest"},
        ],
        "amounts": TOTALS,
        "compare": COMPARED,
    },
    "matches in part": {
        "passes": [
            {"name": "best", **_BEST, "cardinality": "1:1", "rest": {"tolerance": "0.50"}},
            {"name": "groups", "match_sql": NEAR, "group_by": "component", "rest": {}},
            {**_SUMS, "rest": {"tolerance": "0.02"}},
        ],
        "amounts": TOTALS,
    },
    "sums of the left alone": {"passes": [{**_SUMS, "one": "left"}]},
}


def rows(seed: int, count: int) -> pa.Table:
    """Return rows of few references, amounts and days."""
    chosen = random.Random(seed)
    return table(
        [
            (n, f"R{chosen.randrange(count // 3)}", f"W{chosen.randrange(count // 6)}",
             Decimal(chosen.randrange(900, 1500)) / 100, chosen.randrange(5),
             chosen.choice(["open", "paid"]))
            for n in range(count)
        ],
        **COLUMNS,
    )  # fmt: skip


def given(folder: Path, count: int = 90) -> TwoTables:
    """Return two such tables in a folder."""
    return TwoTables(folder).put(rows(1, count), rows(2, count + count // 10))
