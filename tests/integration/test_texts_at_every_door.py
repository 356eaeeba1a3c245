"""A column that is text for one spelling says which value, in which line, at every door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kalla_core.client import Client
from kalla_core.errors import KallaError
from kalla_core.recipe.parse import parse_recipe
from tests.support.api import served
from tests.support.cluster_runs import run_on
from tests.support.command import kalla
from tests.support.small_executor import small_cluster

SAID = ("`amount` is text because of `1.234,56` in line 3 of bank.csv", '"decimal": ","')


def document(folder: Path, **right: Any) -> dict[str, Any]:
    (folder / "books.csv").write_text("id,amount\n1,7.00\n2,1234.56\n")
    (folder / "bank.csv").write_text('id,amount\n1,7\n2,"1.234,56"\n')
    sources = {
        side: {
            "alias": side[0],
            "type": "file",
            "uri": str(folder / name),
            "primary_key": ["id"],
        }
        for side, name in (("left", "books.csv"), ("right", "bank.csv"))
    }
    sources["right"].update(right)
    return {
        "recipe_id": "doors",
        "name": "Doors",
        "match_sql": "SELECT l.id FROM l JOIN r ON l.id = r.id AND l.amount = r.amount",
        "sources": sources,
    }


@pytest.mark.parametrize("command", ["validate", "run"])
def test_commands_say_it(tmp_path: Path, command: str) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(document(tmp_path)))
    more = ["-o", "out"] if command == "run" else []

    done = kalla(command, "recipe.json", *more, cwd=tmp_path)

    said = " ".join((done.out + done.err).split())
    assert all(one in said for one in SAID)
    assert done.exit_code == 2


def test_a_preview_says_it(tmp_path: Path) -> None:
    document(tmp_path)

    done = kalla("preview", "bank.csv", "--json", cwd=tmp_path)

    assert all(one in json.loads(done.out)["notes"][0] for one in SAID)


def test_a_filter_that_compares_it_with_a_number_says_it(tmp_path: Path) -> None:
    filters = [{"column": "amount", "op": "gt", "value": 100}]
    (tmp_path / "recipe.json").write_text(json.dumps(document(tmp_path, filters=filters)))

    done = kalla("validate", "recipe.json", cwd=tmp_path)

    said = " ".join((done.out + done.err).split())
    assert all(one in said for one in SAID)


async def test_a_coordinator_says_it(tmp_path: Path) -> None:
    recipe = document(tmp_path)

    async with served(tmp_path) as api, Client(api.url) as client:
        checked = json.dumps(await client.validate(recipe), ensure_ascii=False)
        seen = await client.preview(str(tmp_path / "bank.csv"))

    assert SAID[0] in checked
    assert all(one in seen["notes"][0] for one in SAID)


async def test_executors_say_it(tmp_path: Path) -> None:
    recipe = parse_recipe(document(tmp_path), tmp_path)

    async with small_cluster(tmp_path / "spools") as (dispatcher, _):
        with pytest.raises(KallaError) as caught:
            await run_on(dispatcher, recipe, tmp_path / "out")

    assert all(one in str(caught.value) for one in SAID)
