"""Files whose folders say columns, as `year=2026/month=03`, around the format of the files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.errors import InvalidType, SourceUnreadable
from kalla_core.recipe.column_types import parse_type, type_word
from kalla_core.sources.filters import RowFilter
from kalla_core.sources.formats import FileSource, FormatReader, Pruned, Shape
from kalla_core.sources.marked import marked
from kalla_core.sources.paths import partition_values
from kalla_core.sources.protocol import Part, PinnedSource

_KEY = "partitions"
"""What the details of a pin have where folders say columns: names, and texts for each file."""


@dataclass(frozen=True, slots=True)
class PartitionedFormat:
    """Adds the columns that folders say, behind those of the files."""

    inner: FormatReader

    def shape(self, source: FileSource) -> Shape:
        """Find out what the files are, and what their folders say.

        Raises:
            SourceUnreadable: folders of some files say another column than those of others, or one
                that the files have as well.
            InvalidType: a value does not fit the type that `types` says.
        """
        said = [partition_values(source.root, file.path) for file in source.files]
        names = list(dict.fromkeys(name for one in said for name in one))
        if not names:
            return self.inner.shape(source)
        own = {name: word for name, word in source.types.items() if name not in names}
        found = self.inner.shape(replace(source, types=own))
        for file, one in zip(source.files, said, strict=True):
            for name in names:
                if name not in one:
                    raise SourceUnreadable(
                        f"No folder of `{file.path}` says `{name}=…`, as those of other files do.",
                        file=file.path,
                    )
                if name in found.schema.names:
                    raise SourceUnreadable(
                        f"`{name}` is a column of the files, and their folders say it as well.",
                        column=name,
                    )
        columns = [(name, _type(name, [one[name] for one in said], source.types)) for name in names]
        values = [[one[name] for name in names] for one in said]
        return replace(
            found,
            schema=pa.schema([*found.schema, *(pa.field(*column) for column in columns)]),
            detail={**found.detail, _KEY: {"names": names, "values": values}},
        )

    def plan(self, source: FileSource, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Cut the files."""
        return self.inner.plan(*_within(source, pinned), parts)

    def read(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        row_filter: RowFilter,
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read the pieces of a part, and say of each what its folders do."""
        if _KEY not in pinned.detail:
            yield from self.inner.read(source, pinned, part, row_filter, columns)
            return
        within, inner = _within(source, pinned)
        wanted = pinned.schema
        if columns is not None:
            wanted = pa.schema([one for one in wanted if one.name in columns])
            columns = [name for name in inner.schema.names if name in columns]
            columns = columns or inner.schema.names[:1]  # rows are counted by some column
        for piece in part.detail["pieces"]:
            of_file = Part(part.index, {**part.detail, "pieces": [piece]}, part.weight_bytes)
            texts = pinned.detail[_KEY]["values"][piece["file"]]
            constant = dict(zip(pinned.detail[_KEY]["names"], texts, strict=True))
            for batch in self.inner.read(within, inner, of_file, row_filter, columns):
                yield batch if isinstance(batch, Pruned) else _with(batch, wanted, constant)

    def pick(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read some rows of a part."""
        if _KEY not in pinned.detail:
            return self.inner.pick(source, pinned, part, wanted, columns)
        batches = self.read(source, pinned, part, RowFilter(()), columns)
        return marked((one for one in batches if isinstance(one, pa.RecordBatch)), wanted)

    def read_whole(
        self, source: FileSource, pinned: PinnedSource, row_filter: RowFilter
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read everything in order."""
        if _KEY not in pinned.detail:
            yield from self.inner.read_whole(source, pinned, row_filter)
            return
        for part in self.plan(source, pinned, 1):
            yield from self.read(source, pinned, part, row_filter)


def _within(source: FileSource, pinned: PinnedSource) -> tuple[FileSource, PinnedSource]:
    """Return files and pin without what folders say."""
    if _KEY not in pinned.detail:
        return source, pinned
    names = pinned.detail[_KEY]["names"]
    types = {name: word for name, word in source.types.items() if name not in names}
    schema = pa.schema([one for one in pinned.schema if one.name not in names])
    return replace(source, types=types), replace(pinned, schema=schema)


def _type(name: str, values: list[str | None], types: Mapping[str, str]) -> pa.DataType:
    texts = pa.array(values, pa.string())
    if name not in types:
        from kalla_core.sources.csv.infer import infer_type  # few sources have partitions

        return infer_type(pa.chunked_array([texts.cast(pa.binary())]))
    wanted = parse_type(types[name])
    try:
        texts.cast(wanted)
    except pa.ArrowInvalid as cause:
        raise InvalidType(
            f"`types` says that `{name}`, which folders say, is {type_word(wanted)}: {cause}.",
            column=name,
        ) from cause
    return wanted


def _with(
    batch: pa.RecordBatch, wanted: pa.Schema, constant: Mapping[str, str | None]
) -> pa.RecordBatch:
    arrays = [
        pa.repeat(pa.scalar(constant[one.name], pa.string()).cast(one.type), batch.num_rows)
        if one.name in constant
        else batch.column(one.name)
        for one in wanted
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)
