import copy
import json

from hypothesis import example, given
from hypothesis import strategies as st

from kalla_core.errors import InvalidSetting, RecipeInvalid
from kalla_core.recipe.job import job_request, parse_job_request
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.override import override
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.paths import DOCUMENT, parse_path, path_text
from kalla_core.recipe.write import to_document
from tests.support.recipes import recipes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
STEPS = st.text(min_size=1, max_size=8) | st.integers(0, 99)


def places(value, location=()):
    """Every place in a JSON document."""
    yield location
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for step, inner in items:
        yield from places(inner, (*location, step))


def with_value(document, location, value):
    if not location:
        return value
    changed = copy.deepcopy(document)
    place = changed
    for step in location[:-1]:
        place = place[step]
    place[location[-1]] = value
    return changed


def with_anything(draw, document):
    location = draw(st.sampled_from(list(places(document))))
    return with_value(document, location, draw(JSON))


@given(st.data(), recipes())
def test_whatever_stands_in_a_recipe_it_is_taken_or_its_faults_are_told(data, recipe):
    document = with_anything(data.draw, to_document(recipe))

    try:
        outcome = parse_recipe(document)
    except RecipeInvalid as refused:
        outcome = refused

    assert isinstance(outcome, Recipe) or all(
        fault.path and fault.message for fault in outcome.faults
    )


@given(st.data(), recipes())
def test_whatever_stands_in_a_request_it_is_taken_or_its_faults_are_told(data, recipe):
    document = with_anything(data.draw, job_request(recipe, "run"))

    try:
        outcome = parse_job_request(document).recipe
    except RecipeInvalid as refused:
        outcome = refused

    assert isinstance(outcome, Recipe) or all(
        fault.path and fault.message for fault in outcome.faults
    )


@given(st.text() | st.binary())
def test_any_text_is_a_recipe_or_has_faults(text):
    try:
        outcome = parse_recipe(text)
    except RecipeInvalid as refused:
        outcome = refused

    assert isinstance(outcome, Recipe) or outcome.faults


@given(st.data(), recipes())
def test_any_field_of_a_recipe_can_be_set_to_what_it_is(data, recipe):
    document = to_document(recipe)
    location = data.draw(st.sampled_from([place for place in places(document) if place]))
    value = document
    for step in location:
        value = value[step]

    changed = override(document, f"{path_text(location)}={json.dumps(value)}")

    assert changed == document


@given(st.text())
@example("options.buckets[0][1].x=1")
@example('sources.left.types["a=b"]=text')
def test_any_override_is_made_or_refused(text):
    try:
        outcome = override({}, text)
    except InvalidSetting as refused:
        outcome = str(refused)

    assert isinstance(outcome, dict) or outcome.startswith("--set")


@given(st.lists(STEPS, min_size=1, max_size=5).filter(lambda steps: isinstance(steps[0], str)))
def test_a_path_survives_being_written_and_read(steps):
    assert parse_path(path_text(steps)) == tuple(steps)


def test_the_path_of_nothing_is_the_document():
    assert path_text(()) == DOCUMENT
