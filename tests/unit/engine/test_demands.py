"""What a recipe demands of its sources is asked by whatever runs it, not by those who submit it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_coordinator.cluster.holder_process import holding
from kalla_core.engine.programs.held_plan import HoldOrder
from kalla_core.engine.programs.local import RunRequest, run_local
from kalla_core.errors import InvalidSql, KallaError, RecipeInvalid
from kalla_core.recipe.model import Filter, FilterOp, Recipe
from tests.support.tables import Reconciliation

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
SQL = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k"

Way = Callable[[Recipe, Path], Awaitable[KallaError]]


async def _locally(recipe: Recipe, folder: Path) -> KallaError:
    request = RunRequest(recipe, "a-run", folder / "out", 1 << 30, threads=2, alone=False)
    with pytest.raises(KallaError) as failed:
        run_local(request, lambda _: None)
    return failed.value


async def _in_a_cluster(recipe: Recipe, folder: Path) -> KallaError:
    async with holding() as held:
        with pytest.raises(KallaError) as failed:
            await held.plan(HoldOrder(recipe, STARTED, slots=2))
    return failed.value


ways = pytest.mark.parametrize("way", [_locally, _in_a_cluster], ids=["local", "cluster"])


def given(folder: Path, sql: str = SQL) -> Recipe:
    books = Reconciliation(folder, sql, extras=("rates",))
    for name in ("left", "right", "rates"):
        books.put(name, pa.table({"id": [1, 2], "k": [3, 4], "last": ["a", "a"]}))
    return books.recipe()


@ways
async def test_every_fault_of_a_recipe_that_nobody_validated_is_told_before_a_row_is_read(
    tmp_path: Path, way: Way
) -> None:
    sound = given(tmp_path, "SELECT l.id, r.nothing FROM l JOIN r ON l.k = r.k")
    few = (Filter("k", FilterOp.EQ, "much"), Filter("kk", FilterOp.EQ, 1))
    recipe = replace(
        sound,
        left=replace(sound.left, primary_key=("id", "invoice")),
        right=replace(sound.right, columns=("k", "amount"), filters=few),
        extras=(replace(sound.extras[0], columns=("rate",)),),
    )

    error = await way(recipe, tmp_path)

    assert isinstance(error, RecipeInvalid)
    assert {fault.path: fault.code for fault in error.faults} == {
        "sources.left.primary_key[1]": "unknown_column",
        "sources.right.schema[1]": "unknown_column",
        "sources.right.filters[0].value": "invalid_filter",
        "sources.right.filters[1].column": "unknown_column",
        "extras[0].schema[0]": "unknown_column",
        "match_sql": "unknown_column",
    }
    assert not (tmp_path / "out").exists()


@ways
async def test_a_fault_of_the_sql_alone_is_told_as_itself(tmp_path: Path, way: Way) -> None:
    recipe = given(tmp_path, "SELEC l.id")

    error = await way(recipe, tmp_path)

    assert type(error) is InvalidSql
