"""`kalla diff`: two versions of a table, and in what they differ."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa

from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.name_lists import listed
from kalla_core.cli.run import reconcile, start_logs
from kalla_core.cli.written_file import refuse_evidence, write_file
from kalla_core.differences.columns import Columns, Wish, pair_columns, unlike_texts
from kalla_core.differences.found import Found, found_json, found_of
from kalla_core.differences.recipe import ALIASES, recipe_of
from kalla_core.errors import InvalidSetting, KallaError
from kalla_core.evidence.reader import open_evidence
from kalla_core.ids import new_run_id
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.column_types import type_word
from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.recipe.uris import resolve, type_of
from kalla_core.settings import Settings, load_settings
from kalla_core.sources.pins import pinned_together
from kalla_core.sources.registry import connector_for

Specs = Mapping[Side, SourceSpec]

REPEATS = (
    "The key repeats: rows of one key are paired with those that they differ least from, whatever "
    "their order."
)


@dataclass(frozen=True, slots=True)
class DiffFlags:
    """The flags of `kalla diff` as they were given."""

    on: tuple[str, ...]
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    tolerances: tuple[str, ...] = ()
    recipe: Path | None = None
    output: str | None = None
    overwrite: bool = False
    memory_limit: str | None = None
    slots: int | None = None
    quiet: bool = False
    as_json: bool = False


def diff(left: str, right: str, flags: DiffFlags) -> ExitCode:
    """Compare two tables; `UNMATCHED` where they differ.

    Raises:
        KallaError: a source, a column or a flag is wrong.
    """
    settings = load_settings(memory_limit_bytes=flags.memory_limit, slots=flags.slots)
    start_logs(settings, quiet=True)
    wish = Wish(
        on=_names(flags.on, "--on"),
        columns=_names(flags.columns, "--columns"),
        ignored=_names(flags.ignored, "--ignore"),
        tolerances=dict(map(_tolerance, _names(flags.tolerances, "--tolerance"))),
    )
    if not wish.on:
        raise InvalidSetting("--on names the columns that identify a row: --on id,line.")
    if flags.recipe is not None and flags.output is not None:
        refuse_evidence(flags.recipe, flags.output)
    sources, columns = _looked_at({Side.LEFT: left, Side.RIGHT: right}, wish)
    with _output(flags.output) as output:
        found, document = _compared(sources, columns, output, settings, flags)
    if flags.recipe is not None:
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        write_file(flags.recipe, [text.encode()])
    if flags.as_json:
        print_json(found_json(found, flags.output))
    elif not flags.quiet:
        from kalla_core.cli.diff_report import show_differences  # tables for people

        show_differences(standard_output(), found, flags.output)
    return ExitCode.SUCCEEDED if found.equal else ExitCode.UNMATCHED


def _tolerance(text: str) -> tuple[str, str]:
    column, _, most = text.rpartition("=")
    try:
        number = Decimal(most)
    except InvalidOperation:
        number = Decimal("NaN")
    if not column or not number.is_finite() or number < 0:
        raise InvalidSetting(f"--tolerance takes COLUMN=NUMBER, as amount=0.01, not `{text}`.")
    return column.strip(), f"{number:f}"


def _names(given: tuple[str, ...], flag: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, listed(given, flag))))


def _looked_at(uris: Mapping[Side, str], wish: Wish) -> tuple[Specs, Columns]:
    """Return both sources, typed so that their columns can be compared, and their columns."""
    specs = {
        side: SourceSpec(ALIASES[side], type_of(uri), resolve(uri, Path.cwd()))
        for side, uri in uris.items()
    }
    schemas = _schemas(specs)
    typed = {side: _as_text(specs[side], texts) for side, texts in unlike_texts(schemas).items()}
    return typed, pair_columns(schemas if typed == specs else _schemas(typed), wish)


def _as_text(spec: SourceSpec, columns: tuple[str, ...]) -> SourceSpec:
    """Return a source that reads some columns as they are written, if it is one of text."""
    as_text = replace(spec, types=dict.fromkeys(columns, type_word(pa.string())))
    if not columns or spec.type is SourceType.POSTGRES:
        return spec
    try:
        with connector_for(as_text).pin(as_text):
            return as_text
    except KallaError:  # its types are its own, and stay
        return spec


def _schemas(specs: Specs) -> dict[Side, pa.Schema]:
    with pinned_together(tuple(specs.values())) as pinned:
        return {side: source.schema for side, (_, source) in zip(specs, pinned, strict=True)}


@contextmanager
def _output(asked: str | None) -> Iterator[str]:
    """Give where the evidence goes: for good where that was asked for, else for this command."""
    if asked is not None:
        yield asked
        return
    with tempfile.TemporaryDirectory(prefix="kalla-diff-") as folder:
        yield str(Path(folder) / "evidence")


def _compared(
    sources: Specs, columns: Columns, output: str, settings: Settings, flags: DiffFlags
) -> tuple[Found, dict[str, Any]]:
    """Run the recipe, and where the key turns out to repeat, the one for that."""
    notes: list[str] = []
    overwrite = flags.overwrite
    for key_repeats in (False, True):
        recipe, document = recipe_of(sources, columns, key_repeats=key_repeats)
        metadata = reconcile(
            recipe, new_run_id(), output, settings, overwrite=overwrite, quiet=flags.quiet
        )
        sides = (metadata.left, metadata.right)
        if key_repeats or not any(side.duplicate_keys for side in sides):
            break
        overwrite = True  # of what was written just now
        notes.append(REPEATS)
    with open_evidence(output) as evidence:
        return found_of(evidence, columns, notes), document
