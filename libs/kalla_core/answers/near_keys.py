"""Rows whose key is that of a row but for one of its parts, found among those that are open.

A run looks for keys as a whole: what has the rest of a key may lie anywhere. Here all open rows of
the other side are gone through, up to a bound, for the few rows that somebody asks about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.why.told import apart
from kalla_core.evidence.keys import value_text
from kalla_core.evidence.names import UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import UNMATCHED_FIELDS
from kalla_core.matching.sql.query import Side

MOST_LOOKED_AT = 1_000_000
"""Open rows of a side that are gone through."""

MOST_ALIKE = 10
"""Rows that may have the rest of a key; where more have it, it tells nothing of the row."""

_BETWEEN = "\x1f"
_NOT_FOUND, _HAS, _NEAR = "No row of ", " has ", " Near in "

Parts = tuple[tuple[str, str], ...]
"""A key as a sentence has it: what each part is on the other side, and its value there."""


@dataclass(frozen=True, slots=True)
class NearKey:
    """A row of the other side that lacks one part of a key.

    Attributes:
        key: of that row.
        part: a column of its side, or what the match SQL makes of some.
        found: what it has there, as text; None where that is null, or computed.
        alike: how many open rows have all other parts.
        computed: the part is none of its columns.
    """

    key: str
    part: str
    wanted: str
    found: str | None
    alike: int
    computed: bool = False


def key_parts(detail: str) -> Parts:
    """Return the parts of the key that a sentence says nobody has; none if it says more than that.

    Values are texts without their quotes.
    """
    _, begins, rest = detail.partition(_NOT_FOUND)
    _, has, listed = rest.partition(_HAS)
    if not begins or not has or not listed.endswith(".") or _NEAR in listed:
        return ()
    pieces = [piece.partition(" = ") for piece in apart(listed[:-1], ", ")]
    if len(pieces) < 2 or not all(equals for _, equals, _ in pieces):
        return ()
    return tuple((name, _plain(value)) for name, _, value in pieces)


def parts_not_found(row: Mapping[str, Any]) -> Parts:
    """Return the parts of the key of a row, as evidence tells of it, that nobody has."""
    if row["rejection_reason"] != "key_not_found" or row["closest_candidate"] is not None:
        return ()
    return key_parts(str(row["reason_detail"] or ""))


def _plain(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] == "'"
    return value[1:-1].replace("''", "'") if quoted else value


def near_keys(evidence: Evidence, side: Side, wanted: Sequence[Parts]) -> dict[Parts, NearKey]:
    """Return for keys of several parts an open row of a side that lacks one of them, if there is.

    Of the parts it may lack, the one is told of whose rest the fewest rows have, and of these the
    row that comes first in the output.

    Args:
        side: that is looked through, not that of the rows asked about.
        wanted: keys that no row of it has.
    """
    by_names: dict[tuple[str, ...], list[Parts]] = {}
    for parts in dict.fromkeys(wanted):
        if len(parts) > 1:
            by_names.setdefault(tuple(name for name, _ in parts), []).append(parts)
    found: dict[Parts, NearKey] = {}
    there = evidence.schema(UNMATCHED[side]).names[len(UNMATCHED_FIELDS) :]
    for names, some in by_names.items():
        columns = [name for name in names if name in there]
        if len(columns) >= len(names) - 1 and len(set(names)) == len(names):
            found |= _Looking(names, columns, some).through(evidence, UNMATCHED[side])
    return found


@dataclass(slots=True)
class _Alike:
    """Rows that have the rest of a key: how many, the first of them, and what it has instead."""

    count: int = 0
    key: str = ""
    found: str | None = None


@dataclass(frozen=True, slots=True)
class _Looking:
    """Looks for keys of the same parts.

    Attributes:
        columns: the parts that are columns; one part may be computed of some.
    """

    names: tuple[str, ...]
    columns: Sequence[str]
    wanted: Sequence[Parts]
    _alike: dict[tuple[str, str], _Alike] = field(default_factory=dict)

    def through(self, evidence: Evidence, output: str) -> dict[Parts, NearKey]:
        """Return what is near, of the first rows of an output."""
        read = ["record_key", *self.columns]
        for batch in evidence.batches(output, limit=MOST_LOOKED_AT, columns=read):
            texts = {name: value_text(batch.column(name)) for name in self.columns}
            for part in self._lacking():
                self._count(part, texts, batch.column("record_key"))
        near = ((parts, self._nearest(parts)) for parts in self.wanted)
        return {parts: one for parts, one in near if one is not None}

    def _lacking(self) -> Sequence[str]:
        """Return the parts of which a row may lack one: the computed one, where there is one."""
        computed = [name for name in self.names if name not in self.columns]
        return computed or self.names

    def _rest(self, part: str, parts: Parts) -> str:
        return _BETWEEN.join(value for name, value in parts if name != part)

    def _count(self, part: str, texts: Mapping[str, pa.Array], keys: pa.Array) -> None:
        rest = [texts[name] for name in self.names if name != part]
        joined = pc.binary_join_element_wise(*rest, _BETWEEN)
        rests = pa.array(dict.fromkeys(self._rest(part, one) for one in self.wanted), pa.string())
        places = pc.indices_nonzero(pc.is_in(joined, value_set=rests, skip_nulls=True))
        if not len(places):
            return
        coded = joined.take(places).dictionary_encode()
        _, first, counts = np.unique(
            coded.indices.to_numpy(), return_index=True, return_counts=True
        )
        for value, at, count in zip(
            coded.dictionary.to_pylist(), places.take(pa.array(first)).to_pylist(), counts.tolist(),
            strict=True,
        ):  # fmt: skip
            alike = self._alike.setdefault((part, value), _Alike())
            if not alike.count:
                alike.key = str(keys[at].as_py())
                alike.found = texts[part][at].as_py() if part in texts else None
            alike.count += count

    def _nearest(self, parts: Parts) -> NearKey | None:
        best: NearKey | None = None
        for part, value in parts:
            alike = self._alike.get((part, self._rest(part, parts)))
            if alike is None or alike.count > (MOST_ALIKE if best is None else best.alike - 1):
                continue
            best = NearKey(
                alike.key, part, value, alike.found, alike.count, part not in self.columns
            )
        return best


def near_words(near: NearKey) -> str:
    """Return what is said of it, without a full stop."""
    has = "null" if near.found is None else f"{near.found!r}"
    has = "something else" if near.computed else has
    more = near.alike - 1
    also = f"; {more} more rows have the rest of it" if more > 1 else ""
    also = "; one more row has the rest of it" if more == 1 else also
    return (
        f"Open with all of its key but {near.part}: {near.key}, which has {has} and not "
        f"{near.wanted!r}{also}"
    )


def near_change(near: NearKey) -> str:
    """Return the end of a sentence: what would have made the two match."""
    return f"{near.part} {near.wanted!r} in {near.key}, or a key without {near.part}."
