"""Passes carried out by fragments, as executors do it: the evidence of a run on this machine."""

from dataclasses import replace

import pytest

from kalla_core.errors import UserError
from kalla_core.recipe.parse import parse_recipe
from tests.support.pass_recipes import NEAR, RULES, given
from tests.support.runs import AMPLE
from tests.support.spread import Layout, spread

TIGHT = replace(AMPLE, whole_bytes=6_000, join_bytes=4_000, run_bytes=8_000, threads=1)
NEXT_TO_NO_MEMORY = (Layout(parts=2, buckets=4), TIGHT)
MORE = [(Layout(executors=3, parts=5), AMPLE), (Layout(buckets=1), TIGHT)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return given(tmp_path_factory.mktemp("passes"))


def is_the_same_on_executors(two, name, layout, share):
    whole = two.run(RULES[name])
    recipe = parse_recipe(two.document(RULES[name]))

    got = spread(recipe, two.folder, layout, share)

    assert whole.tables["matched"].num_rows
    assert whole.same_as(got)


@pytest.mark.parametrize("name", RULES)
def test_rules_of_every_kind_have_the_same_evidence_on_executors(two, name):
    is_the_same_on_executors(two, name, *NEXT_TO_NO_MEMORY)


@pytest.mark.full
@pytest.mark.parametrize(("layout", "share"), MORE)
@pytest.mark.parametrize("name", RULES)
def test_however_rows_are_cut_the_evidence_is_the_same_on_executors(two, name, layout, share):
    is_the_same_on_executors(two, name, layout, share)


def test_rows_that_filters_leave_out_are_in_the_totals_of_executors_as_well(two):
    rules = RULES["1:N"]
    document = two.document(rules)
    document["sources"]["left"]["filters"] = [{"column": "who", "op": "neq", "value": "W1"}]

    got = spread(parse_recipe(document), two.folder)

    assert got.told.control_totals["left"][0]["rows"]["excluded"] > 0


def test_the_report_of_a_fragment_names_the_pass(two):
    recipe = parse_recipe(two.document(RULES["passes, one that proposes, sums"]))

    got = spread(recipe, two.folder)

    named = [report.rule for report in got.reports if report.rule]
    assert list(dict.fromkeys(named)) == ["ref", "amount", "sums", "maybe"]


def test_a_value_that_fails_in_a_later_pass_is_named_by_executors_as_well(tmp_path):
    two = given(tmp_path, 60)
    bad = NEAR.replace("AND abs", "AND CAST(substr(l.ref, 2) AS INT) / (l.day - 2) < 100 AND abs")
    rules = {"passes": [{"name": "a", "match_sql": NEAR.replace("<= 4", "< 0.01"),
                         "cardinality": "1:1"}, {"name": "b", "match_sql": bad}]}  # fmt: skip
    with pytest.raises(UserError) as local:
        two.run(rules)

    with pytest.raises(type(local.value)) as on_executors:
        spread(parse_recipe(two.document(rules)), tmp_path)

    assert on_executors.value.message == local.value.message
    assert "day" in local.value.message
