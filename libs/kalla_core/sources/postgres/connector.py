"""The connector for tables and views of a Postgres database."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

import numpy as np
import pyarrow as pa

from kalla_core.errors import InvalidFormat, InvalidUri, SourceChanged, SourceUnreadable
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.source_format import AS_USUAL
from kalla_core.sources.filters import compile_filters
from kalla_core.sources.marked import Bools, marked
from kalla_core.sources.naming import naming
from kalla_core.sources.postgres import statements
from kalla_core.sources.postgres.bundles import unbundled
from kalla_core.sources.postgres.conditions import where
from kalla_core.sources.postgres.parts import cut
from kalla_core.sources.postgres.pin import Pin, part_of, ranges_of
from kalla_core.sources.postgres.session import Session, reading_session, session
from kalla_core.sources.postgres.snapshots import enter, held, lost
from kalla_core.sources.postgres.types import text_instead
from kalla_core.sources.postgres.uri import PostgresUri, parse_postgres_uri
from kalla_core.sources.postgres.wire import received
from kalla_core.sources.protocol import (
    DEFAULT_BATCH_ROWS,
    Part,
    PartReader,
    PinnedSource,
    SourceAccess,
)

_BLOCK_BYTES = 8192
_NOT_A_NUMBER = "cannot convert NaN"
_NOT_AS_THEY_LIE = ("enable_indexscan", "enable_indexonlyscan")
"""Ways in which a server may read rows of a table in another order than they lie in: what is read
of them a second time would go with others, if it then chose another way."""
_WORTH_PICKING = 2 / 3
"""Measured: of more rows than that it costs a server less to send all than to number them."""


class PostgresPartReader:
    """The rows of one part (see `PartReader`); each iteration opens a connection of its own.

    The server applies the filters, so nobody knows how many rows they removed.
    """

    excluded_rows: int | None = None

    def __init__(
        self,
        pinned: PinnedSource,
        uri: PostgresUri,
        queries: Sequence[statements.Query],
        batch_rows: int,
        columns: Collection[str] | None,
    ) -> None:
        self._pinned = pinned
        self._pin = Pin.of(pinned)
        self._uri = uri
        self._queries = queries
        self._batch_rows = batch_rows
        self._columns, self._schema = statements.selected(self._pin, columns)

    def __iter__(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield batches as the server sends them; giving up early stops the query there."""
        with naming(self._pinned.spec), reading_session(self._uri) as reader:
            enter(reader, self._pin.snapshot)
            if self._pin.tables:
                for way in _NOT_AS_THEY_LIE:
                    reader.run(f"SET LOCAL {way} = off")
            bundles = True
            for query in self._queries:
                bundle = self._unbundled(reader, query) if bundles else None
                bundles = bundle is not None
                found = _alone(bundle) if bundle is not None else reader.stream(query.sql)
                with closing(self._read(found)) as batches:
                    yield from batches

    def _unbundled(self, reader: Session, query: statements.Query) -> pa.RecordBatch | None:
        """Return all rows of a query at once; None where they have to be read one by one."""
        if query.bundled is None:
            return None
        with self._naming_columns(), closing(reader.stream(query.bundled)) as sent:
            (bundle,) = sent
        return unbundled(bundle, self._columns)

    def _read(
        self, sent: Generator[pa.RecordBatch, None, None]
    ) -> Generator[pa.RecordBatch, None, None]:
        with self._naming_columns(), closing(sent):
            for batch in sent:
                whole = received(batch, self._columns, self._schema)
                for start in range(0, whole.num_rows, self._batch_rows):
                    yield whole.slice(start, self._batch_rows)

    @contextmanager
    def _naming_columns(self) -> Iterator[None]:
        try:
            yield
        except SourceUnreadable as error:
            if _NOT_A_NUMBER not in error.message:
                raise
            raise self._not_a_number(error) from error

    def _not_a_number(self, error: SourceUnreadable) -> SourceUnreadable:
        """Find out which column the server meant when it could not send a NaN as a decimal."""
        query = statements.of_not_a_number(self._pin, [c.name for c in self._columns])
        with session(self._uri) as reader:
            enter(reader, self._pin.snapshot)
            position = None if query is None else reader.row(query)["position"]
        if position is None:
            return error
        name = self._pin.columns[position].name
        return SourceUnreadable(
            f"The column `{name}` holds NaN, which no decimal can be. {text_instead(name)}",
            column=name,
        )


