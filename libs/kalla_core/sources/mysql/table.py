"""A table as it is pinned: its columns, a fingerprint of all its rows, and how they are read.

MySQL cannot share a snapshot between connections. So each reading has one of its own, and before it
reads asks for the fingerprint once more: rows are those that were pinned, or the source changed.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from kalla_core.errors import SourceChanged, SourceNotFound, SourceUnreadable
from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.mysql.quoting import literal, quoted
from kalla_core.sources.mysql.session import Session
from kalla_core.sources.mysql.types import Column, Typed, as_typed, bits_of, check_types, typed
from kalla_core.sources.mysql.uri import MysqlUri
from kalla_core.sources.protocol import JsonObject

_PAGE_ROWS = 65_536
_WHOLE = ("tinyint", "smallint", "mediumint", "int", "bigint")
_UTF8_BYTES = 4
_LEAST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Table:
    """A table, pinned; plain data.

    Attributes:
        place: its name in SQL.
        columns: in order.
        order: what rows are sorted by, in SQL.
        key: the only column of a primary key of whole numbers, by which pages are turned.
        sizes: of the columns that are measured, how long the longest value is.
        rows: how many there are; `digest` changes with any of them.
        steady: whether its engine shows one state within a transaction.
    """

    place: str
    columns: tuple[Typed, ...]
    order: str
    key: str | None
    sizes: dict[str, int]
    rows: int
    digest: str
    steady: bool

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of all columns."""
        return pa.schema([(one.name, one.type) for one in self.columns])

    def as_json(self) -> JsonObject:
        """Return what `pinned` needs to have the same table again."""
        return {"rows": self.rows, "digest": self.digest, "sizes": self.sizes}


def look(reader: Session, spec: SourceSpec, uri: MysqlUri) -> Table:
    """Describe a table, count its rows and take its fingerprint; raises as `described`."""
    return _measured(reader, described(reader, spec, uri))


def described(
    reader: Session, spec: SourceSpec, uri: MysqlUri, was: JsonObject | None = None
) -> Table:
    """Describe a table, without looking at its rows.

    Args:
        was: what was pinned, if it was.

    Raises:
        SourceNotFound: it is not there.
        SourceUnreadable: a column of a type, or with values, that are not read.
    """
    where = f"table_schema = {literal(uri.database)} AND table_name = {literal(uri.table)}"
    found = reader.rows(
        "SELECT column_name AS name, LOWER(data_type) AS kind, LOWER(column_type) AS full,"
        " COALESCE(numeric_precision, 0) AS digits, COALESCE(numeric_scale, 0) AS scale,"
        f" column_key AS part_of FROM information_schema.columns WHERE {where}"
        " ORDER BY ordinal_position"
    )
    if not found:
        raise SourceNotFound(
            f"There is no table `{uri.table}` in the database `{uri.database}` that this user sees."
        )
    names = [str(row["name"]) for row in found]
    check_types(spec.types, names)
    own = [_column(row) for row in found]
    columns = tuple(typed(one, spec.types) for one in own)
    keys = [one for one, row in zip(own, found, strict=True) if row["part_of"] == "PRI"]
    engines = reader.rows(
        f"SELECT LOWER(COALESCE(engine, 'none')) AS engine FROM information_schema.tables"
        f" WHERE {where}"
    )
    place = f"{quoted(uri.database)}.{quoted(uri.table)}"
    order = ", ".join(quoted(one.name) for one in keys or own)
    single = len(keys) == 1 and keys[0].kind in _WHOLE and not spec.types.get(keys[0].name)
    table = Table(
        place=place,
        columns=columns,
        order=order,
        key=keys[0].name if single else None,
        sizes={},
        rows=0,
        digest="",
        steady=engines[0]["engine"] in ("innodb", "none"),
    )
    return table if was is None else replace(table, **was)


def pinned_table(reader: Session, spec: SourceSpec, uri: MysqlUri, was: JsonObject) -> Table:
    """Return a table that was pinned before, if it is as it was.

    Raises:
        SourceChanged: it is not.
    """
    found = look(reader, spec, uri)
    if found.as_json() != was:
        raise SourceChanged(
            "Rows of it were changed, added or removed since the run began. A server of MySQL does"
            " not keep a state for several connections: read a table, view or replica that"
            " stands still."
        )
    return found


