"""`kalla preview`: what a source holds, without a recipe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.tables import rows_table
from kalla_core.errors import InvalidFilter, InvalidSetting
from kalla_core.observe.secrets import mask_text
from kalla_core.recipe.column_types import type_word
from kalla_core.recipe.document import ExtraDocument
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.parse import checked, extra_specs
from kalla_core.recipe.uris import resolve, type_of
from kalla_core.sources.protocol import PinnedSource
from kalla_core.sources.registry import connector_for

_ALIAS = "source"


def preview_source(
    uri: str, rows: int, *, types: Sequence[str], filters: Sequence[str], as_json: bool
) -> ExitCode:
    """Show columns, types and the first rows that pass the filters.

    Args:
        uri: as in a recipe; a relative path starts from the current folder.
        rows: how many rows at most.
        types: `COLUMN=TYPE` each.
        filters: JSON each, as in a recipe.
        as_json: print one JSON object instead of tables.

    Raises:
        KallaError: the source, a type or a filter is wrong.
    """
    spec = _spec(uri, types, filters)
    connector = connector_for(spec)
    with connector.pin(spec) as pinned:
        table = connector.preview(pinned, rows)
    if as_json:
        print_json(_document(pinned, table))
    else:
        _show(standard_output(), uri, pinned, table)
    return ExitCode.SUCCEEDED


def _spec(uri: str, types: Sequence[str], filters: Sequence[str]) -> SourceSpec:
    document = {
        "alias": _ALIAS,
        "type": type_of(uri).value,
        "uri": resolve(uri, Path.cwd()),
        "types": dict(_type(one) for one in types),
        "filters": [_filter(one) for one in filters],
    }
    shaped, faults = checked(document, ExtraDocument)
    if shaped is None:
        raise InvalidSetting("\n".join(f"{fault.path}: {fault.message}" for fault in faults))
    return extra_specs([shaped])[0]


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


def _document(pinned: PinnedSource, table: pa.Table) -> dict[str, Any]:
    return {
        "uri": mask_text(pinned.spec.uri or ""),
        "columns": [{"name": field.name, "type": type_word(field.type)} for field in table.schema],
        "row_count": pinned.statistics.rows,
        "row_count_exact": pinned.statistics.exact,
        "rows": table.to_pylist(),
    }
