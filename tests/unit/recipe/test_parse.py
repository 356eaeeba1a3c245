import copy
import json
from datetime import timedelta
from pathlib import Path

import pytest

from kalla_core.errors import RecipeInvalid
from kalla_core.recipe.model import (
    EngineChoice,
    Filter,
    FilterOp,
    Options,
    Recipe,
    SourceSpec,
    SourceType,
)
from kalla_core.recipe.parse import load_recipe, parse_recipe

DOCUMENT = {
    "recipe_id": "invoice-payment-match",
    "name": "Invoice-Payment Reconciliation",
    "description": "Match invoices to payments by reference and amount",
    "match_sql": "SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.id = r.ref",
    "match_description": "References equal, amounts within 2 cents",
    "sources": {
        "left": {
            "alias": "invoices",
            "type": "postgres",
            "uri": "postgres://user:pass@host/db?table=invoices",
            "primary_key": ["invoice_id"],
            "schema": ["invoice_id", "amount"],
            "filters": [{"column": "amount", "op": "between", "value": [1, 2.5]}],
        },
        "right": {
            "alias": "payments",
            "type": "file",
            "uri": "data/payments.csv",
            "primary_key": ["payment_id", "line"],
            "types": {"paid_amount": "decimal(12,2)"},
        },
    },
    "extras": [{"alias": "fx_rates", "type": "file", "uri": "data/fx.csv"}],
    "options": {
        "engine": "local",
        "partitions": 4,
        "buckets": "auto",
        "timeout_s": 3600,
        "overwrite": False,
        "single_file": True,
    },
}
ABSENT = object()


def changed(**changes):
    """The document above with the fields at some paths set, or taken away."""
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return document


def faults_of(document):
    with pytest.raises(RecipeInvalid) as refused:
        parse_recipe(document)
    return {fault.path: (fault.code, fault.message) for fault in refused.value.faults}


def only_fault(document):
    (found,) = faults_of(document).items()
    path, (code, message) = found
    return code, path, message


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
        ),
    )


@pytest.mark.parametrize("absent", [ABSENT, None])
def test_optional_fields_may_be_left_out_or_null(absent):
    document = changed(
        description=absent,
        match_description=absent,
        extras=absent,
        options=absent,
        sources__left__schema=absent,
        sources__left__filters=absent,
        sources__right__types=absent,
    )

    recipe = parse_recipe(document)

    assert recipe.options == Options()
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
        "Must be one of postgres, file, csv_upload, s3, bigquery, elasticsearch, not `files`."
        " Did you mean `file`?"
    )


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        ("postgres", "data.csv"),
        ("postgres", "s3://bucket/key.csv"),
        ("file", "postgres://h/d?table=t"),
        ("csv_upload", "postgresql://h/d?table=t"),
        ("s3", "data.csv"),
        ("s3", "file:///data.csv"),
        ("file", "ftp://host/data.csv"),
        ("bigquery", "s3://bucket/key.csv"),
        ("elasticsearch", "data.csv"),
    ],
)
def test_a_type_that_contradicts_its_uri_is_refused(kind, uri):
    document = changed(sources__right__type=kind, sources__right__uri=uri)

    code, path, message = only_fault(document)

    assert (code, path) == ("invalid_uri", "sources.right.uri")
    assert kind in message


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        ("postgres", "POSTGRESQL://h/d?table=t"),
        ("file", "file:///data.csv"),
        ("file", "s3://bucket/key.csv"),
        ("csv_upload", "s3://bucket/key.csv"),
        ("csv_upload", "data.csv"),
        ("s3", "s3://bucket/folder/"),
        ("bigquery", "bigquery://project/table"),
        ("elasticsearch", "https://host/index"),
    ],
)
def test_a_type_that_suits_its_uri_is_taken(kind, uri):
    recipe = parse_recipe(changed(sources__right__type=kind, sources__right__uri=uri))

    assert (recipe.right.type, recipe.right.uri) == (kind, uri)


def test_a_fault_does_not_show_the_password_of_a_uri():
    faults = faults_of(changed(sources__left__type="s3"))

    assert "pass@" not in str(faults)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"sources__right__alias": "invoices"}, "sources.right.alias"),
        ({"sources__right__alias": "INVOICES"}, "sources.right.alias"),
        ({"sources__right__alias": "left_src"}, "sources.right.alias"),
        ({"sources__left__alias": "Right_Src"}, "sources.left.alias"),
        ({"extras": [{"alias": "payments", "type": "file"}]}, "extras[0].alias"),
        ({"extras": [{"alias": "left_src", "type": "file"}]}, "extras[0].alias"),
        ({"sources__left__alias": "__kalla_row"}, "sources.left.alias"),
    ],
)
def test_an_alias_that_names_another_table_too_is_refused(changes, path):
    code, found, _ = only_fault(changed(**changes))

    assert (code, found) == ("alias_clash", path)


def test_two_extras_of_one_name_clash():
    extras = [{"alias": name, "type": "file", "uri": "x.csv"} for name in ("fx", "tax", "FX")]

    code, path, message = only_fault(changed(extras=extras))

    assert (code, path) == ("alias_clash", "extras[2].alias")
    assert "extras[0]" in message


def test_a_side_may_be_called_what_it_is_called_anyway():
    document = changed(sources__left__alias="left_src", sources__right__alias="right_src")

    assert parse_recipe(document).left.alias == "left_src"


@pytest.mark.parametrize(
    ("name", "path"),
    [("primary_key", "sources.left.primary_key[1]"), ("schema", "sources.left.schema[1]")],
)
def test_a_column_is_named_once(name, path):
    code, found, _ = only_fault(changed(**{f"sources__left__{name}": ["a", "a"]}))

    assert (code, found) == ("duplicate_column", path)


def test_columns_that_differ_in_case_are_different_columns():
    assert parse_recipe(changed(sources__left__primary_key=["id", "ID"])).left.primary_key == (
        "id",
        "ID",
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