def batches(
    reader: Session, table: Table, columns: Collection[str] | None, rows: int
) -> Generator[pa.RecordBatch, None, None]:
    """Yield all rows in order, with some columns."""
    wanted = [one for one in table.columns if columns is None or one.name in columns]
    selected = ", ".join(f"{_sized(table, one)} AS c{n}" for n, one in enumerate(wanted))
    sizes = [_UTF8_BYTES * table.sizes.get(one.name, 0) for one in wanted]
    largest = max([_LEAST_BYTES, *sizes])
    schema = pa.schema([(one.name, one.type) for one in wanted])
    if table.key is None:
        query = f"SELECT {selected or '1'} FROM {table.place} ORDER BY {table.order}"
        for batch in reader.stream(query, rows, largest):
            yield _typed(batch, wanted, schema)
        return
    key, last = quoted(table.key), None
    while True:
        where = "" if last is None else f" WHERE {key} > {last}"
        query = (
            f"SELECT {selected + ', ' if selected else ''}CAST({key} AS DECIMAL(20, 0)) AS k"
            f" FROM {table.place}{where} ORDER BY {key} LIMIT {_PAGE_ROWS}"
        )
        count = 0
        for batch in reader.stream(query, rows, largest):
            count += batch.num_rows
            last = batch.column(len(wanted))[batch.num_rows - 1].as_py()
            yield _typed(batch, wanted, schema)
        if count < _PAGE_ROWS:
            return


def _typed(batch: pa.RecordBatch, wanted: Sequence[Typed], schema: pa.Schema) -> pa.RecordBatch:
    if not wanted:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([])))
    arrays = [as_typed(batch.column(n), one.type, one.name) for n, one in enumerate(wanted)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _column(row: dict[str, Any]) -> Column:
    kind, full = str(row["kind"]), str(row["full"])
    digits = bits_of(full) if kind == "bit" else int(row["digits"])
    return Column(str(row["name"]), kind, full, digits, int(row["scale"]))


def _sized(table: Table, column: Typed) -> str:
    return column.sql.replace("{size}", str(max(table.sizes.get(column.name, 0), 1)))


def _measured(reader: Session, table: Table) -> Table:
    """Count rows and odd values, measure texts, add up a hash of each row."""
    texts = [
        f"QUOTE(HEX({one.sql}))" if pa.types.is_binary(one.type) else f"QUOTE({_plain(one)})"
        for one in table.columns
    ]
    row_hash = f"CONV(LEFT(MD5(CONCAT_WS(',', {', '.join(texts)})), 16), 16, 10)"
    asked = [
        "COUNT(*) AS n",
        "@@max_allowed_packet AS longest",
        f"CAST(COALESCE(SUM(CAST({row_hash} AS UNSIGNED)), 0) AS CHAR) AS digest",
    ]
    for number, one in enumerate(table.columns):
        if one.odd is not None:
            asked.append(f"COALESCE(SUM({one.odd}), 0) AS odd{number}")
        if one.measured:
            length = "LENGTH" if pa.types.is_binary(one.type) else "CHAR_LENGTH"
            asked.append(f"COALESCE(MAX({length}({_plain(one)})), 0) AS size{number}")
    (found,) = reader.rows(f"SELECT {', '.join(asked)} FROM {table.place}")
    for number, one in enumerate(table.columns):
        if count := int(found.get(f"odd{number}", 0)):
            raise SourceUnreadable(
                f"The column `{one.name}` holds {count:,} {one.why}.", column=one.name
            )
    sizes = {
        one.name: int(found[f"size{number}"])
        for number, one in enumerate(table.columns)
        if one.measured
    }
    if 2 * _UTF8_BYTES * sum(sizes.values()) > int(found["longest"]):
        raise SourceUnreadable(
            "Its rows may be longer than `max_allowed_packet` of the server lets them be looked at:"
            " raise that, or read a view without the long columns."
        )
    return replace(table, sizes=sizes, rows=int(found["n"]), digest=str(found["digest"]))


def _plain(column: Typed) -> str:
    """Return the expression that reads a column, whatever its size."""
    return column.sql.replace("CHAR({size})", "CHAR")
