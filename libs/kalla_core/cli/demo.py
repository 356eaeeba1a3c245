"""`kalla demo`: the whole way from two files to evidence, shown step by step."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from kalla_core.cli.console import standard_output
from kalla_core.cli.demo_cluster import show_cluster
from kalla_core.cli.demo_data import RECIPE_ID, DemoFiles, write_demo
from kalla_core.cli.demo_postgres import show_postgres
from kalla_core.cli.explain import show_explanation
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.run import reconcile, start_logs
from kalla_core.cli.summary import show_summary
from kalla_core.cli.tables import rows_table
from kalla_core.cli.validate import show_validation
from kalla_core.errors import OutputExists, OutputNotWritable
from kalla_core.ids import new_run_id
from kalla_core.inspection.explain import explain_recipe
from kalla_core.recipe.model import Recipe, SourceSpec, SourceType
from kalla_core.recipe.parse import load_recipe
from kalla_core.settings import Settings, load_settings
from kalla_core.sources.registry import connector_for
from kalla_core.validate import validate_recipe

EVIDENCE = "evidence"
PASSES_EVIDENCE = "passes"
_SHOWN_ROWS = 4


def show_demo(folder: Path, *, cluster: bool = False) -> ExitCode:
    """Make up data, reconcile it in `folder`, and show each step.

    Args:
        cluster: also on a coordinator and executors that are started for it.

    Raises:
        OutputExists: the folder holds something else than an earlier demo.
        OutputNotWritable: it cannot be made or written.
    """
    settings = load_settings()
    start_logs(settings)
    console = standard_output()
    files = _data(console, folder)
    recipe = load_recipe(files.recipe)
    _show_recipe(console, recipe, files.recipe)
    _step(console, 3, "The recipe is checked, and explained")
    show_validation(console, files.recipe, validate_recipe(recipe))
    console.print()
    explanation = explain_recipe(recipe, settings.memory_limit_bytes, settings.slots)
    show_explanation(console, explanation)
    _step(console, 4, "The run")
    output = folder / EVIDENCE
    metadata = reconcile(recipe, new_run_id(), output, settings, overwrite=True)
    show_summary(console, metadata, output)
    _step(console, 5, "The same invoices from a PostgreSQL table")
    show_postgres(console, recipe, settings, folder, output)
    _step(console, 6, "The same files in passes: nothing used twice, nothing guessed")
    _show_passes(console, files.passes, folder / PASSES_EVIDENCE, settings)
    if cluster:
        _step(console, 7, "The same recipe on two executors")
        show_cluster(console, recipe, folder, output)
    _show_next(console, 8 if cluster else 7, files, output)
    return ExitCode.SUCCEEDED


def _data(console: Console, folder: Path) -> DemoFiles:
    _refuse_foreign(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = write_demo(folder)
    except OSError as error:
        raise OutputNotWritable(f"{folder} cannot be written: {error.strerror}.") from error
    _step(console, 1, "Two files that should agree, and do not quite")
    _show_rows(console, files.invoices, files.invoice_count)
    _show_rows(console, files.payments, files.payment_count)
    return files


def _refuse_foreign(folder: Path) -> None:
    """Leave a folder alone that is not empty and holds no earlier demo."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        found = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("recipe_id") != RECIPE_ID:
        raise OutputExists(
            f"{folder} holds something else than an earlier demo; name another folder: "
            "kalla demo SOME/FOLDER."
        )


def _show_rows(console: Console, path: Path, count: int) -> None:
    console.print(Text.assemble((str(path), "bold"), f", {count:,} rows"))
    table, left_out = rows_table(_first_rows(path), console.width)
    console.print(table)
    if left_out:
        console.print(Text("and " + ", ".join(field.name for field in left_out), style="dim"))
    console.print()


def _first_rows(path: Path) -> pa.Table:
    spec = SourceSpec(alias=path.stem, type=SourceType.FILE, uri=str(path.absolute()))
    connector = connector_for(spec)
    with connector.pin(spec) as pinned:
        return connector.preview(pinned, _SHOWN_ROWS)


def _show_recipe(console: Console, recipe: Recipe, path: Path) -> None:
    _step(console, 2, "A recipe says when an invoice and a payment belong together")
    console.print(Text.assemble((str(path), "bold"), f": {recipe.match_description}.\n"))
    console.print(Syntax(recipe.match_sql, "sql", theme="ansi_dark", background_color="default"))
    console.print()


def _show_passes(console: Console, path: Path, output: Path, settings: Settings) -> None:
    console.print(
        Text.assemble((str(path), "bold"), ": one payment for one invoice, then payments")
    )
    console.print("that add up to one, then what is off by a fee, which is only proposed.\n")
    recipe = load_recipe(path)
    metadata = reconcile(recipe, new_run_id(), output, settings, overwrite=True)
    show_summary(console, metadata, output)


def _show_next(console: Console, number: int, files: DemoFiles, output: Path) -> None:
    _step(console, number, "What to try next")
    program = "kalla" if shutil.which("kalla") else sys.argv[0]
    recipe = files.recipe
    for arguments, why in (
        (f"preview {output}/unmatched_left.parquet", "the invoices that are left over"),
        (f"preview {output.parent / PASSES_EVIDENCE}/ambiguous.parquet", "what nobody can tell"),
        (f"run {files.instalments}", "a rule for instalments as well: more matches"),
        (f"explain {recipe} --verbose", "the query plan"),
        (f"run {recipe} --buckets 16 --memory-limit 512MiB", "the same answer by other means"),
        (f"run {recipe} --json --fail-on-unmatched", "for a script; exits with 1"),
        ("ui", "all of this in a browser, on this machine"),
    ):
        console.print(Text(f"  # {why}", style="dim"))
        console.print(Text(f"  {program} {arguments}", style="bold"), soft_wrap=True)


def _step(console: Console, number: int, title: str) -> None:
    console.print(Rule(Text(f"{number}  {title}", style="bold cyan"), align="left", style="dim"))
