"""`kalla explain`: how a recipe would be run, and why so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.recipes import read_recipe
from kalla_core.inspection.documents import explanation_document
from kalla_core.inspection.explain import Explanation, explain_recipe
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.recipe.model import GroupForm
from kalla_core.settings import load_settings
from kalla_core.units import format_bytes

_IN_WORDS = {
    Strategy.COPARTITION: "by key: each bucket of keys is matched by itself",
    Strategy.BROADCAST: "one side whole beside pieces of the other",
    Strategy.SINGLE: "in one piece",
}


def explain_file(
    path: Path, overrides: Sequence[str], memory_limit: str | None, *, verbose: bool, as_json: bool
) -> ExitCode:
    """Explain a recipe; `verbose` shows the query plan as well.

    Raises:
        KallaError: the recipe, a source or the SQL is wrong.
    """
    settings = load_settings(memory_limit_bytes=memory_limit)
    recipe = read_recipe(path, overrides)
    explanation = explain_recipe(recipe, settings.memory_limit_bytes, settings.slots)
    if as_json:
        print_json(explanation_document(explanation))
    else:
        show_explanation(standard_output(), explanation, verbose=verbose)
    return ExitCode.SUCCEEDED


def show_explanation(console: Console, explanation: Explanation, *, verbose: bool = False) -> None:
    """Print an explanation for people."""
    planned = explanation.planned
    console.print(
        Text.assemble(
            "Strategy: ", (planned.strategy.value, "bold"), f", {_IN_WORDS[planned.strategy]}."
        )
    )
    for sentence in (*planned.why, _layout(explanation), *_groups(explanation)):
        console.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))
    console.print(Padding(_keys(planned), (1, 0, 1, 2), expand=False))
    for warning in planned.warnings:
        console.print(Text.assemble(("Warning: ", "yellow"), warning))
    if verbose:
        console.print("Query plan, as it is run:")
        console.print(Padding(Text(planned.plan_text), (0, 0, 0, 2), expand=False), soft_wrap=True)


def _keys(planned: Planned) -> Table:
    """Return what must be equal and what else must hold, a row each, rule by rule."""
    left, right = (planned.query.side(side).alias for side in Side)
    table = Table.grid(padding=(0, 2))
    for rule in planned.rules:
        if rule.name:
            table.add_row(Text("rule", style="dim"), Text(rule.name))
        for number, key in enumerate(rule.keys):
            head = "equal" if number == 0 else ""
            text = f"{key.text(Side.LEFT)} of {left} = {key.text(Side.RIGHT)} of {right}"
            table.add_row(Text(head, style="dim"), Text(text))
        for number, condition in enumerate(rule.conditions):
            head = "and then" if number == 0 else ""
            table.add_row(Text(head, style="dim"), Text(condition.text))
    return table


def _groups(explanation: Explanation) -> list[str]:
    """Return a sentence about groups where it is not as usual."""
    if explanation.groups is GroupForm.PAIRS:
        return []
    return [
        "A group that matches a group is told by its members, and each match has a match_group."
    ]


def _layout(explanation: Explanation) -> str:
    """Return a sentence about memory and buckets."""
    limit = format_bytes(explanation.memory_limit_bytes)
    if explanation.arrow_bytes is None:
        return f"How many pieces that makes is decided while reading; the memory limit is {limit}."
    have = f"With about {format_bytes(explanation.arrow_bytes)} of rows and a limit of {limit}"
    if explanation.buckets is not None and explanation.buckets > 1:
        return f"{have}, keys are cut into {explanation.buckets} buckets, joined one by one."
    if explanation.fits:
        return f"{have}, that is done in memory, in one piece."
    if explanation.planned.strategy is Strategy.BROADCAST:
        return f"{have}, the side that is cut up is read from disk, piece by piece."
    return f"{have}, that is done in one piece that sorts on disk."
