import json

import pytest

from kalla_core.recipe.model import (
    Filter,
    FilterOp,
)
from kalla_core.recipe.parse import parse_recipe
from tests.support.recipe_documents import ABSENT, changed, only_fault


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"recipe_id": ABSENT}, "recipe_id"),
        ({"name": ABSENT}, "name"),
        ({"match_sql": ABSENT}, "match_sql"),
        ({"sources": ABSENT}, "sources"),
        ({"sources__left": ABSENT}, "sources.left"),
        ({"sources__left__alias": ABSENT}, "sources.left.alias"),
        ({"sources__left__type": ABSENT}, "sources.left.type"),
        ({"sources__left__primary_key": ABSENT}, "sources.left.primary_key"),
        ({"sources__left__uri": ABSENT}, "sources.left.uri"),
        ({"extras": [{"type": "file", "uri": "x.csv"}]}, "extras[0].alias"),
        ({"extras": [{"type": "s3", "alias": "x"}]}, "extras[0].uri"),
    ],
)
def test_a_field_that_has_to_be_there_is_missed(changes, path):
    code, found, _ = only_fault(changed(**changes))

    assert (code, found) == ("missing", path)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"recipe_id": " "}, "recipe_id"),
        ({"name": ""}, "name"),
        ({"match_sql": "\t\n"}, "match_sql"),
        ({"sources__left__alias": ""}, "sources.left.alias"),
        ({"sources__right__uri": " "}, "sources.right.uri"),
        ({"sources__left__primary_key": []}, "sources.left.primary_key"),
        ({"sources__left__primary_key": ["id", ""]}, "sources.left.primary_key[1]"),
        ({"sources__right__types": {"": "text"}}, 'sources.right.types[""]'),
    ],
)
def test_what_must_say_something_is_not_empty(changes, path):
    code, found, _ = only_fault(changed(**changes))

    assert (code, found) == ("empty", path)


@pytest.mark.parametrize(
    ("changes", "path", "meant"),
    [
        ({"matchsql": "x"}, "matchsql", "`match_sql`"),
        ({"sources__rigth": {}}, "sources.rigth", "`right`"),
        ({"sources__left__primary_keys": ["a"]}, "sources.left.primary_keys", "`primary_key`"),
        ({"sources__left__columns": ["a"]}, "sources.left.columns", "There are `alias`"),
        ({"options__timeout": 5}, "options.timeout", "`timeout_s`"),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest_known_one(changes, path, meant):
    code, found, message = only_fault(changed(**changes))

    assert (code, found) == ("unknown_field", path)
    assert meant in message


def test_an_extra_has_no_primary_key():
    extra = {"alias": "fx", "type": "file", "uri": "fx.csv", "primary_key": ["id"]}

    code, path, _ = only_fault(changed(extras=[extra]))

    assert (code, path) == ("unknown_field", "extras[0].primary_key")


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"recipe_id": 7}, "recipe_id", "Must be text, not the number 7."),
        ({"description": []}, "description", "Must be text, not a list."),
        ({"sources": [1]}, "sources", "Must be an object, not a list."),
        ({"sources__left": "x"}, "sources.left", "Must be an object, not text."),
        (
            {"sources__left__primary_key": "id"},
            "sources.left.primary_key",
            "Must be a list, not text.",
        ),
        ({"sources__left__schema": [None]}, "sources.left.schema[0]", "Must be text, not null."),
        ({"extras": {}}, "extras", "Must be a list, not an object."),
        ({"options__partitions": "4"}, "options.partitions", "Must be a whole number, not text."),
        (
            {"options__partitions": 4.0},
            "options.partitions",
            "Must be a whole number, not the number 4.0.",
        ),
        ({"options__partitions": True}, "options.partitions", "Must be a whole number, not true."),
        ({"options__buckets": "many"}, "options.buckets", "Must be a whole number, not text."),
        ({"options__timeout_s": "1h"}, "options.timeout_s", "Must be a number, not text."),
        (
            {"options__overwrite": 1},
            "options.overwrite",
            "Must be true or false, not the number 1.",
        ),
        ({"sources__left__uri": 5}, "sources.left.uri", "Must be text, not the number 5."),
    ],
)
def test_nothing_is_converted(changes, path, message):
    assert only_fault(changed(**changes)) == ("wrong_type", path, message)


