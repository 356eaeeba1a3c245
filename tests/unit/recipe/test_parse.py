import json
from datetime import timedelta
from pathlib import Path

import pytest

from kalla_core.errors import RecipeInvalid
from kalla_core.recipe.model import (
    EngineChoice,
    Filter,
    FilterOp,
    GroupForm,
    Options,
    Recipe,
    SourceSpec,
    SourceType,
)
from kalla_core.recipe.parse import load_recipe, parse_recipe
from tests.support.recipe_documents import ABSENT, DOCUMENT, changed, faults_of, only_fault


def test_a_recipe_becomes_the_frozen_model():
    recipe = parse_recipe(json.dumps(DOCUMENT), Path("/recipes"))

    assert recipe == Recipe(
        recipe_id="invoice-payment-match",
        name="Invoice-Payment Reconciliation",
        match_sql=DOCUMENT["match_sql"],
        left=SourceSpec(
            alias="invoices",
            type=SourceType.POSTGRES,
            uri="postgres://user:pass@host/db?table=invoices",
            primary_key=("invoice_id",),
            columns=("invoice_id", "amount"),
            filters=(Filter("amount", FilterOp.BETWEEN, (1, 2.5)),),
        ),
        right=SourceSpec(
            alias="payments",
            type=SourceType.FILE,
            uri="/recipes/data/payments.csv",
            primary_key=("payment_id", "line"),
            types={"paid_amount": "decimal(12,2)"},
        ),
        extras=(SourceSpec("fx_rates", SourceType.FILE, "/recipes/data/fx.csv"),),
        description="Match invoices to payments by reference and amount",
        match_description="References equal, amounts within 2 cents",
        options=Options(
            engine=EngineChoice.LOCAL,
            partitions=4,
            timeout=timedelta(hours=1),
            single_file=True,
            max_pairs_per_row=1000,
        ),
        groups=GroupForm.MEMBERS,
    )


@pytest.mark.parametrize("absent", [ABSENT, None])
def test_optional_fields_may_be_left_out_or_null(absent):
    document = changed(
        description=absent,
        match_description=absent,
        extras=absent,
        groups=absent,
        options=absent,
        sources__left__schema=absent,
        sources__left__filters=absent,
        sources__right__types=absent,
    )

    recipe = parse_recipe(document)

    assert recipe.options == Options()
    assert recipe.groups is GroupForm.PAIRS
    assert (recipe.extras, recipe.description, recipe.left.filters) == ((), "", ())


def test_a_file_recipe_is_read_with_paths_from_its_folder(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text("\ufeff" + json.dumps(DOCUMENT), encoding="utf-8")

    recipe = load_recipe(path)

    assert recipe.right.uri == f"{tmp_path}/data/payments.csv"


@pytest.mark.parametrize("kind", ["file", "csv_upload"])
def test_a_file_may_get_its_uri_when_the_run_starts(kind):
    document = changed(sources__right__uri=ABSENT, sources__right__type=kind)

    assert parse_recipe(document, Path("/recipes")).right.uri is None


@pytest.mark.parametrize(
    ("uri", "resolved"),
    [
        ("a.csv", "/base/a.csv"),
        ("./a.csv?delimiter=;", "/base/a.csv?delimiter=;"),
        ("../b/folder/", "/base/../b/folder/"),
        ("what?.csv", "/base/what?.csv"),
        ("/abs/a.csv", "/abs/a.csv"),
        ("file:///abs/a.csv", "file:///abs/a.csv"),
        ("s3://bucket/a.csv", "s3://bucket/a.csv"),
    ],
)
def test_relative_paths_start_from_the_base_and_others_stay(uri, resolved):
    recipe = parse_recipe(changed(sources__right__uri=uri), Path("/base"))

    assert recipe.right.uri == resolved


def test_all_faults_are_told_at_once():
    document = changed(
        recipe_id="",
        name=ABSENT,
        match_sql=" \n",
        sources__left__primary_key=[],
        sources__left__uri=ABSENT,
        sources__left__filters=[{"column": "amount", "op": "betwen", "value": 1}],
        sources__right__alias="Invoices",
        sources__right__type="postgres",
        sources__right__primary_key=["id", "line", "id"],
        sources__right__types={"amount": "money"},
        options__buckets=0,
        options__partition=3,
    )

    faults = faults_of(document)

    assert {path: code for path, (code, _) in faults.items()} == {
        "recipe_id": "empty",
        "name": "missing",
        "match_sql": "empty",
        "sources.left.primary_key": "empty",
        "sources.left.uri": "missing",
        "sources.left.filters[0].op": "invalid_choice",
        "sources.right.alias": "alias_clash",
        "sources.right.uri": "invalid_uri",
        "sources.right.primary_key[2]": "duplicate_column",
        "sources.right.types.amount": "invalid_type",
        "options.buckets": "out_of_range",
        "options.partition": "unknown_field",
    }


def test_the_error_lists_path_and_sentence_of_each_fault():
    with pytest.raises(RecipeInvalid) as refused:
        parse_recipe(changed(name="", recipe_id=""))

    assert str(refused.value) == (
        "The recipe has 2 faults:\n  recipe_id: Must not be empty.\n  name: Must not be empty."
    )


def test_broken_json_is_told_with_its_line_and_column():
    with pytest.raises(RecipeInvalid) as refused:
        parse_recipe('{\n  "recipe_id": "a",\n  "name" "b"\n}')

    (fault,) = refused.value.faults
    assert (fault.code, fault.details) == ("invalid_json", {"line": 3, "column": 10})
    assert "line 3, column 10" in fault.message


@pytest.mark.parametrize(
    "text", ["", b'{"a": "\xff"}', "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "{'a': 1}"]
)
def test_what_is_no_json_at_all_is_one_fault(text):
    code, path, _ = only_fault(text)

    assert (code, path) == ("invalid_json", "(document)")


def test_a_field_that_is_there_twice_is_told_with_its_path():
    text = json.dumps(DOCUMENT)
    text = text.replace('"alias": "payments"', '"alias": "a", "alias": "payments"')
    text = text.replace('"name":', '"recipe_id": "again", "name":')

    faults = faults_of(text)

    assert {path: code for path, (code, _) in faults.items()} == {
        "recipe_id": "duplicate_field",
        "sources.right.alias": "duplicate_field",
    }


def test_a_missing_file_is_one_readable_fault(tmp_path):
    with pytest.raises(RecipeInvalid, match=r"There is no file .*absent\.json"):
        load_recipe(tmp_path / "absent.json")


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(RecipeInvalid, match="cannot be read"):
        load_recipe(tmp_path)
