import pytest

from kalla_core.errors import InvalidSetting
from kalla_core.recipe.override import override

DOCUMENT = {
    "recipe_id": "r",
    "sources": {"left": {"primary_key": ["a", "b"], "filters": []}, "right": "wrong"},
    "options": {"buckets": "auto", "partitions": 2},
}


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("options.buckets=7", 7),
        ("options.buckets=auto", "auto"),
        ('options.buckets="7"', "7"),
        ("options.buckets=", ""),
        ("options.buckets=NaN", "NaN"),
        ("options.buckets=[1, 2]", [1, 2]),
        ("options.buckets=a=b", "a=b"),
        (" options.buckets =null", None),
    ],
)
def test_a_value_is_json_if_it_reads_as_json_and_text_otherwise(assignment, value):
    assert override(DOCUMENT, assignment)["options"] == {"buckets": value, "partitions": 2}


def test_the_document_itself_stays_as_it_is():
    override(DOCUMENT, "sources.left.primary_key[0]=z")

    assert DOCUMENT["sources"]["left"]["primary_key"] == ["a", "b"]


def test_items_of_lists_are_changed_in_place_or_added_at_the_end():
    first = override(DOCUMENT, "sources.left.primary_key[0]=z")
    second = override(first, "sources.left.primary_key[2]=c")

    assert second["sources"]["left"]["primary_key"] == ["z", "b", "c"]


def test_what_leads_to_the_field_is_made_where_it_is_missing():
    changed = override({}, "sources.right.uri=data/x.csv?delimiter=;")

    assert changed == {"sources": {"right": {"uri": "data/x.csv?delimiter=;"}}}


def test_a_whole_filter_can_be_built_field_by_field():
    changed = override(DOCUMENT, "sources.left.filters[0].column=amount")
    changed = override(changed, "sources.left.filters[0].value[0]=5")

    assert changed["sources"]["left"]["filters"] == [{"column": "amount", "value": [5]}]


def test_a_column_of_any_name_can_be_typed():
    changed = override({}, "sources.left.types.due=date")
    changed = override(changed, 'sources.left.types["a.b \\"c\\""]=text')
    changed = override(changed, 'sources.left.types["a=b"]=date')

    assert changed["sources"]["left"]["types"] == {"due": "date", 'a.b "c"': "text", "a=b": "date"}


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("options.bucket=7", "no `bucket` in options. Did you mean `buckets`?"),
        ("sources.lefft.uri=x", "no `lefft` in sources. Did you mean `left`?"),
        ("option.buckets=7", "no `option` in a recipe. Did you mean `options`"),
        ("options.buckets.deep=7", "no `deep` in options.buckets. It takes no fields."),
        ("options[0]=7", "no `0` in options."),
        ("sources.left.alias[0]=7", "no `0` in sources.left.alias. It takes no fields."),
        ("options.buckets", "PATH=VALUE"),
        ("=7", "empty path"),
        ("options..buckets=7", "is not a path"),
        (".options=7", "is not a path"),
        ("options.[0]=7", "is not a path"),
        ("sources.left.primary_key[x]=7", "is not a path"),
        ("sources.left.primary_key[3]=c", "has 2 items, so the next is [2]"),
        ("sources.right.uri=x", "sources.right is text, not an object"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_a_hint(assignment, told):
    with pytest.raises(InvalidSetting) as refused:
        override(DOCUMENT, assignment)

    assert told in refused.value.message
    assert refused.value.message.startswith("--set ")


def test_a_path_through_what_is_no_list_is_refused():
    document = {"extras": {"alias": "fx"}}

    with pytest.raises(InvalidSetting, match="extras is an object, not a list"):
        override(document, "extras[0].uri=x")
