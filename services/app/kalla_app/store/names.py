"""What has a name, found by a part of it, in whatever case of letters."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.store.tables import RECIPES, RUNS, SOURCES


@dataclass(frozen=True, slots=True)
class Names:
    """What a text is in the names of.

    Attributes:
        recipes: id and name, by name.
        sources: aliases, in their order.
        runs: id, name of the recipe, and when each was made in microseconds; the newest first.
    """

    recipes: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    runs: tuple[tuple[str, str, int], ...]


async def named(connection: AsyncConnection, text: str, limit: int) -> Names:
    """Return recipes, sources and runs, of each no more than `limit`.

    Args:
        text: that a name or an id holds; empty for all.
    """

    def has(*columns: ColumnElement[str]) -> ColumnElement[bool]:
        return or_(*(one.icontains(text, autoescape=True) for one in columns))

    recipe, source, run = RECIPES.c, SOURCES.c, RUNS.c
    recipes = (
        select(recipe.recipe_id, recipe.name)
        .where(recipe.removed == 0, has(recipe.name, recipe.recipe_id))
        .order_by(recipe.name, recipe.recipe_id)
    )
    sources = select(source.alias).where(has(source.alias)).order_by(source.alias)
    runs = (
        select(run.run_id, run.recipe_name, run.created_at)
        .where(has(run.recipe_name, run.run_id))
        .order_by(run.created_at.desc(), run.run_id.desc())
    )
    found = [
        (await connection.execute(query.limit(limit))).all() for query in (recipes, sources, runs)
    ]
    return Names(
        tuple((one.recipe_id, one.name) for one in found[0]),
        tuple(one.alias for one in found[1]),
        tuple((one.run_id, one.recipe_name, one.created_at) for one in found[2]),
    )
