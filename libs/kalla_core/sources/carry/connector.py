"""What reads new rows and carried ones as one source."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

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

_NEW, _CARRIED = "new", "carried"


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
            with self._reader(found).pin(found.spec) as carried:
                if carried.statistics.rows != found.rows:
                    raise SourceUnreadable(
                        f"`{found.spec.uri}` has {carried.statistics.rows} rows, and its run wrote "
                        f"{found.rows}.",
                        path=carry.evidence,
                    )
                earlier = earlier_of(found, carried.schema)
                schema = united(pinned.schema, original_schema(earlier, carried.schema), carry)
        told = {
            "evidence": carry.evidence.rstrip("/"),
            "run_id": found.run_id,
            "as_of": None if carry.as_of is None else carry.as_of.isoformat(),
            "rows": found.rows,
        }
        return PinnedSource(
            spec=replace(spec, uri=pinned.spec.uri),
            schema=schema,
            identity={**pinned.identity, "carry": told},
            statistics=_together(pinned.statistics, carried.statistics),
            detail={
                **pinned.detail,
                "carry": {
                    "identity": carried.identity,
                    "run_id": found.run_id,
                    "as_of": found.as_of.isoformat(),
                    "rows": found.rows,
                    "uri": found.spec.uri,
                    "types": pinned.schema.serialize().to_pybytes().hex(),
                },
            },
        )

    def plan(self, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Cut both; the parts of carried rows come last (see `Connector.plan`)."""
        new = self.inner.plan(_inner(pinned), parts)
        with self._carried(pinned) as carried:
            old = self._reader_of(pinned).plan(carried, parts)
        kinds = [(_NEW, part) for part in new] + [(_CARRIED, part) for part in old]
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
        with self._carried(pinned) as carried:
            earlier = _earlier(pinned, carried)
            some = [earlier.columns[name] for name in earlier.columns if name in wanted]
            reader = self._reader_of(pinned).read(
                carried, inside, batch_rows, some or carried.schema.names[:1]
            )
        return _Reader(reader, schema, _carry(pinned.spec), earlier)

    def preview(self, pinned: PinnedSource, rows: int) -> pa.Table:
        """Return the first rows, new ones first (see `Connector.preview`)."""
        carry, schema = _carry(pinned.spec), pinned.schema
        new = self.inner.preview(_inner(pinned), rows)
        batches = [new_rows(batch, schema, carry) for batch in new.to_batches()]
        if new.num_rows < rows:
            with self._carried(pinned) as carried:
                earlier = _earlier(pinned, carried)
                old = self._reader_of(pinned).preview(carried, rows - new.num_rows)
            batches += [
                carried_rows(_renamed(batch, earlier), schema, carry, earlier)
                for batch in old.to_batches()
            ]
        return pa.Table.from_batches(batches, schema)

    def verify(self, pinned: PinnedSource) -> None:
        """Check both (see `Connector.verify`)."""
        self.inner.verify(_inner(pinned))
        with self._carried(pinned) as carried:
            self._reader_of(pinned).verify(carried)

    def _reader(self, found: OpenItems) -> FileConnector:
        return self._files(str(found.spec.uri))

    def _reader_of(self, pinned: PinnedSource) -> FileConnector:
        return self._files(pinned.detail["carry"]["uri"])

    def _files(self, uri: str) -> FileConnector:
        return s3_files(self._access) if uri.startswith("s3://") else local_files(self._access)

    @contextmanager
    def _carried(self, pinned: PinnedSource) -> Iterator[PinnedSource]:
        """Pin the evidence again, as it was."""
        told, alias = pinned.detail["carry"], pinned.spec.alias
        from_evidence = SourceSpec(alias, type_of(told["uri"]), told["uri"])
        try:
            with self._reader_of(pinned).pin(from_evidence) as carried:
                if carried.identity != told["identity"]:
                    raise _changed(told["uri"])
                yield carried
        except KallaError as error:
            if error.code == "source_not_found":
                raise _changed(told["uri"]) from error
            raise


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


def _earlier(pinned: PinnedSource, carried: PinnedSource) -> Earlier:
    told = pinned.detail["carry"]
    found = OpenItems(carried.spec, told["rows"], told["run_id"], date.fromisoformat(told["as_of"]))
    return earlier_of(found, carried.schema)


def _renamed(batch: pa.RecordBatch, earlier: Earlier) -> pa.RecordBatch:
    """Return rows of unmatched by the original names of their columns, Kalla's left out."""
    originals = {name: original for original, name in earlier.columns.items()}
    kept = [name for name in batch.schema.names if name in originals]
    arrays = [batch.column(name) for name in kept]
    if not arrays:  # rows are counted by some column
        return batch
    return pa.record_batch(arrays, names=[originals[name] for name in kept])


def _together(new: Statistics, carried: Statistics) -> Statistics:
    rows = None if new.rows is None else new.rows + (carried.rows or 0)
    size = None if new.arrow_bytes is None else new.arrow_bytes + (carried.arrow_bytes or 0)
    return Statistics(rows, size, new.exact)


def _carry(spec: SourceSpec) -> Carry:
    assert spec.carry is not None  # noqa: S101 - nobody else is asked
    return spec.carry


def _changed(uri: str) -> SourceChanged:
    return SourceChanged(f"The evidence `{uri}` is not what it was when it was pinned.", path=uri)
