"""What is added up of a source that carries open items: what is open of a row, not its amount."""

from __future__ import annotations

from dataclasses import replace

from kalla_core.recipe.model import Carry, Recipe
from kalla_core.recipe.passes import Amounts, Pass, SqlPass

FIRST_OPEN_RUN, OPEN_AMOUNT, AGE_DAYS = "first_open_run", "open_amount", "age_days"
"""The columns of open items, which `carry` adds to a source."""


def over_open_amounts(recipe: Recipe) -> Recipe:
    """Return a recipe that adds open amounts up wherever it names the column that they are of.

    Of new rows both are the same; of an invoice that was paid in part only the rest is open.
    Columns that match SQL names, or `compare`, stay what they are.
    """
    carries = (recipe.left.carry, recipe.right.carry)
    if carries == (None, None):
        return recipe
    return replace(
        recipe,
        passes=tuple(_pass(one, carries) for one in recipe.passes),
        amounts=None if recipe.amounts is None else _amounts(recipe.amounts, carries),
    )


def _amounts(amounts: Amounts, carries: tuple[Carry | None, Carry | None]) -> Amounts:
    left, right = _open((amounts.left, amounts.right), carries)
    return replace(amounts, left=left, right=right)


def _pass(one: Pass, carries: tuple[Carry | None, Carry | None]) -> Pass:
    if not isinstance(one, SqlPass):
        return replace(one, amount=_open(one.amount, carries))
    if one.balance is None:
        return one
    left, right = _open((one.balance.left, one.balance.right), carries)
    return replace(one, balance=replace(one.balance, left=left, right=right))


def _open(names: tuple[str, str], carries: tuple[Carry | None, Carry | None]) -> tuple[str, str]:
    left, right = (
        OPEN_AMOUNT if carry is not None and name == carry.amount else name
        for name, carry in zip(names, carries, strict=True)
    )
    return left, right
