"""The earlier run, looked at through the doors that every source goes through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from kalla_core.errors import InvalidUri, SourceUnreadable
from kalla_core.recipe.model import Carry, SourceSpec
from kalla_core.recipe.uris import LOCAL, scheme_of, type_of
from kalla_core.sources.carry.columns import ADDED, Earlier
from kalla_core.sources.local import LocalStore
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.store import ByteStore
from kalla_core.sources.uri import absolute, parse_file_uri

METADATA = "metadata.json"
OURS = ("record_key", "rejection_reason", "reason_detail", "closest_candidate", "attempted_rules")
"""What rows of unmatched have before the columns of their source."""

OF_PARTLY = ("record_key", "rule_name", "match_group", "settled_amount", *ADDED)
"""... and rows that are matched in part; those added tell what is open of them."""

_MOST_BYTES = 64 << 20
_SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class OpenItems:
    """Open items of a source in one output of an earlier run.

    Attributes:
        spec: the source that reads them.
        ours: what they have before the columns of their source.
        rows: how many there are.
    """

    spec: SourceSpec
    ours: tuple[str, ...]
    rows: int
    run_id: str
    as_of: date


def open_items(spec: SourceSpec, carry: Carry, access: SourceAccess) -> tuple[OpenItems, ...]:
    """Look at the evidence that a source carries open items from.

    Returns:
        The outputs that have some: what is unmatched, and, where its recipe leaves rests, what is
        matched in part.

    Raises:
        InvalidUri: it is neither a folder nor in S3.
        SourceNotFound: there is none.
        SourceUnreadable: it is not whole, or it has no source of this alias.
        KallaError: it may not be read.
    """
    place = carry.evidence.rstrip("/")
    if scheme_of(place) not in (LOCAL, "s3"):
        raise InvalidUri(f"`carry`: evidence is a folder or s3://bucket/prefix, not `{place}`.")
    document = _document(place, access)
    try:
        recipe = document["recipe"]
        side = _side(recipe, spec.alias, place)
        outputs = {f"unmatched_{side}.parquet": OURS, f"partly_matched_{side}.parquet": OF_PARTLY}
        found = tuple(
            OpenItems(
                spec=SourceSpec(spec.alias, type_of(place), f"{place}/{name}"),
                ours=ours,
                rows=sum(rows),
                run_id=str(document["run_id"]),
                as_of=_as_of(document, recipe["sources"][side]),
            )
            for name, ours in outputs.items()
            if (rows := [o["rows"] for o in document["files"] if o["name"].startswith(name)])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SourceUnreadable(
            f"`{place}/{METADATA}` is not that of a run: {error!r}.", path=place
        ) from error
    return found


def earlier_of(found: OpenItems, schema: pa.Schema) -> Earlier:
    """Return the run as what its rows are made into needs it.

    Args:
        schema: of the file of these items.

    Raises:
        SourceUnreadable: it does not begin with Kalla's own columns.
    """
    ours = found.ours
    if tuple(schema.names[: len(ours)]) != ours:
        raise SourceUnreadable(f"`{found.spec.uri}` does not hold the open rows of a run.")
    names = [name for name in schema.names if name in ADDED or name not in ours]
    columns = {_original(name, schema.names, ours): name for name in names}
    return Earlier(found.run_id, found.as_of, columns)


def original_schema(earlier: Earlier, schema: pa.Schema) -> pa.Schema:
    """Return the columns of the source that the rows came from, by their own names."""
    return pa.schema(
        [schema.field(name).with_name(original) for original, name in earlier.columns.items()]
    )


def _original(name: str, names: list[str], ours: tuple[str, ...]) -> str:
    """Return what a column was called before it had to make way for one of Kalla's."""
    bare = name.rstrip("_")
    return bare if bare != name and bare in ours and bare in names else name


def _document(place: str, access: SourceAccess) -> Mapping[str, Any]:
    store: ByteStore
    if scheme_of(place) == LOCAL:
        store = LocalStore(access)
    else:
        from kalla_core.sources.s3 import S3Store

        store = S3Store()
    (file,) = store.list(_location(f"{place}/{METADATA}"))
    if file.size_bytes > _MOST_BYTES:
        raise SourceUnreadable(f"`{file.path}` is too large to be that of a run.", path=file.path)
    with store.open(file) as opened:
        content = opened.read(file.size_bytes)
    try:
        document = json.loads(content)
    except ValueError as error:
        raise SourceUnreadable(f"`{file.path}` is no JSON: {error}.", path=file.path) from error
    if not isinstance(document, dict):
        raise SourceUnreadable(f"`{file.path}` is not that of a run.", path=file.path)
    return document


def _location(uri: str) -> str:
    return parse_file_uri(absolute(uri, Path.cwd())).location


def _side(recipe: Mapping[str, Any], alias: str, place: str) -> str:
    aliases = {side: str(recipe["sources"][side]["alias"]) for side in _SIDES}
    for side, other in aliases.items():
        if other == alias:
            return side
    raise SourceUnreadable(
        f"The evidence `{place}` has no source `{alias}`, but `{aliases['left']}` and "
        f"`{aliases['right']}`: a source that carries open items keeps its alias.",
        path=place,
    )


def _as_of(document: Mapping[str, Any], source: Mapping[str, Any]) -> date:
    """Return the day that ages of the run counted to."""
    said = (source.get("carry") or {}).get("as_of")
    if said is not None:
        return date.fromisoformat(said)
    return datetime.fromisoformat(document["started_at"]).astimezone(UTC).date()
