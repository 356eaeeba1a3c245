"""The connector for tables and views of MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import closing, contextmanager

import pyarrow as pa

from kalla_core.errors import InvalidFormat, InvalidUri
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.source_format import AS_USUAL
from kalla_core.sources.filters import RowFilter, compile_filters
from kalla_core.sources.mysql.session import session
from kalla_core.sources.mysql.table import batches, described, look, pinned_table
from kalla_core.sources.mysql.uri import MysqlUri, parse_mysql_uri
from kalla_core.sources.naming import naming
from kalla_core.sources.protocol import (
    DEFAULT_BATCH_ROWS,
    Part,
    PinnedSource,
    SourceAccess,
    Statistics,
)

_TABLE = "table"
_BYTES_A_VALUE = 16


class MysqlPartReader:
    """The rows of a table (see `PartReader`); each iteration opens a connection of its own."""

    def __init__(
        self,
        pinned: PinnedSource,
        uri: MysqlUri,
        row_filter: RowFilter,
        batch_rows: int,
        columns: Collection[str] | None,
        *,
        is_checked: bool = True,
    ) -> None:
        self._is_checked = is_checked
        self.excluded_rows: int | None = None
        self._pinned = pinned
        self._uri = uri
        self._filter = row_filter
        self._batch_rows = batch_rows
        self._columns = columns

    def __iter__(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows that the filters keep."""
        was, spec = self._pinned.detail[_TABLE], self._pinned.spec
        columns = self._columns
        needed = None if columns is None else {*columns, *self._filter.columns}
        if needed is not None and not needed:
            needed = {self._pinned.schema.names[0]}  # rows are counted by some column
        excluded = 0
        with naming(spec), session(self._uri) as reader:
            if self._is_checked:
                table = pinned_table(reader, spec, self._uri, was)
            else:
                table = described(reader, spec, self._uri, was)
            with closing(batches(reader, table, needed, self._batch_rows)) as found:
                for batch in found:
                    kept = self._filter.keep(batch)
                    excluded += batch.num_rows - kept.num_rows
                    if columns is not None:
                        kept = kept.select([one for one in kept.schema.names if one in columns])
                    if kept.num_rows:
                        yield kept
            if self._is_checked and not table.steady:
                pinned_table(reader, spec, self._uri, was)
        self.excluded_rows = excluded


class MysqlConnector:
    """Tables and views of MySQL and MariaDB, as a `Connector`."""

    name = "mysql"

    def __init__(self, access: SourceAccess) -> None:
        self._access = access

    @contextmanager
    def pin(self, spec: SourceSpec) -> Iterator[PinnedSource]:
        """Describe the table and take the fingerprint of its rows (see `Connector.pin`)."""
        with naming(spec):
            uri = self._uri(spec)
            with session(uri) as reader:
                table = look(reader, spec, uri)
        size = table.rows * _BYTES_A_VALUE * len(table.columns)
        pinned = PinnedSource(
            spec=spec,
            schema=table.schema,
            identity={"kind": "mysql", "rows": table.rows, "digest": table.digest},
            statistics=Statistics(table.rows, size, exact=True),
            detail={_TABLE: table.as_json()},
        )
        yield pinned

    def plan(self, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Leave the table whole: a snapshot is one connection's (see `Connector.plan`)."""
        with naming(pinned.spec):
            compile_filters(pinned.spec.filters, pinned.schema)
        if not pinned.statistics.rows:
            return ()
        return (Part(0, {}, pinned.statistics.arrow_bytes or 0),)

    def read(
        self,
        pinned: PinnedSource,
        part: Part,
        batch_rows: int = DEFAULT_BATCH_ROWS,
        columns: Collection[str] | None = None,
    ) -> MysqlPartReader:
        """Read the table in a snapshot of its own (see `Connector.read`)."""
        with naming(pinned.spec):
            row_filter = compile_filters(pinned.spec.filters, pinned.schema)
            uri = self._uri(pinned.spec)
        return MysqlPartReader(pinned, uri, row_filter, batch_rows, columns)

    def preview(self, pinned: PinnedSource, rows: int) -> pa.Table:
        """Return the first rows that pass (see `Connector.preview`)."""
        if rows <= 0:
            return pinned.schema.empty_table()
        with naming(pinned.spec):
            row_filter = compile_filters(pinned.spec.filters, pinned.schema)
            uri = self._uri(pinned.spec)
        most = min(rows, DEFAULT_BATCH_ROWS)
        reader = MysqlPartReader(pinned, uri, row_filter, most, None, is_checked=False)
        found: list[pa.RecordBatch] = []
        missing = rows
        with closing(iter(reader)) as given:
            for batch in given:
                found.append(batch.slice(0, missing))
                missing -= found[-1].num_rows
                if missing <= 0:
                    break
        return pa.Table.from_batches(found, pinned.schema)

    def verify(self, pinned: PinnedSource) -> None:
        """Take the fingerprint once more (see `Connector.verify`)."""
        with naming(pinned.spec):
            uri = self._uri(pinned.spec)
            with session(uri) as reader:
                pinned_table(reader, pinned.spec, uri, pinned.detail[_TABLE])

    def _uri(self, spec: SourceSpec) -> MysqlUri:
        with naming(spec):
            if spec.uri is None:
                raise InvalidUri("It has no uri.")
            if spec.format != AS_USUAL:
                raise InvalidFormat("A table has types of its own; `format` is for files.")
            return parse_mysql_uri(spec.uri, self._access)


def mysql_tables(access: SourceAccess) -> MysqlConnector:
    """Return the connector for MySQL and MariaDB."""
    return MysqlConnector(access)
