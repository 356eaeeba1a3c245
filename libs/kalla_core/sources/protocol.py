"""What a connector offers, and the values that pass between it and the engine.

A source is **pinned** once per run: its exact schema, its snapshot (or, for files, sizes and
modification times) and its statistics are fixed, and everything later stands on that pin. A pin
and its parts are plain data: any process that gets them reads the same rows.

    connector = registry.connector_for(spec)
    with connector.pin(spec) as pinned:            # holds the snapshot, where there is one
        parts = connector.plan(pinned, parts=8)
        for batch in connector.read(pinned, parts[0]):
            ...
        connector.verify(pinned)                   # raises SourceChanged
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from kalla_core.recipe.model import SourceSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

JsonObject = Mapping[str, Any]

DEFAULT_BATCH_ROWS = 131_072


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """What this process lets connectors reach and take, from its settings; the default allows all.

    Attributes:
        allowed_roots: folders below which local files may be read; None for everywhere.
        allowed_env: variables that a URI may name as `${env:NAME}`; None for all.
        closed: folders below which no file is a source, wherever the roots lie.
        opened: folders in closed ones that are sources all the same.
        secrets: files that are none, whatever names they have; they need not be there.
        thread_bytes: memory that each thread which reads has for all that it does; None for plenty.
        threads: cores to use for what is looked at before it is read.
    """

    allowed_roots: tuple[Path, ...] | None = None
    allowed_env: frozenset[str] | None = None
    closed: tuple[Path, ...] = ()
    opened: tuple[Path, ...] = ()
    secrets: tuple[Path, ...] = ()
    thread_bytes: int | None = None
    threads: int = 1


EVERYTHING = SourceAccess()
"""No bounds, as on the command line."""

SILENT = "silent_s"
"""What the details of a `SourceUnavailable` have where the source fell silent: for how long."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is known of a source without reading it; None where it is not cheap to know.

    Attributes:
        rows: rows before filters, exact or a good estimate (see `exact`).
        arrow_bytes: estimated size of all rows as Arrow batches.
        exact: whether `rows` is exact.
    """

    rows: int | None = None
    arrow_bytes: int | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class PinnedSource:
    """A source fixed for one run. Plain data, safe to send to another process.

    Attributes:
        spec: as in the recipe, `uri` resolved (absolute path, secrets still unexpanded).
        schema: Arrow schema of every batch that `read` yields. Text is `pa.string()`, never a
            view or large type; decimals are Decimal128 or Decimal256; `pa.null()` is a column in
            which no row has a value, so that it has no type yet and fits every other.
        identity: what the snapshot's place is taken by (snapshot id; or files with size, mtime
            and ETag), as JSON, as it goes into metadata.json.
        detail: whatever else the connector needs to read a part, as JSON; `notes` and `texts` in it
            are for people.
    """

    spec: SourceSpec
    schema: pa.Schema
    identity: JsonObject
    statistics: Statistics
    detail: JsonObject

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was read otherwise than one might think."""
        return tuple(self.detail.get("notes", ()))

    @property
    def unseen(self) -> frozenset[str]:
        """Columns that are text because the rows that types are told from have no value there."""
        return frozenset(self.detail.get("unseen", ())).intersection(self.schema.names)

    @property
    def texts(self) -> Mapping[str, str]:
        """For columns that are text though they look like something else, what makes them so."""
        found: Mapping[str, str] = self.detail.get("texts", {})
        return found


@dataclass(frozen=True, slots=True)
class Part:
    """An independently readable piece: same pin and same part = same rows, in the same order.

    Parts are numbered from 0 in the source's own order, so (index, row in part) orders rows as
    the source does whatever the number of parts.
    """

    index: int
    detail: JsonObject
    weight_bytes: int = 0


class PartReader(Protocol):
    """The rows of one part, filters of the spec applied.

    Attributes:
        excluded_rows: rows the filters removed, once iteration has ended; None where the source
            itself applied them.
    """

    excluded_rows: int | None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of the columns asked for, in the source's order, none of them empty."""
        ...


class Connector(Protocol):
    """A kind of source. Stateless and safe to use from several threads.

    All methods raise `SourceNotFound`, `SourceUnavailable`, `SourceUnreadable`, `InvalidUri`,
    `InvalidFilter` or `UnknownColumn`, naming the source by its alias and masked URI.
    """

    name: str

    def pin(self, spec: SourceSpec) -> AbstractContextManager[PinnedSource]:
        """Fix the source for a run; leaving the context lets go of the snapshot."""
        ...

    def plan(self, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Cut the source into at most `parts` parts that cover every row once.

        There are none if it is empty and that can be known without reading it.
        """
        ...

    def read(
        self,
        pinned: PinnedSource,
        part: Part,
        batch_rows: int = DEFAULT_BATCH_ROWS,
        columns: Collection[str] | None = None,
    ) -> PartReader:
        """Read one part as a stream; at most `batch_rows` rows a batch.

        Args:
            columns: those that batches are to have, in the schema's order; None for all.
        """
        ...

    def preview(self, pinned: PinnedSource, rows: int) -> pa.Table:
        """Return the first rows, filters applied, without reading the whole source."""
        ...

    def verify(self, pinned: PinnedSource) -> None:
        """Raise `SourceChanged` when what was pinned is no longer what is there."""
        ...


@runtime_checkable
class PicksRows(Protocol):
    """What a connector also is where leaving rows out is cheaper than reading them."""

    def pick(
        self,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield some rows of a part that was read before, in order.

        What is in the other rows is not looked at.

        Args:
            wanted: for each row that `read` yields, whether it is.
            columns: those that batches are to have, in the schema's order, at least one; None for
                all.

        Raises:
            SourceChanged: the part has another number of rows.
        """
        ...

    def is_read_by_column(self, pinned: PinnedSource) -> bool:
        """Whether some columns first, and picked rows later, cost less than all rows at once."""
        ...
