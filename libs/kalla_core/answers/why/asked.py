"""A key as somebody types it: `7`, `007` for a number, `["A-1", 7]` or its parts one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from kalla_core.errors import InvalidSetting, TypesNotComparable
from kalla_core.evidence.keys import key_text
from kalla_core.evidence.names import UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import UNMATCHED_FIELDS
from kalla_core.matching.sql.query import Side


def key_columns(evidence: Evidence, side: Side) -> list[pa.Field]:
    """Return the columns of a side's primary key as they stand in its unmatched output."""
    schema = evidence.schema(UNMATCHED[side])
    source = evidence.metadata.recipe.get("sources", {}).get(side.word, {})
    there = schema.names[len(UNMATCHED_FIELDS) :]
    fields = []
    for name in source.get("primary_key", ()):
        stored = next((one for one in (name, f"{name}_") if one in there), None)
        if stored is not None:
            fields.append(schema.field(stored))
    return fields


def key_texts(asked: Sequence[str], columns: Sequence[pa.Field]) -> tuple[str, ...]:
    """Return the texts that a key may have in the evidence, the likeliest first.

    Args:
        asked: as it was typed: one text, or a part for each column.
        columns: of the primary key; may be none where they cannot be told.

    Raises:
        InvalidSetting: it has another number of parts than the primary key.
    """
    parts = _parts(asked, len(columns))
    if columns and len(parts) != len(columns):
        names = ", ".join(field.name for field in columns)
        raise InvalidSetting(
            f"The primary key is {names}: a key has {len(columns)} "
            f"part{'s' if len(columns) > 1 else ''}, not {len(parts)}.",
            settings=["KEY"],
        )
    plain = parts[0] if len(parts) == 1 else _as_json(parts)
    typed = _typed(parts, columns)
    return tuple(dict.fromkeys(one for one in (typed, plain) if one is not None))


def _parts(asked: Sequence[str], count: int) -> list[str | None]:
    if len(asked) != 1 or count == 1 or not asked[0].lstrip().startswith("["):
        return list(asked)
    try:
        listed = json.loads(asked[0], parse_float=str)
    except ValueError:
        return list(asked)
    if not isinstance(listed, list):
        return list(asked)
    return [_part(one) for one in listed]


def _part(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _as_json(parts: Sequence[str | None]) -> str:
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def _typed(parts: Sequence[str | None], columns: Sequence[pa.Field]) -> str | None:
    """Return the text of the key whose parts have the types of the columns, if they can."""
    if not columns:
        return None
    try:
        arrays = [
            pa.array([part], pa.string()).cast(field.type)
            for part, field in zip(parts, columns, strict=True)
        ]
        text = key_text(arrays)[0].as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypesNotComparable):
        return None
    return text if isinstance(text, str) else None
