"""A run whose every text that data, names and recipes can bring is meant to do harm."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books
from tests.support.runs import run_in_process

TEXTS = (
    "<script>window.harm=1</script>",
    '"><img src=x onerror="window.harm=1">',
    "</script></style></title></pre><svg onload=window.harm=1>",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://harm.example")',
    "+1+1",
    "@SUM(1)",
    "-2+3",
    "\u202egnp.exe\u2066",
    "😀 שלום \u0007",
    "javascript:window.harm=1",
    "{{ 7*7 }}{% raw %}",
)
"""Markup, formulas of spreadsheets, turned directions, templates."""

PASSES = tuple(" ".join(TEXTS[start::3]) for start in range(3))


def hostile_run(folder: Path) -> Path:
    """Run a recipe with passes over such files; return the evidence.

    Each text stands in a value, in the name of a column, and in the name of a pass; some in the
    name of a file, of the recipe, in its description and in comments of its SQL.
    """
    columns = [f"{text} {number}" for number, text in enumerate(TEXTS)]
    name = "<img src=x onerror=window.harm=1> =cmd.csv"
    left = [[f"L{n} {t}", t, f"{n + 1}.00", *TEXTS] for n, t in enumerate(TEXTS)]
    right = [[f"R{n} {t}", t, f"{n + 1}.50", *TEXTS] for n, t in enumerate(TEXTS[:8])]
    right.append(["R twin", TEXTS[0], "1.50", *TEXTS])
    right.append([f"R far {TEXTS[2]}", TEXTS[8], "99.00", *TEXTS])
    for side, rows in (("left", left), ("right", right)):
        with (folder / f"{side} {name}").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["=id", "@ref", "amount <b>", *columns], *rows])
    comment = f"/* {TEXTS[0]} {TEXTS[2]} {TEXTS[3]} */"
    sql = (
        f'SELECT {comment} l.*, r."=id" AS "=other", abs(l."amount <b>" - r."amount <b>") AS "=off"'
        ' FROM l JOIN r ON l."@ref" = r."@ref" AND l."amount <b>" + 0.5 = r."amount <b>"'
    )
    recipe: dict[str, Any] = {
        "recipe_id": "hostile",
        "name": TEXTS[1],
        "description": TEXTS[2],
        "passes": [
            {"name": name, "match_sql": sql, "cardinality": "1:1", "rank": ["=off"]}
            for name in PASSES
        ],
        "amounts": {"left": "amount <b>", "right": "amount <b>"},
        "compare": [{"left": columns[0], "right": columns[0]}, {"left": "=id", "right": "=id"}],
        "sources": {
            side: {
                "alias": side[0],
                "type": "file",
                "uri": str(folder / f"{side} {name}"),
                "primary_key": ["=id"],
                "types": {"amount <b>": "decimal(9,2)"},
            }
            for side in ("left", "right")
        },
    }
    run_in_process(load_recipe(Books(folder, recipe).write()), folder / "out")
    return folder / "out"
