"""What reads new rows and carried ones as one source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa

from kalla_core.errors import KallaError, SourceChanged, SourceUnreadable
from kalla_core.recipe.model import Carry, SourceSpec
from kalla_core.recipe.uris import type_of
from kalla_core.sources.carry.columns import Earlier, carried_rows, needed, new_rows, united
from kalla_core.sources.carry.evidence import OpenItems, earlier_of, open_items, original_schema
from kalla_core.sources.files import FileConnector, local_files
from kalla_core.sources.naming import naming
from kalla_core.sources.protocol import (
    DEFAULT_BATCH_ROWS,
    Connector,
    Part,
    PartReader,
    PinnedSource,
    SourceAccess,
    Statistics,
)
from kalla_core.sources.s3 import s3_files

_NEW = "new"


class CarryingConnector:
    """A connector, and the open items of an earlier run behind what it reads.

    Filters are for the new rows: open items passed those of the run that left them open.

    Args:
        inner: reads the new rows.
        access: what the evidence of the earlier run has to lie in, as every source.
    """

    def __init__(self, inner: Connector, access: SourceAccess) -> None:
        self.name = inner.name
        self.inner = inner
        self._access = access

    @contextmanager
    def pin(self, spec: SourceSpec) -> Iterator[PinnedSource]:
        """Fix the new rows and the evidence (see `Connector.pin`)."""
        with self.inner.pin(without_carry(spec)) as pinned:
            yield self.carrying(spec, pinned)

    def carrying(self, spec: SourceSpec, pinned: PinnedSource) -> PinnedSource:
        """Return a pin of the new rows as one of both."""
        carry = _carry(spec)
        with naming(spec):
            found = open_items(spec, carry, self._access)
            looked = [self._looked_at(one, carry) for one in found]
            fields = {field.name: field for one in looked for field in one.schema}
            schema = united(pinned.schema, pa.schema(fields.values()), carry)
        told = {
            "evidence": carry.evidence.rstrip("/"),
            "run_id": found[0].run_id,
            "as_of": None if carry.as_of is None else carry.as_of.isoformat(),
            "rows": sum(one.rows for one in found),
        }
        return PinnedSource(
            spec=replace(spec, uri=pinned.spec.uri),
            schema=schema,
            identity={**pinned.identity, "carry": told},
            statistics=_together(pinned.statistics, [one.statistics for one in looked]),
            detail={
                **pinned.detail,
                "carry": {
                    "run_id": found[0].run_id,
                    "as_of": found[0].as_of.isoformat(),
                    "outputs": [
                        {
                            "uri": one.spec.uri,
                            "ours": list(one.ours),
                            "rows": one.rows,
                            "identity": seen.identity,
                        }
                        for one, seen in zip(found, looked, strict=True)
                    ],
                    "types": pinned.schema.serialize().to_pybytes().hex(),
                },
            },
        )

    def _looked_at(self, found: OpenItems, carry: Carry) -> _Looked:
        """Look at one output of the earlier run.

        Raises:
            SourceUnreadable: it is not what its run wrote.
        """
        with self._files(str(found.spec.uri)).pin(found.spec) as carried:
            if carried.statistics.rows != found.rows:
                raise SourceUnreadable(
                    f"`{found.spec.uri}` has {carried.statistics.rows} rows, and its run wrote "
                    f"{found.rows}.",
                    path=carry.evidence,
                )
            earlier = earlier_of(found, carried.schema)
            schema = original_schema(earlier, carried.schema)
            return _Looked(schema, carried.identity, carried.statistics)

    def plan(self, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Cut both; the parts of carried rows come last (see `Connector.plan`)."""
        new = self.inner.plan(_inner(pinned), parts)
        kinds: list[tuple[str | int, Part]] = [(_NEW, part) for part in new]
        for number, files in self._outputs(pinned):
            with self._carried(pinned, number) as carried:
                kinds += [(number, part) for part in files.plan(carried, parts)]
        return tuple(
            Part(index, {"carry": kind, "part": part.detail}, part.weight_bytes)
            for index, (kind, part) in enumerate(kinds)
        )

    def read(
        self,
        pinned: PinnedSource,
        part: Part,
        batch_rows: int = DEFAULT_BATCH_ROWS,
        columns: Collection[str] | None = None,
    ) -> PartReader:
        """Read a part of either (see `Connector.read`)."""
        schema = pinned.schema
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns])
        inside = Part(part.index, part.detail["part"], part.weight_bytes)
        wanted = needed(frozenset(schema.names), _carry(pinned.spec))
        if part.detail["carry"] == _NEW:
            inner = _inner(pinned)
            some = [name for name in inner.schema.names if name in wanted]
            reader = self.inner.read(inner, inside, batch_rows, some or inner.schema.names[:1])
            return _Reader(reader, schema, _carry(pinned.spec), None)
        number = int(part.detail["carry"])
        with self._carried(pinned, number) as carried:
            earlier = _earlier(pinned, number, carried)
            some = [earlier.columns[name] for name in earlier.columns if name in wanted]
            reader = dict(self._outputs(pinned))[number].read(
                carried, inside, batch_rows, some or carried.schema.names[:1]
            )
        return _Reader(reader, schema, _carry(pinned.spec), earlier)

    def preview(self, pinned: PinnedSource, rows: int) -> pa.Table:
        """Return the first rows, new ones first (see `Connector.preview`)."""
        carry, schema = _carry(pinned.spec), pinned.schema
        new = self.inner.preview(_inner(pinned), rows)
        batches = [new_rows(batch, schema, carry) for batch in new.to_batches()]
        for number, files in self._outputs(pinned):
            lacking = rows - sum(batch.num_rows for batch in batches)
            if not lacking:
                break
            with self._carried(pinned, number) as carried:
                earlier = _earlier(pinned, number, carried)
                old = files.preview(carried, lacking)
            batches += [
                carried_rows(_renamed(batch, earlier), schema, carry, earlier)
                for batch in old.to_batches()
            ]
        return pa.Table.from_batches(batches, schema)

    def verify(self, pinned: PinnedSource) -> None:
        """Check both (see `Connector.verify`)."""
        self.inner.verify(_inner(pinned))
        for number, files in self._outputs(pinned):
            with self._carried(pinned, number) as carried:
                files.verify(carried)

    def _outputs(self, pinned: PinnedSource) -> list[tuple[int, FileConnector]]:
        """Return the outputs of the earlier run, by number, with what reads each."""
        outputs = pinned.detail["carry"]["outputs"]
        return [(number, self._files(one["uri"])) for number, one in enumerate(outputs)]

    def _files(self, uri: str) -> FileConnector:
        return s3_files(self._access) if uri.startswith("s3://") else local_files(self._access)

    @contextmanager
    def _carried(self, pinned: PinnedSource, number: int) -> Iterator[PinnedSource]:
        """Pin an output of the evidence again, as it was."""
        told, alias = pinned.detail["carry"]["outputs"][number], pinned.spec.alias
        from_evidence = SourceSpec(alias, type_of(told["uri"]), told["uri"])
        try:
            with self._files(told["uri"]).pin(from_evidence) as carried:
                if carried.identity != told["identity"]:
                    raise _changed(told["uri"])
                yield carried
        except KallaError as error:
            if error.code == "source_not_found":
                raise _changed(told["uri"]) from error
            raise


