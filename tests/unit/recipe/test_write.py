import hashlib
import json
from dataclasses import replace

from hypothesis import given

from kalla_core.recipe.model import Recipe, SourceSpec, SourceType
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.write import canonical_json, recipe_sha256, to_document
from tests.support.recipes import recipes

LEFT = SourceSpec("a", SourceType.POSTGRES, "postgres://u:hunter2@h/d?table=t", ("id",))
RIGHT = SourceSpec("b", SourceType.FILE, "/data/b.csv", ("id",))
RECIPE = Recipe("r", "n", "SELECT 1", LEFT, RIGHT)


@given(recipes())
def test_a_recipe_survives_being_written_and_read(recipe):
    text = json.dumps(to_document(recipe))

    again = parse_recipe(text)

    assert again == recipe
    assert canonical_json(to_document(again)) == canonical_json(to_document(recipe))


@given(recipes())
def test_an_object_and_its_text_are_the_same_recipe(recipe):
    document = to_document(recipe)

    assert parse_recipe(document) == parse_recipe(json.dumps(document, ensure_ascii=False))


def test_what_has_its_default_is_left_out():
    assert to_document(RECIPE) == {
        "recipe_id": "r",
        "name": "n",
        "match_sql": "SELECT 1",
        "sources": {
            "left": {
                "alias": "a",
                "type": "postgres",
                "uri": "postgres://u:hunter2@h/d?table=t",
                "primary_key": ["id"],
            },
            "right": {
                "alias": "b",
                "type": "file",
                "uri": "/data/b.csv",
                "primary_key": ["id"],
            },
        },
    }


def test_a_masked_document_shows_no_password_and_leaves_paths_alone():
    right = replace(RIGHT, uri="/data/token=7/b.csv")

    document = to_document(replace(RECIPE, right=right), masked=True)

    assert document["sources"]["left"]["uri"] == "postgres://u:***@h/d?table=t"
    assert document["sources"]["right"]["uri"] == "/data/token=7/b.csv"


def test_canonical_json_does_not_depend_on_the_order_of_fields():
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'


def test_the_hash_is_that_of_the_masked_document():
    text = canonical_json(to_document(RECIPE, masked=True))

    assert recipe_sha256(RECIPE) == hashlib.sha256(text.encode()).hexdigest()


def test_the_hash_tells_recipes_apart_but_not_passwords():
    other_password = replace(RECIPE, left=replace(LEFT, uri="postgres://u:secret@h/d?table=t"))
    other_key = replace(RECIPE, right=replace(RIGHT, primary_key=("no",)))

    assert recipe_sha256(other_password) == recipe_sha256(RECIPE)
    assert recipe_sha256(other_key) != recipe_sha256(RECIPE)


def test_a_recipe_that_asks_for_pairs_has_the_document_of_one_that_asks_for_nothing():
    document = to_document(RECIPE)

    asking = parse_recipe({**document, "groups": "pairs"})

    assert to_document(asking) == document
    assert recipe_sha256(asking) == recipe_sha256(RECIPE)
