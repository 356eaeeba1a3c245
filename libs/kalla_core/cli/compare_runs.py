"""`kalla compare-runs`: what changed from one run of a recipe to another."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kalla_core.answers.comparison.changes import (
    Change,
    Comparison,
    SideChanges,
    compare_runs,
    comparison_json,
)
from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.evidence.reader import open_evidence
from kalla_core.matching.sql.query import Side

_WORDS = {
    Change.SAME: "as before",
    Change.NEWLY_MATCHED: "open before, matched now",
    Change.NEWLY_OPEN: "matched before, open now",
    Change.OTHER_PARTNER: "matched with others now",
    Change.OTHER_REASON: "open for another reason now",
    Change.NEW: "new",
    Change.GONE: "gone",
}


def show_comparison(first: str, second: str, *, as_json: bool) -> ExitCode:
    """Compare the evidence of two runs and show what changed.

    Raises:
        KallaError: evidence cannot be read, or is of two recipes.
    """
    with open_evidence(first) as one, open_evidence(second) as other:
        done = compare_runs(one, other)
    if as_json:
        print_json(comparison_json(done))
    else:
        _show(standard_output(), done)
    return ExitCode.SUCCEEDED


def _show(console: Console, done: Comparison) -> None:
    a, b = done.first, done.second
    console.print(f"{b.recipe_id}: {a.started_at:%Y-%m-%d %H:%M:%S}Z, run {a.run_id}")
    console.print(f"{' ' * len(b.recipe_id)}  {b.started_at:%Y-%m-%d %H:%M:%S}Z, run {b.run_id}")
    differs = " and ".join(done.causes) or "nothing"
    console.print(Text.assemble("What differs between them: ", (differs, "bold")))
    if not done.changed:
        console.print("Every row came out as before.")
    for side in Side:
        console.print(Padding(_table(side, done.sides[side]), (1, 0, 0, 2)))
        for (before, now), rows in done.sides[side].reasons.items():
            console.print(Padding(f"{rows:,} open rows: {before}, now {now}", (0, 0, 0, 2)))


def _table(side: Side, changes: SideChanges) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column(f"{changes.alias} ({side.word})")
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("for example", overflow="fold")
    for change, count in changes.counts.items():
        if count or change is Change.SAME:
            keys = ", ".join(changes.examples.get(change, ()))
            table.add_row(_WORDS[change], f"{count:,}", Text(keys))
    return table
