from datetime import UTC, datetime
from pathlib import Path

import pytest

from kalla_core.cli.recipes import read_recipe
from kalla_core.cli.run import default_output
from kalla_core.errors import InvalidSetting, RecipeInvalid
from kalla_core.ids import RunId
from tests.support.books import make_books

NOON = datetime(2026, 3, 31, 12, 0, 0, tzinfo=UTC)
RUN = RunId("1a2b3c4d-0000-0000-0000-000000000000")


@pytest.mark.parametrize(
    ("recipe_id", "folder"),
    [
        ("invoice-payment-match", "invoice-payment-match"),
        ("../../etc", "etc"),
        ("März / Q1", "M-rz-Q1"),
        ("...", "recipe"),
        ("x" * 300, "x" * 80),
    ],
)
def test_a_run_without_output_has_a_folder_named_after_recipe_time_and_run(
    tmp_path: Path, recipe_id: str, folder: str
) -> None:
    books = make_books(tmp_path)
    books.recipe["recipe_id"] = recipe_id
    recipe = read_recipe(books.write())

    output = default_output(recipe, RUN, NOON)

    assert output == Path("kalla-output") / folder / "20260331T120000Z-1a2b3c4d"


def test_later_overrides_beat_earlier_ones(tmp_path: Path) -> None:
    path = make_books(tmp_path).write()

    recipe = read_recipe(path, ["options.buckets=7", "options.buckets=9"])

    assert recipe.options.buckets == 9


def test_overridden_paths_start_from_the_folder_of_the_recipe(tmp_path: Path) -> None:
    path = make_books(tmp_path).write()

    recipe = read_recipe(path, ["sources.right.uri=march/payments.csv"])

    assert recipe.right.uri == f"{tmp_path}/march/payments.csv"


def test_an_override_must_name_a_field(tmp_path: Path) -> None:
    path = make_books(tmp_path).write()

    with pytest.raises(InvalidSetting, match="bukets"):
        read_recipe(path, ["options.bukets=7"])


def test_a_recipe_that_is_no_object_is_invalid_with_overrides_too(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text("[]")

    with pytest.raises(RecipeInvalid):
        read_recipe(path, ["options.buckets=7"])
