"""Samples of both sides of a recipe: Parquet files in a folder that goes away after the call.

Files of this machine are read by a child, all of them, and rows are kept that have partners.
Through a coordinator of somebody's own the first rows are what there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.client import Client
from kalla_core.errors import InvalidType, NotAllowed
from kalla_core.inspection.asked import SIDES, named
from kalla_core.inspection.request import Kind
from kalla_core.mcp.apart import Apart
from kalla_core.recipe.column_types import parse_type
from kalla_core.recipe.uris import LOCAL, resolve, scheme_of, type_of
from kalla_core.sources.protocol import SourceAccess

FIRST_ROWS = 10_000
_NOTHING = SourceAccess(allowed_roots=(), allowed_env=frozenset())
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reach:
    """What sources tools may name.

    Attributes:
        roots: folders of this machine below which files are read, the first of which relative
            paths start from; None where a coordinator decides.
        secrets: files that are no sources.
    """

    roots: tuple[Path, ...] | None
    secrets: tuple[Path, ...] = ()

    @property
    def access(self) -> SourceAccess:
        """Return what a child of this process may read."""
        if self.roots is None:
            return _NOTHING
        return SourceAccess(allowed_roots=self.roots, allowed_env=frozenset(), secrets=self.secrets)

    def uri(self, uri: str) -> str:
        """Return a URI as the engine takes it.

        Raises:
            NotAllowed: it is of another machine, and only files below the roots are read.
        """
        if self.roots is None:
            return uri
        if scheme_of(uri) != LOCAL:
            raise NotAllowed(
                "Without --coordinator only files of this machine are read; a coordinator says "
                "which databases and buckets may be."
            )
        return resolve(uri, self.roots[0])

    def recipe(self, document: Mapping[str, Any]) -> Json:
        """Return a recipe whose URIs are as the engine takes them.

        Raises:
            NotAllowed: as `uri`.
        """
        sources = document.get("sources")
        extras = document.get("extras")
        changed = dict(document)
        if isinstance(sources, Mapping):
            changed["sources"] = {name: self._source(one) for name, one in sources.items()}
        if isinstance(extras, list):
            changed["extras"] = [self._source(one) for one in extras]
        return changed

    def _source(self, one: object) -> object:
        if not isinstance(one, Mapping):
            return one
        changed = dict(one)
        if isinstance(one.get("uri"), str):
            changed["uri"] = self.uri(one["uri"])
        carry = one.get("carry")
        if isinstance(carry, Mapping) and isinstance(carry.get("evidence"), str):
            changed["carry"] = {**carry, "evidence": self.uri(carry["evidence"])}
        return changed


async def sampled(
    reach: Reach, apart: Apart, kalla: Client, sides: Sequence[Json], folder: Path
) -> Json:
    """Write samples of a left and a right source, and return where they lie.

    Args:
        sides: sources as in a recipe.

    Returns:
        What `kalla_core.inspection.pairing.sampled` does, with `how` for each side.

    Raises:
        KallaError: a source cannot be read.
    """
    if reach.roots is not None:
        asked = {**dict(zip(SIDES, sides, strict=True)), "folder": str(folder)}
        found = await apart.look(Kind.SAMPLE, asked, reach.access)
        for side in SIDES:
            found[side]["how"] = how(found[side]["taken"], found[side]["rows"])
        return found
    aliases = named(list(sides))
    looks = [_first_rows(kalla, one, folder / f"{side}.parquet", alias)
             for side, one, alias in zip(SIDES, sides, aliases, strict=True)]  # fmt: skip
    return dict(zip(SIDES, await asyncio.gather(*looks), strict=True))


def how(taken: int, rows: int) -> str:
    """Return how rows were chosen where all of a source was read."""
    return "all rows" if taken == rows else "rows chosen so that partners stay together"


async def _first_rows(kalla: Client, source: Json, path: Path, alias: str) -> Json:
    found = await kalla.preview(
        source["uri"], FIRST_ROWS, types=source.get("types"), filters=source.get("filters") or (),
        format=source.get("format"),
    )  # fmt: skip
    guess = found.get("guess") or {}
    written = source.get("format") or guess.get("format") or None
    document = {
        **source,
        "alias": alias,
        "type": source.get("type") or type_of(source["uri"]).value,
    }
    document.pop("primary_key", None)
    if written:
        document["format"] = written
        document["types"] = {**guess.get("types", {}), **(source.get("types") or {})}
    table = await asyncio.to_thread(_table, found)
    await asyncio.to_thread(pq.write_table, table, path)
    counted, taken = found["row_count"], len(table)
    rows = max(counted or 0, taken)
    whole = taken < FIRST_ROWS or rows == taken
    return {
        "source": document, "path": str(path), "rows": taken if whole else rows, "taken": taken,
        "undecidable": list(guess.get("undecidable", ())),
        "how": "all rows" if whole else f"the first {taken:,} rows",
    }  # fmt: skip


def _table(preview: Json) -> pa.Table:
    """Return the rows of a preview as a table of the types that it tells."""
    columns: dict[str, pa.Array] = {}
    for one in preview["columns"]:
        values = [row.get(one["name"]) for row in preview["rows"]]
        if any(isinstance(value, list | dict) for value in values):
            continue
        texts = pa.array([None if value is None else _text(value) for value in values], pa.string())
        columns[one["name"]] = _typed(texts, one["type"])
    return pa.table(columns)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(texts: pa.Array, word: str) -> pa.Array:
    try:
        return texts.cast(parse_type(word))
    except (InvalidType, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return texts
