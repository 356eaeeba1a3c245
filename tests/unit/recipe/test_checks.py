import pytest

from kalla_core.recipe.parse import parse_recipe
from tests.support.recipe_documents import changed, faults_of, only_fault


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