@dataclass(frozen=True, slots=True)
class _Looked:
    """One output of the earlier run, its columns by the names of their source."""

    schema: pa.Schema
    identity: Mapping[str, Any]
    statistics: Statistics


class _Reader:
    """The rows of one part of either (see `PartReader`)."""

    def __init__(
        self, reader: PartReader, schema: pa.Schema, carry: Carry, earlier: Earlier | None
    ) -> None:
        self.excluded_rows: int | None = None
        self._reader, self._schema, self._carry, self._earlier = reader, schema, carry, earlier

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield rows with the columns of both."""
        for batch in self._reader:
            if self._earlier is None:
                yield new_rows(batch, self._schema, self._carry)
            else:
                renamed = _renamed(batch, self._earlier)
                yield carried_rows(renamed, self._schema, self._carry, self._earlier)
        self.excluded_rows = self._reader.excluded_rows


def without_carry(spec: SourceSpec) -> SourceSpec:
    """Return the source of the new rows alone."""
    return replace(spec, carry=None)


def _inner(pinned: PinnedSource) -> PinnedSource:
    """Return the pin of the new rows alone."""
    detail = {name: value for name, value in pinned.detail.items() if name != "carry"}
    identity = {name: value for name, value in pinned.identity.items() if name != "carry"}
    types = pa.py_buffer(bytes.fromhex(pinned.detail["carry"]["types"]))
    schema = pa.ipc.read_schema(types)
    return replace(
        pinned,
        spec=without_carry(pinned.spec),
        schema=_typed_as(schema, pinned.schema),
        identity=identity,
        detail=detail,
    )


def _typed_as(schema: pa.Schema, seen: pa.Schema) -> pa.Schema:
    """Return the schema of the new rows; a column that was taken to have no type has none."""
    return pa.schema(
        [
            seen.field(field.name) if pa.types.is_null(seen.field(field.name).type) else field
            for field in schema
        ]
    )


def _earlier(pinned: PinnedSource, number: int, carried: PinnedSource) -> Earlier:
    told = pinned.detail["carry"]
    output, day = told["outputs"][number], date.fromisoformat(told["as_of"])
    ours = tuple(output["ours"])
    found = OpenItems(carried.spec, ours, output["rows"], told["run_id"], day)
    return earlier_of(found, carried.schema)


def _renamed(batch: pa.RecordBatch, earlier: Earlier) -> pa.RecordBatch:
    """Return rows of unmatched by the original names of their columns, Kalla's left out."""
    originals = {name: original for original, name in earlier.columns.items()}
    kept = [name for name in batch.schema.names if name in originals]
    arrays = [batch.column(name) for name in kept]
    if not arrays:  # rows are counted by some column
        return batch
    return pa.record_batch(arrays, names=[originals[name] for name in kept])


def _together(new: Statistics, carried: Sequence[Statistics]) -> Statistics:
    old_rows = sum(one.rows or 0 for one in carried)
    old_bytes = sum(one.arrow_bytes or 0 for one in carried)
    rows = None if new.rows is None else new.rows + old_rows
    size = None if new.arrow_bytes is None else new.arrow_bytes + old_bytes
    return Statistics(rows, size, new.exact)


def _carry(spec: SourceSpec) -> Carry:
    assert spec.carry is not None  # noqa: S101 - nobody else is asked
    return spec.carry


def _changed(uri: str) -> SourceChanged:
    return SourceChanged(f"The evidence `{uri}` is not what it was when it was pinned.", path=uri)