class PostgresConnector:
    """Tables, views, partitioned and foreign tables of Postgres, as a `Connector`."""

    name = "postgres"

    def __init__(self, access: SourceAccess) -> None:
        self._access = access

    @contextmanager
    def pin(self, spec: SourceSpec) -> Iterator[PinnedSource]:
        """Hold a snapshot of the table's database (see `Connector.pin`)."""
        with self.pin_together((spec,)) as (pinned,):
            yield pinned

    def pin_together(
        self, specs: Sequence[SourceSpec]
    ) -> AbstractContextManager[tuple[PinnedSource, ...]]:
        """Hold one snapshot for all sources of one database (see `GroupConnector`)."""
        return held([(spec, self._uri(spec)) for spec in specs])

    def plan(self, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Cut the table into ranges of blocks (see `Connector.plan`)."""
        with naming(pinned.spec):
            compile_filters(pinned.spec.filters, pinned.schema)
            pin = Pin.of(pinned)
            if not pin.tables:
                # Whether a view has rows is known when it has been computed: once is enough.
                return (Part(0, {"ranges": []}, pinned.statistics.arrow_bytes or 0),)
            found = enumerate(cut(pin.blocks, parts))
            return tuple(part_of(index, one, _BLOCK_BYTES) for index, one in found)

    def read(
        self,
        pinned: PinnedSource,
        part: Part,
        batch_rows: int = DEFAULT_BATCH_ROWS,
        columns: Collection[str] | None = None,
    ) -> PartReader:
        """Read one part under the snapshot (see `Connector.read`)."""
        with naming(pinned.spec):
            pin = Pin.of(pinned)
            wanted, _ = statements.selected(pin, columns)
            key = pinned.spec.primary_key
            queries = statements.of_part(
                pin, wanted, self._condition(pinned, pin), ranges_of(part), key
            )
            uri = self._uri(pinned.spec)
            return PostgresPartReader(pinned, uri, tuple(queries), batch_rows, columns)

    def pick(
        self,
        pinned: PinnedSource,
        part: Part,
        wanted: Bools,
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read some rows of a part under the snapshot (see `PicksRows.pick`)."""
        picked = int(np.count_nonzero(wanted))
        with naming(pinned.spec):
            pin = Pin.of(pinned)
            if not pin.tables or picked > _WORTH_PICKING * len(wanted):
                return marked(self.read(pinned, part, columns=columns), wanted)
            asked, _ = statements.selected(pin, columns)
            condition = self._condition(pinned, pin)
            query = statements.of_picked(pin, asked, condition, ranges_of(part), wanted)
            uri = self._uri(pinned.spec)
        reader = PostgresPartReader(pinned, uri, (query,), DEFAULT_BATCH_ROWS, columns)
        return _counted(reader, picked, pinned.spec)

    def is_read_by_column(self, pinned: PinnedSource) -> bool:
        """Whether rows lie in tables: a view would be computed a second time.

        What a server does and sends for a row, and what is made of it here, is mostly by column.
        """
        return bool(Pin.of(pinned).tables)

    def preview(self, pinned: PinnedSource, rows: int) -> pa.Table:
        """Return the first rows that pass; of a view, any (see `Connector.preview`)."""
        with naming(pinned.spec):
            pin = Pin.of(pinned)
            queries = statements.of_first_rows(pin, self._condition(pinned, pin), rows)
            uri = self._uri(pinned.spec)
        if rows <= 0:
            return pinned.schema.empty_table()
        reader = PostgresPartReader(pinned, uri, tuple(queries), rows, None)
        return _first(reader, pinned.schema, rows)

    def verify(self, pinned: PinnedSource) -> None:
        """Check that the snapshot is still held, by entering it (see `Connector.verify`)."""
        pin = Pin.of(pinned)
        with naming(pinned.spec), session(self._uri(pinned.spec)) as reader:
            enter(reader, pin.snapshot)
            started = reader.row("SELECT pg_postmaster_start_time()::text AS started")["started"]
            if started != pin.started:
                raise lost(pin.snapshot)

    def _uri(self, spec: SourceSpec) -> PostgresUri:
        with naming(spec):
            if spec.uri is None:
                raise InvalidUri("It has no uri.")
            if spec.format != AS_USUAL:
                raise InvalidFormat("A table has types of its own; `format` is for CSV.")
            return parse_postgres_uri(spec.uri, self._access)

    def _condition(self, pinned: PinnedSource, pin: Pin) -> str:
        row_filter = compile_filters(pinned.spec.filters, pinned.schema)
        return where(row_filter, pinned.schema, utf8=pin.utf8)


def postgres_tables(access: SourceAccess) -> PostgresConnector:
    """Return the connector for Postgres."""
    return PostgresConnector(access)


def _alone(batch: pa.RecordBatch) -> Generator[pa.RecordBatch, None, None]:
    yield batch


def _counted(
    batches: Iterable[pa.RecordBatch], rows: int, spec: SourceSpec
) -> Iterator[pa.RecordBatch]:
    """Yield batches, and fail where they have not so many rows."""
    found = 0
    for batch in batches:
        found += batch.num_rows
        yield batch
    if found != rows:
        with naming(spec):
            raise SourceChanged(
                f"It changed while it was read: of a part of it, {rows} rows were to be read once"
                f" more, and {found} were found."
            )


def _first(reader: PostgresPartReader, schema: pa.Schema, rows: int) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    missing = rows
    with closing(iter(reader)) as found:
        for batch in found:
            batches.append(batch.slice(0, missing))
            missing -= batches[-1].num_rows
            if missing <= 0:
                break
    return pa.Table.from_batches(batches, schema)
