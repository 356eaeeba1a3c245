"""How a recipe would be run, and why so."""

from __future__ import annotations

from dataclasses import dataclass

from kalla_core.engine.budget import Budget, budget
from kalla_core.fragments.cut import bucket_count
from kalla_core.matching.strategy.planned import Planned
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.recipe.model import GroupForm, Recipe
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from kalla_core.validate import validate_recipe


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a recipe would be run on one machine.

    Attributes:
        arrow_bytes: estimated size of both sides in memory; None where a source cannot tell.
        buckets: hash classes the keys are cut into; 1 is a run that is not cut by key; None
            where that is decided while the sources are read.
        groups: how matched tells of a group that matches a group.
        fits: whether both sides fit into memory, as far as can be told.
    """

    planned: Planned
    memory_limit_bytes: int
    arrow_bytes: int | None
    buckets: int | None
    fits: bool
    groups: GroupForm


def explain_recipe(
    recipe: Recipe,
    memory_limit_bytes: int,
    threads: int,
    access: SourceAccess = EVERYTHING,
) -> Explanation:
    """Look at the sources of a recipe, without reading them, and plan its SQL.

    Raises:
        KallaError: a source or the SQL is wrong.
    """
    validation = validate_recipe(recipe, access=access)
    planned = validation.demand()
    left, right = (validation.sources[spec.alias] for spec in (recipe.left, recipe.right))
    sizes = [source.statistics.arrow_bytes for source in (left, right)]
    arrow_bytes = None if None in sizes else sum(size or 0 for size in sizes)
    share = budget(memory_limit_bytes, threads)
    return Explanation(
        planned=planned,
        memory_limit_bytes=memory_limit_bytes,
        arrow_bytes=arrow_bytes,
        buckets=_buckets(recipe, planned, share, arrow_bytes),
        fits=arrow_bytes is not None and arrow_bytes <= share.whole_bytes,
        groups=recipe.groups,
    )


def _buckets(
    recipe: Recipe, planned: Planned, share: Budget, arrow_bytes: int | None
) -> int | None:
    if planned.strategy is not Strategy.COPARTITION:
        return 1
    if recipe.options.buckets is not None or arrow_bytes is None:
        return recipe.options.buckets
    return 1 if arrow_bytes <= share.whole_bytes else bucket_count(arrow_bytes, share.join_bytes)
