import pytest

from kalla_app.recipes.complete import aliases_of, completed, with_parameters
from kalla_app.sources.secrets_kept import with_secrets
from kalla_core.errors import InvalidSetting, RecipeInvalid
from kalla_core.observe.secrets import mask

RECIPE = {
    "sources": {
        "left": {"alias": "invoices", "primary_key": ["id"]},
        "right": {"alias": "payments", "uri": "own.csv", "primary_key": ["id"]},
    }
}
SAVED = {
    "invoices": {"uri": "saved.csv", "type": "file", "types": {"id": "text"}},
    "payments": {"uri": "other.csv", "type": "file"},
}


def test_a_source_without_a_uri_is_the_saved_one_of_its_alias() -> None:
    made = completed(RECIPE, SAVED)

    assert aliases_of(RECIPE) == ("invoices",)
    assert made["sources"]["left"]["uri"] == "saved.csv"
    assert made["sources"]["left"]["types"] == {"id": "text"}
    assert made["sources"]["right"]["uri"] == "own.csv"
    assert "uri" not in RECIPE["sources"]["left"]


@pytest.mark.parametrize(
    "resolved",
    [
        {"payments": "new.csv"},
        {"right": {"uri": "new.csv"}},
        [{"alias": "payments", "uri": "new.csv"}],
    ],
)
def test_whoever_starts_a_run_says_last_where_a_source_lies(resolved: object) -> None:
    made = completed(RECIPE, SAVED, resolved)

    assert made["sources"]["right"]["uri"] == "new.csv"


@pytest.mark.parametrize("resolved", [{"nobody": "x.csv"}, "x.csv", [1], {"payments": 5}])
def test_sources_that_a_recipe_has_not_cannot_be_resolved(resolved: object) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        completed(RECIPE, SAVED, resolved)

    assert caught.value.faults[0].path == "resolved_sources"


def test_parameters_set_fields_by_their_paths() -> None:
    made = with_parameters({"name": "a"}, {"options.buckets": 7, "name": "b"})

    assert made == {"name": "b", "options": {"buckets": 7}}
    with pytest.raises(InvalidSetting, match="bucket"):
        with_parameters({}, {"options.bucket": 7})


def test_what_comes_back_masked_keeps_its_secret_and_what_is_new_does_not() -> None:
    whole = {"sources": [{"uri": "postgres://u:s3cret@h/db"}, {"uri": "a.csv"}]}
    shown = mask(whole)

    assert "s3cret" not in str(shown)
    assert with_secrets(shown, whole) == whole
    assert with_secrets({"sources": [{"uri": "postgres://u:***@evil/db"}]}, whole) == {
        "sources": [{"uri": "postgres://u:***@evil/db"}]
    }
