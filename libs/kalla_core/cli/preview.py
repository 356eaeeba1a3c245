"""`kalla preview`: what a source holds, without a recipe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.tables import rows_table
from kalla_core.errors import InvalidFilter, InvalidSetting
from kalla_core.inspection.documents import preview_document
from kalla_core.inspection.guess import forgiving_preview, guessed_preview
from kalla_core.inspection.preview import source_of
from kalla_core.observe.secrets import mask_text
from kalla_core.recipe.column_types import type_word
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.uris import resolve
from kalla_core.sources.csv.guess.found import Guess
from kalla_core.sources.protocol import PinnedSource

_FORMAT_TAKES = '--format takes JSON, as {"delimiter": ";", "decimal": ","}, or a file with it'


def preview_source(
    uri: str,
    rows: int,
    *,
    types: Sequence[str],
    filters: Sequence[str],
    written: str | None,
    guess: bool,
    as_json: bool,
) -> ExitCode:
    """Show columns, types and the first rows that pass the filters.

    Args:
        uri: as in a recipe; a relative path starts from the current folder.
        rows: how many rows at most.
        types: `COLUMN=TYPE` each.
        filters: JSON each, as in a recipe.
        written: the source's `format` as in a recipe, JSON or the path of a file with it.
        guess: find out how a file is written, as far as `written` does not say it.
        as_json: print one JSON object instead of tables.

    Raises:
        KallaError: the source, a type, a filter or the format is wrong.
    """
    spec = _spec(uri, types, filters, written)
    found = (guessed_preview if guess else forgiving_preview)(spec, rows)
    if as_json:
        print_json(preview_document(found))
        return ExitCode.SUCCEEDED
    console = standard_output()
    if found.guess is not None:
        _explain(console, uri, found.guess, found.failure)
    _show(console, uri, found.pinned, found.rows)
    return ExitCode.SUCCEEDED


def _spec(
    uri: str, types: Sequence[str], filters: Sequence[str], written: str | None
) -> SourceSpec:
    resolved = resolve(uri, Path.cwd())
    spec, faults = source_of(
        resolved,
        dict(_type(one) for one in types),
        [_filter(one) for one in filters],
        None if written is None else _format(written),
    )
    if spec is None:
        raise InvalidSetting("\n".join(f"{fault.path}: {fault.message}" for fault in faults))
    return spec


def _type(text: str) -> tuple[str, str]:
    column, equals, word = text.partition("=")
    if not equals or not column:
        raise InvalidSetting(f"--type takes COLUMN=TYPE, as amount=decimal(12,2), not `{text}`.")
    return column, word


def _filter(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidFilter(
            '--filter takes JSON, as {"column": "amount", "op": "gt", "value": 100}, '
            f"and `{text}` is none: {error}."
        ) from error


def _format(text: str) -> object:
    given = text if text.lstrip().startswith("{") else _read(Path(text))
    try:
        found = json.loads(given)
    except ValueError as error:
        raise InvalidSetting(
            f"{_FORMAT_TAKES}, and `{text}` {'is' if given == text else 'holds'} none: {error}."
        ) from error
    if not isinstance(found, dict):
        raise InvalidSetting(f"{_FORMAT_TAKES}; `{text}` holds no JSON object.")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"{_FORMAT_TAKES}, and the file `{path}` cannot be read: {error}."
        ) from error


def _explain(console: Console, uri: str, found: Guess, failure: str | None) -> None:
    if failure is not None:
        console.print(Text(f"{failure}\nIt is shown as it seems to be written instead."))
    whole = found.uri(uri) if found.file_format else ""
    for name, said in (("uri", whole), ("format", found.document()), ("types", found.types)):
        if said or (name == "format" and not found.file_format):
            shown = f'"{name}": {json.dumps(said, ensure_ascii=False)}'
            console.print(Text(shown, "bold"), soft_wrap=True)
    for sentence in found.evidence:
        console.print(Text(f"  {sentence}"))
    for sentence in found.undecidable:
        console.print(Text(f"Undecidable: {sentence}"))


def _show(console: Console, uri: str, pinned: PinnedSource, table: pa.Table) -> None:
    rows = pinned.statistics.rows
    counted = (
        "" if rows is None else f", {'' if pinned.statistics.exact else 'about '}{rows:,} rows"
    )
    columns = "1 column" if len(table.schema) == 1 else f"{len(table.schema)} columns"
    console.print(Text.assemble((mask_text(uri), "bold"), f": {columns}{counted}"))
    shown, left_out = rows_table(table, console.width)
    console.print(shown)
    if left_out:
        names = ", ".join(f"{field.name} {type_word(field.type)}" for field in left_out)
        console.print(Text(f"More columns: {names}"))
    for note in (*pinned.notes, *pinned.texts.values()):
        console.print(Text(f"Note: {note}"))