@pytest.mark.parametrize("document", [None, 5, "5", [], "[]", "null"])
def test_a_document_that_is_no_object_is_refused(document):
    code, path, message = only_fault(document)

    assert (code, path) == ("wrong_type", "(document)")
    assert message.startswith("Must be an object, not ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partitions", 0),
        ("partitions", 1025),
        ("buckets", 0),
        ("buckets", 4097),
        ("timeout_s", 0),
        ("timeout_s", -1.5),
        ("timeout_s", 1e12),
        ("timeout_s", float("nan")),
    ],
)
def test_options_have_bounds(field, value):
    code, path, _ = only_fault(changed(**{f"options__{field}": value}))

    assert (code, path) == ("out_of_range", f"options.{field}")


@pytest.mark.parametrize(
    ("field", "value"), [("partitions", 1), ("partitions", 1024), ("buckets", 1), ("buckets", 4096)]
)
def test_the_bounds_of_options_belong_to_them(field, value):
    recipe = parse_recipe(changed(**{f"options__{field}": value}))

    assert getattr(recipe.options, field) == value


def test_an_unknown_type_is_told_what_there_is():
    code, path, message = only_fault(changed(sources__right__type="files"))

    assert (code, path) == ("invalid_choice", "sources.right.type")
    assert message == (
        "Must be one of postgres, mysql, file, csv_upload, s3, bigquery, elasticsearch, not"
        " `files`. Did you mean `file`?"
    )


def a_filter(**fields):
    return changed(sources__left__filters=[{"column": "c", "op": "eq", "value": 1, **fields}])


@pytest.mark.parametrize(
    ("op", "value", "kept"),
    [
        ("eq", "x", "x"),
        ("neq", True, True),
        ("gt", 1.5, 1.5),
        ("lte", 10**30, 10**30),
        ("between", ["a", "b"], ("a", "b")),
        ("in", [1], (1,)),
        ("in", ["a", "a"], ("a", "a")),
        ("like", "INV-%", "INV-%"),
    ],
)
def test_a_filter_takes_the_values_its_operator_asks_for(op, value, kept):
    (found,) = parse_recipe(a_filter(op=op, value=value)).left.filters

    assert found == Filter("c", FilterOp(op), kept)
    assert type(found.value) is type(kept)


@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("eq", None),
        ("eq", [1]),
        ("gt", {}),
        ("between", 1),
        ("between", [1]),
        ("between", [1, 2, 3]),
        ("between", [1, None]),
        ("in", []),
        ("in", "abc"),
        ("in", [[1]]),
        ("like", 5),
        ("like", ["a"]),
        ("eq", float("inf")),
    ],
)
def test_a_filter_with_other_values_is_refused(op, value):
    code, path, _ = only_fault(a_filter(op=op, value=value))

    assert (code, path) == ("invalid_filter", "sources.left.filters[0].value")


def test_a_filter_value_that_a_float_would_change_has_to_be_written_as_text():
    text = json.dumps(a_filter(value=0)).replace('"value": 0', '"value": 12345678901234567.89')

    code, path, message = only_fault(text)

    assert (code, path) == ("invalid_filter", "sources.left.filters[0].value")
    assert "12345678901234567.89" in message
    assert "quotes" in message


def test_how_groups_are_told_is_one_of_two_words():
    code, path, message = only_fault(changed(groups="member"))

    assert (code, path) == ("invalid_choice", "groups")
    assert "`members`" in message
