"""The recipe a command works on: a file, with single fields overridden by flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kalla_core.recipe.model import Recipe
from kalla_core.recipe.override import override
from kalla_core.recipe.parse import load_document, parse_document


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply `PATH=VALUE` overrides, in order.

    Relative paths, overridden ones too, start from the recipe's folder.

    Raises:
        RecipeInvalid: with every fault that can be found without looking at the sources.
        InvalidSetting: an override that names no field.
    """
    document, repeated = load_document(path)
    if isinstance(document, Mapping):  # else it is for the parser to say what is wrong
        for assignment in overrides:
            document = override(document, assignment)
    return parse_document(document, repeated, path.absolute().parent)
