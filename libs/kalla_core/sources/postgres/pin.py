"""What a pinned source keeps, as plain data, for whoever reads its parts."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from kalla_core.sources.postgres.parts import BlockPart, BlockRange
from kalla_core.sources.postgres.types import Typed, Wire
from kalla_core.sources.protocol import JsonObject, Part, PinnedSource


@dataclass(frozen=True, slots=True)
class Pin:
    """A table under a snapshot.

    Attributes:
        snapshot: id of the exported snapshot that all reading is done under.
        started: when the server was started: a snapshot does not outlive the server.
        utf8: whether the database keeps text in UTF-8.
        relation: full name of the table or view, in SQL.
        tables: full names of the tables in whose blocks its rows lie; empty if it is read whole.
        blocks: how many blocks each of them had, seen after the snapshot.
        inline: whether all values lie in those blocks, none elsewhere because it is large.
        columns: all columns, with the way they travel.
    """

    snapshot: str
    started: str
    utf8: bool
    relation: str
    tables: tuple[str, ...]
    blocks: tuple[int, ...]
    inline: bool
    columns: tuple[Typed, ...]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of all columns."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    def as_json(self) -> JsonObject:
        """Return the pin as it goes into `PinnedSource.detail`."""
        return {
            "snapshot": self.snapshot,
            "started": self.started,
            "utf8": self.utf8,
            "relation": self.relation,
            "tables": list(self.tables),
            "blocks": list(self.blocks),
            "inline": self.inline,
            "wires": [column.wire.value for column in self.columns],
        }

    @staticmethod
    def of(pinned: PinnedSource) -> Pin:
        """Return the pin that `as_json` wrote."""
        detail = pinned.detail
        return Pin(
            snapshot=str(detail["snapshot"]),
            started=str(detail["started"]),
            utf8=bool(detail["utf8"]),
            relation=str(detail["relation"]),
            tables=tuple(detail["tables"]),
            blocks=tuple(detail["blocks"]),
            inline=bool(detail["inline"]),
            columns=tuple(
                Typed(field.name, Wire(wire), field.type)
                for field, wire in zip(pinned.schema, detail["wires"], strict=True)
            ),
        )


def part_of(index: int, cut: BlockPart, block_bytes: int) -> Part:
    """Return ranges of blocks as a part."""
    ranges = [{"table": one.table, "start": one.start, "end": one.end} for one in cut.ranges]
    return Part(index, {"ranges": ranges}, cut.blocks * block_bytes)


def ranges_of(part: Part) -> tuple[BlockRange, ...]:
    """Return the ranges of a part; empty for a source that is read whole."""
    return tuple(
        BlockRange(one["table"], one["start"], one["end"]) for one in part.detail["ranges"]
    )
