"""`kalla validate`: everything that is wrong with a recipe, at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.recipes import read_recipe
from kalla_core.errors import RecipeInvalid
from kalla_core.inspection.documents import validation_document
from kalla_core.sources.protocol import PinnedSource
from kalla_core.validate import Validation, validate_recipe


def validate_file(path: Path, overrides: Sequence[str], *, as_json: bool) -> ExitCode:
    """Check a recipe file and its sources.

    Raises:
        RecipeInvalid: with all faults, unless they are printed as JSON.
        InvalidSetting: an override that names no field.
    """
    if not as_json:
        validation = validate_recipe(read_recipe(path, overrides))
        validation.demand()
        show_validation(standard_output(), path, validation)
        return ExitCode.SUCCEEDED
    try:
        validation = validate_recipe(read_recipe(path, overrides))
    except RecipeInvalid as error:
        validation = Validation(error.faults, (), {}, None)
    print_json(validation_document(validation))
    return ExitCode.USER_ERROR if validation.faults else ExitCode.SUCCEEDED


def show_validation(console: Console, path: Path, validation: Validation) -> None:
    """Print what a recipe without faults stands on."""
    console.print(Text.assemble(("✓ ", "green"), (str(path), "bold"), " is valid."))
    for alias, source in validation.sources.items():
        console.print(Text(f"  {alias}: {_size(source)}"))
    for warning in validation.warnings:
        console.print(Text.assemble(("Warning: ", "yellow"), warning))


def _size(source: PinnedSource) -> str:
    columns = f"{len(source.schema)} columns"
    rows, about = source.statistics.rows, "" if source.statistics.exact else "about "
    return columns if rows is None else f"{columns}, {about}{rows:,} rows"
