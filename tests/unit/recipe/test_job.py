import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given

from kalla_core.errors import RecipeInvalid
from kalla_core.ids import RunId
from kalla_core.recipe.job import JobRequest, job_request, parse_job_request
from kalla_core.recipe.model import Filter, FilterOp, Recipe, SourceSpec, SourceType
from kalla_core.recipe.write import to_document
from tests.support.recipes import recipes

RUN = RunId("7f1c6f0e-0000-4000-8000-000000000001")
SQL = "SELECT * FROM left_src l JOIN right_src r ON l.invoice_id = r.reference"
REQUEST = {
    "run_id": RUN,
    "callback_url": "http://app/api/worker",
    "match_sql": SQL,
    "sources": [
        {"alias": "left_src", "uri": "postgres://u:p@h/d?table=invoices", "filters": []},
        {
            "alias": "right_src",
            "uri": "s3://bucket/payments.csv",
            "filters": [{"column": "paid", "op": "gt", "value": 0}],
        },
    ],
    "output_path": "s3://bucket/runs/ID",
    "primary_keys": {"left_src": ["invoice_id"], "right_src": ["payment_id"]},
}
RECIPE = Recipe(
    recipe_id=RUN,
    name=RUN,
    match_sql=SQL,
    left=SourceSpec(
        "left_src", SourceType.POSTGRES, "postgres://u:p@h/d?table=invoices", ("invoice_id",)
    ),
    right=SourceSpec(
        "right_src",
        SourceType.S3,
        "s3://bucket/payments.csv",
        ("payment_id",),
        filters=(Filter("paid", FilterOp.GT, 0),),
    ),
)


def faults_of(request):
    with pytest.raises(RecipeInvalid) as refused:
        parse_job_request(request)
    return {fault.path: fault.code for fault in refused.value.faults}


def test_the_request_of_the_contract_is_read():
    assert parse_job_request(REQUEST) == JobRequest(
        RUN, RECIPE, "s3://bucket/runs/ID", "http://app/api/worker"
    )


def test_the_request_of_the_contract_is_what_its_recipe_becomes():
    request = job_request(RECIPE, RUN, "s3://bucket/runs/ID", "http://app/api/worker")

    assert request == {**REQUEST, "recipe_id": RUN, "name": RUN}


@given(recipes())
def test_a_recipe_survives_the_way_to_a_coordinator(recipe):
    request = job_request(recipe, RUN, "/out", "https://app/hook")

    again = parse_job_request(json.dumps(request))

    assert again == JobRequest(RUN, recipe, "/out", "https://app/hook")


@given(recipes())
def test_a_request_may_carry_the_recipe_itself(recipe):
    request = {"run_id": RUN, "recipe": to_document(recipe)}

    assert parse_job_request(request) == JobRequest(RUN, recipe)


def test_output_path_and_callback_may_be_left_out():
    request = {key: REQUEST[key] for key in ("run_id", "match_sql", "sources", "primary_keys")}

    assert parse_job_request(request) == JobRequest(RUN, RECIPE)


def test_keys_may_be_given_by_alias_or_by_the_name_of_the_table():
    request = copy.deepcopy(REQUEST)
    request["sources"][0]["alias"] = "invoices"
    by_table = parse_job_request(request)
    request["primary_keys"] = {"invoices": ["invoice_id"], "right_src": ["payment_id"]}

    assert parse_job_request(request) == by_table
    assert by_table.recipe.left.alias == "invoices"


def test_a_source_without_a_uri_cannot_be_sent():
    recipe = replace(RECIPE, right=replace(RECIPE.right, type=SourceType.CSV_UPLOAD, uri=None))

    with pytest.raises(RecipeInvalid) as refused:
        job_request(recipe, RUN)

    assert [fault.path for fault in refused.value.faults] == ["sources.right.uri"]


def test_all_faults_of_a_request_are_told_at_once():
    request = copy.deepcopy(REQUEST)
    request["run_id"] = "../up"
    request["callback_url"] = "ftp://app"
    request["match_sql"] = ""
    request["sources"][0]["type"] = "file"
    request["sources"][1]["alias"] = "LEFT_SRC"
    request["sources"][1]["uri"] = ""
    request["primary_keys"] = {"left_src": ["a", "a"], "rigth_src": ["b"]}
    request["outputpath"] = "x"

    assert faults_of(request) == {
        "run_id": "invalid_run_id",
        "callback_url": "invalid_uri",
        "match_sql": "empty",
        "sources[0].uri": "invalid_uri",
        "sources[1].alias": "alias_clash",
        "sources[1].uri": "empty",
        "primary_keys.left_src[1]": "duplicate_column",
        "primary_keys.rigth_src": "unknown_field",
        "primary_keys.LEFT_SRC": "missing",
        "outputpath": "unknown_field",
    }


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_request_has_two_sources(count):
    sources = [{"alias": f"s{index}", "uri": "x.csv"} for index in range(count)]
    request = {**REQUEST, "sources": sources}

    assert "sources" in faults_of(request)


def test_the_faults_of_a_recipe_inside_a_request_have_their_whole_path():
    recipe = {**to_document(RECIPE), "name": "", "extras": [{"alias": "fx", "type": "s3"}]}

    assert faults_of({"run_id": "", "recipe": recipe, "match_sql": "x"}) == {
        "run_id": "invalid_run_id",
        "match_sql": "unknown_field",
        "recipe.name": "empty",
        "recipe.extras[0].uri": "missing",
    }


@pytest.mark.parametrize("request_document", [None, [], "[]", "7"])
def test_a_request_that_is_no_object_is_refused(request_document):
    assert faults_of(request_document) == {"(document)": "wrong_type"}


def test_a_recipe_that_is_no_object_is_refused_where_it_stands():
    assert faults_of({"run_id": "r", "recipe": None}) == {"recipe": "wrong_type"}


def test_the_error_speaks_of_a_request():
    with pytest.raises(RecipeInvalid, match="The request has 1 fault"):
        parse_job_request({**REQUEST, "match_sql": ""})
