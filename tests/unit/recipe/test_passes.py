"""Cardinality, passes, control totals and compared columns of a recipe."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from kalla_core.errors import RecipeInvalid
from kalla_core.recipe.document import RecipeDocument
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import load_recipe, parse_recipe
from kalla_core.recipe.passes import (
    Accept,
    Amounts,
    Balance,
    Cardinality,
    Choose,
    Compared,
    Days,
    OneSide,
    OnTie,
    RankTerm,
    SqlPass,
    SubsetSumPass,
)
from kalla_core.recipe.write import to_document
from tests.support.recipe_documents import ABSENT, DOCUMENT, faults_of
from tests.support.recipe_documents import changed as changed_document

SQL = DOCUMENT["match_sql"]
SUMS = {
    "name": "batches",
    "kind": "subset_sum",
    "one": "right",
    "block": [["customer_id", "payer_id"], ["currency", "currency"]],
    "amount": ["amount", "paid_amount"],
}


def changed(**changes):
    return changed_document(**{"groups": ABSENT, **changes})


def with_passes(*passes, **others):
    return changed(match_sql=ABSENT, passes=list(passes), **others)


def read(document) -> Recipe:
    return parse_recipe(json.dumps(document))


def test_a_plain_recipe_has_no_passes():
    recipe = read(changed())

    assert not recipe.reconciles
    assert recipe.passes == recipe.compared == ()


def test_a_cardinality_beside_the_match_sql_makes_one_pass_of_it():
    recipe = read(changed(cardinality="1:1", rank=["amount_diff", "similarity DESC", '"a b" asc']))

    (only,) = recipe.passes
    assert only == SqlPass(
        name="match_sql",
        sql=SQL,
        cardinality=Cardinality.ONE_TO_ONE,
        rank=(RankTerm("amount_diff"), RankTerm("similarity", True), RankTerm("a b")),
        choose=Choose.BEST,
    )
    assert recipe.match_sql == SQL


def test_passes_become_the_frozen_model():
    recipe = read(
        with_passes(
            {"name": "reference", "match_sql": SQL, "cardinality": "1:N", "margin": 0.02,
             "rank": ["diff"], "on_tie": "first", "accept": "suggest", "confidence": 0.8},
            {"name": "group", "match_sql": "SELECT 1", "group_by": "component",
             "balance": {"left": "amount", "right": "paid", "tolerance": "0.05"}},
            {**SUMS, "tolerance": "0.10", "max_items": 3,
             "days": {"columns": ["invoiced", "paid_on"], "between": [-1, 60]}},
            amounts={"left": "amount", "right": "paid", "currency": ["currency", "ccy"]},
            compare=[{"left": "status", "right": "state"},
                     {"left": "amount", "right": "paid", "tolerance": "0.01"}],
        )
    )  # fmt: skip

    reference, group, batches = recipe.passes
    assert reference == SqlPass(
        "reference", SQL, Cardinality.ONE_TO_MANY, (RankTerm("diff"),), Choose.BEST, OnTie.FIRST,
        Decimal("0.02"), Accept.SUGGEST, 0.8,
    )  # fmt: skip
    assert group == SqlPass("group", "SELECT 1", balance=Balance("amount", "paid", Decimal("0.05")))
    assert batches == SubsetSumPass(
        "batches", OneSide.RIGHT, (("customer_id", "payer_id"), ("currency", "currency")),
        ("amount", "paid_amount"), Decimal("0.10"), Days("invoiced", "paid_on", -1, 60), 3, 25,
    )  # fmt: skip
    assert recipe.amounts == Amounts("amount", "paid", ("currency", "ccy"))
    assert recipe.compared == (
        Compared("status", "state"),
        Compared("amount", "paid", Decimal("0.01")),
    )


@pytest.mark.parametrize(
    "document",
    [
        changed(cardinality="N:1", rank=['"a b" desc', "c"], margin="1.50", on_tie="first"),
        changed(choose="all"),
        with_passes({"name": "match_sql", "match_sql": SQL, "cardinality": "1:1"}),
        with_passes({"name": "a", "match_sql": SQL, "accept": "suggest", "confidence": 0.5}),
        with_passes(
            {"name": "a", "match_sql": SQL, "group_by": "component",
             "balance": {"left": "x", "right": "y"}},
            {**SUMS, "days": {"columns": ["a", "b"], "between": [0, 3]}, "tolerance": 0},
        ),
        changed(compare=[{"left": "a", "right": "b"}], amounts={"left": "x", "right": "y"}),
    ],
)  # fmt: skip
def test_a_recipe_reads_what_it_writes(document):
    recipe = read(document)

    written = to_document(recipe)

    assert parse_recipe(json.dumps(written)) == recipe


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (changed(match_sql=ABSENT), {"match_sql": "missing"}),
        (changed(passes=[{"name": "a", "match_sql": SQL}], groups=ABSENT),
         {"match_sql": "invalid_passes"}),
        (with_passes(), {"passes": "empty"}),
        (with_passes({"name": "a"}), {"passes[0].match_sql": "missing"}),
        (with_passes({"name": "a", "match_sql": SQL}, {"name": "a", "match_sql": SQL}),
         {"passes[1].name": "invalid_passes"}),
        (with_passes({"name": "a", "match_sql": SQL}, cardinality="1:1", on_tie="hold"),
         {"cardinality": "invalid_passes", "on_tie": "invalid_passes"}),
        (changed(cardinality="1:2"), {"cardinality": "invalid_choice"}),
        (changed(cardinality="1:1", rank=["a up", ""], choose="some"),
         {"rank[0]": "invalid_passes", "rank[1]": "empty", "choose": "invalid_choice"}),
        (changed(cardinality="1:1", margin="0.1"), {"margin": "invalid_passes"}),
        (changed(margin="0.1", rank=["a"]), {"margin": "invalid_passes"}),
        (changed(cardinality="1:1", rank=["a"], margin="-1"), {"margin": "invalid_passes"}),
        (changed(cardinality="1:1", rank=["a"], margin="x"), {"margin": "invalid_passes"}),
        (changed(cardinality="1:1", rank=["a"], choose="assign"), {"choose": "invalid_passes"}),
        (changed(cardinality="N:M", rank=["a desc"], choose="assign"),
         {"choose": "invalid_passes"}),
        (changed(cardinality="1:1", rank=["a desc"], choose="assign", on_tie="first"),
         {"on_tie": "invalid_passes"}),
        (with_passes({"name": "a", "match_sql": SQL, "block": [["a", "b"]], "max_items": 2}),
         {"passes[0].block": "invalid_passes", "passes[0].max_items": "invalid_passes"}),
        (with_passes({**SUMS, "rank": ["a"], "match_sql": SQL, "one": "both"}),
         {"passes[0].rank": "invalid_passes", "passes[0].match_sql": "invalid_passes",
          "passes[0].one": "invalid_choice"}),
        (with_passes({"name": "s", "kind": "subset_sum"}),
         {"passes[0].one": "missing", "passes[0].block": "missing", "passes[0].amount": "missing"}),
        (with_passes({**SUMS, "block": [["a"]], "amount": ["a", "b", "c"], "max_items": 21,
                      "days": {"columns": ["a", "b"], "between": [3, 1]}}),
         {"passes[0].block[0]": "invalid_passes", "passes[0].amount": "invalid_passes",
          "passes[0].max_items": "out_of_range", "passes[0].days.between": "invalid_passes"}),
        (with_passes({"name": "a", "match_sql": SQL, "group_by": "component", "rank": ["x"]}),
         {"passes[0].balance": "missing", "passes[0].rank": "invalid_passes"}),
        (with_passes({"name": "a", "match_sql": SQL, "group_by": "all"}),
         {"passes[0].group_by": "invalid_choice", "passes[0].balance": "missing"}),
        (changed(match_sql=ABSENT, passes=[{"name": "a", "match_sql": SQL}], groups="members"),
         {"groups": "invalid_passes"}),
        (with_passes({"name": "a", "match_sql": SQL, "matchsql": "x", "confidence": 2}),
         {"passes[0].matchsql": "unknown_field", "passes[0].confidence": "out_of_range"}),
        (changed(amounts={"left": "a"}, compare=[{"right": "b", "tolerance": -1}]),
         {"amounts.right": "missing", "compare[0].left": "missing",
          "compare[0].tolerance": "invalid_passes"}),
        (changed(groups="members", cardinality="1:1"), {"groups": "invalid_passes"}),
        (changed(match_sql=ABSENT, match_sql_file="match.sql"),
         {"match_sql_file": "invalid_passes"}),
    ],
)  # fmt: skip
def test_all_that_is_wrong_with_the_rules_is_told_at_once(document, expected):
    assert {path: code for path, (code, _) in faults_of(document).items()} == expected


def recipe_file(folder: Path, document) -> Path:
    path = folder / "recipe.json"
    path.write_text(json.dumps(document))
    return path


def test_match_sql_may_lie_in_files_beside_the_recipe(tmp_path):
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "first.sql").write_text(SQL)
    named = {"name": "first", "match_sql_file": "sql/first.sql"}

    one = load_recipe(
        recipe_file(tmp_path, changed(match_sql=ABSENT, match_sql_file="sql/first.sql"))
    )
    several = load_recipe(recipe_file(tmp_path, with_passes(named, {**named, "name": "second"})))

    assert one.match_sql == SQL
    assert [each.sql for each in several.passes] == [SQL, SQL]
    assert "match_sql_file" not in json.dumps(to_document(several))


def test_a_file_of_match_sql_that_is_not_there_is_told_beside_all_else(tmp_path):
    document = with_passes({"name": "a", "match_sql_file": "no.sql", "cardinality": "1"})

    with pytest.raises(RecipeInvalid) as refused:
        load_recipe(recipe_file(tmp_path, document))

    assert {fault.path: fault.code for fault in refused.value.faults} == {
        "passes[0].match_sql_file": "invalid_file",
        "passes[0].cardinality": "invalid_choice",
    }
    assert str(tmp_path / "no.sql") in str(refused.value)


def test_the_schema_of_a_recipe_describes_its_rules():
    schema = RecipeDocument.model_json_schema(by_alias=True)

    told = {**schema["properties"], **schema["$defs"]["PassDocument"]["properties"]}
    for name in ("cardinality", "rank", "choose", "on_tie", "margin", "passes", "accept"):
        assert told[name]["description"]
    assert schema["required"] == ["recipe_id", "name", "sources"]
