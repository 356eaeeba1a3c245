"""A coordinator infers recipes and tries them on samples."""

import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kalla_core.client import Client
from kalla_core.errors import InvalidUri
from kalla_core.inference.sample import MAX_ROWS
from kalla_core.inspection.proving import inferred_document
from kalla_core.recipe.parse import parse_recipe
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from tests.support.api import Served, absolute_recipe, served
from tests.support.books import make_books
from tests.support.machine import least
from tests.support.remittances import ROWS, make_remittances
from tests.support.runs import run_in_process

MOST_WORK_S = 10.0
"""Of processors, by this process and its children."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


@pytest.fixture
async def client(api: Served) -> AsyncIterator[Client]:
    async with Client(api.url) as one:
        yield one


def _sides(left: Path, right: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"alias": "in-voices", "uri": str(left)}, {"alias": "payments", "uri": str(right)}


async def test_answers_change_the_recipe_and_the_engine_says_whether_they_hold(
    client: Client, tmp_path: Path
) -> None:
    left, right = _sides(*make_remittances(tmp_path))

    first = await client.infer(left, right, rows=3)
    question = first["next_question"]
    no = {"left": question["left"], "right": question["right"], "judgement": "no"}
    second = await client.infer(left, right, [no])

    assert question["right"] == [str(5000 + int(question["left"][0]))] or question["right"] == [
        5000 + question["left"][0]
    ]
    assert first["tried"]["matched_left"] == first["tried"]["matched_right"] == ROWS * 9 // 10
    shown = first["trial"]["matched"]
    assert len(shown) == 3
    assert all(one["right_row"]["pid"] == 5000 + one["left_row"]["id"] for one in shown)
    assert second["tried"]["matched_left"] < first["tried"]["matched_left"]
    told = second["trial"]["judged"]
    assert [(one["matched"], one["holds"]) for one in told] == [(False, True)]
    assert {one["name"] for one in first["profiles"]["right"]} == {"pid", "ref", "paid", "booked"}
    together = {(*one["left"], *one["right"]): one["role"] for one in first["mappings"]}
    assert together["reference", "ref"] in ("key", "equal")


async def test_what_the_bytes_of_a_file_do_not_tell_is_told(client: Client, tmp_path: Path) -> None:
    left, right = _sides(*make_remittances(tmp_path, 60))
    days = [f"{n};INV-{10000 + n};0{1 + n % 9}/0{1 + n % 9}/2026" for n in range(1, 61)]
    Path(left["uri"]).write_text("\n".join(["id;reference;day", *days]) + "\n")

    found = await client.infer(left, right)

    (sentence,) = found["sample"]["left"]["undecidable"]
    assert "`day`" in sentence
    assert found["sample"]["right"]["undecidable"] == []
    assert found["undecidable"] == [f"in-voices: {sentence}"]


async def test_a_filter_of_a_source_is_part_of_the_recipe_and_of_its_samples(
    client: Client, tmp_path: Path
) -> None:
    left, right = _sides(*make_remittances(tmp_path))
    some = [{"column": "id", "op": "lte", "value": 100}]

    found = await client.infer({**left, "filters": some}, right)

    assert found["sample"]["left"]["of"] == 100
    assert found["recipe"]["sources"]["left"]["filters"][0]["column"] == "id"
    assert found["tried"]["matched_left"] == 90


async def test_a_recipe_is_tried_on_samples_and_a_wrong_one_says_what_is_wrong(
    client: Client, tmp_path: Path
) -> None:
    recipe = absolute_recipe(make_books(tmp_path))
    judged = [{"left": ["1"], "right": ["11"], "judgement": "no"}]

    good = await client.try_recipe(recipe, judged)
    wrong = await client.try_recipe({**recipe, "match_sql": "SELECT nothing FROM invoices"})

    assert (good["faults"], good["tried"]["matched_left"]) == ([], 2)
    assert len(good["trial"]["unmatched_left"]) == 3
    assert len(good["trial"]["judged"]) == 1
    assert {fault["path"] for fault in wrong["faults"]} == {"match_sql"}
    assert wrong["trial"] is None
    assert sum(good["trial"]["reasons"]["left"].values()) == good["tried"]["unmatched_left"]


async def test_open_items_that_a_recipe_carries_are_tried_once(
    client: Client, tmp_path: Path
) -> None:
    (tmp_path / "i.csv").write_text("no,amount\n1,5\n2,6\n3,7\n")
    (tmp_path / "p.csv").write_text("no,amount\n1,5\n")
    (tmp_path / "june.csv").write_text("no,amount\n2,6\n4,8\n")
    sides = {
        side: {"alias": side[0], "type": "file", "uri": str(tmp_path / name), "primary_key": ["no"]}
        for side, name in (("left", "i.csv"), ("right", "p.csv"))
    }
    recipe = {
        "recipe_id": "close",
        "name": "Close",
        "passes": [{"name": "no", "match_sql": "SELECT 1 AS one FROM l JOIN r ON l.no = r.no"}],
        "amounts": {"left": "amount", "right": "amount"},
        "sources": sides,
    }
    run_in_process(parse_recipe(recipe), tmp_path / "may")
    (tmp_path / "i.csv").write_text("no,amount\n5,9\n")
    sides["left"]["carry"] = {"evidence": str(tmp_path / "may")}
    sides["right"]["uri"] = str(tmp_path / "june.csv")

    found = await client.try_recipe(recipe)

    assert found["faults"] == []
    assert (found["tried"]["matched_left"], found["tried"]["unmatched_left"]) == (1, 2)
    assert [one["left_row"]["no"] for one in found["trial"]["matched"]] == [2]
    assert [one["name"] for one in found["trial"]["passes"]] == ["no"]


@pytest.mark.full
async def test_a_hundred_thousand_rows_a_side_are_inferred_from_within_ten_seconds_of_work(
    client: Client, tmp_path: Path
) -> None:
    left, right = _sides(*make_remittances(tmp_path, 100_000))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    asked = {
        "sources": {
            side: {**one, "types": {}, "filters": [], "format": None}
            for side, one in (("left", left), ("right", right))
        },
        "judged": [],
        "rows": 3,
    }

    found = await client.infer(left, right, rows=3)

    def spend() -> float:
        before = _worked_s()
        inferred_document(asked, scratch, 2, EVERYTHING)
        return _worked_s() - before

    took_s = least(spend, MOST_WORK_S)

    assert found["sample"]["left"]["of"] == 100_000
    assert found["sample"]["right"]["rows"] <= MAX_ROWS
    assert all("norm_ref" in one["match_sql"] for one in found["recipe"]["passes"])
    shown = found["trial"]["matched"]
    assert all(one["right_row"]["pid"] == 5000 + one["left_row"]["id"] for one in shown)
    assert took_s < MOST_WORK_S


def _worked_s() -> float:
    every = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in every)


async def test_what_may_not_be_read_is_not_inferred_from(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    left, right = _sides(*make_remittances(tmp_path))
    access = SourceAccess(allowed_roots=(inside,))

    async with served(tmp_path, access=access) as api, Client(api.url) as client:
        with pytest.raises(InvalidUri, match="outside the folders"):
            await client.infer(left, right)


async def test_sources_within_the_roots_are_inferred_from(tmp_path: Path) -> None:
    left, right = _sides(*make_remittances(tmp_path, 60))
    access = SourceAccess(allowed_roots=(tmp_path,))

    async with served(tmp_path, access=access) as api, Client(api.url) as client:
        found = await client.infer(left, right)

    assert found["tried"]["matched_left"] == 54
