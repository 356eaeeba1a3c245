"""The kinds of source that the contract suite is run on.

Another connector adds a class here, which knows how to put a table into a source of its kind, and
nothing to the suite.
"""

import csv
import gzip
import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.parse import parse_source
from kalla_core.s3.location import S3Location
from tests.support import mysql
from tests.support.ledgers import (
    avro_source,
    duckdb_source,
    fixed_source,
    json_source,
    ods_source,
    sqlite_source,
    workbook_source,
    written_cell,
)
from tests.support.postgres import SPARSE, database_of, new_database, sql_type
from tests.support.s3 import s3_server
from tests.support.sources import file_spec

LEDGER_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("reference", pa.string()),
        ("amount", pa.decimal128(18, 2)),
        ("booked", pa.date32()),
        ("entered", pa.timestamp("us")),
        ("paid", pa.bool_()),
    ]
)


def ledger(rows: int) -> pa.Table:
    """Return a table with something of everything: NULLs, empty text, quotes, line breaks."""
    references = ["R-1", "", "00123", 'say "hi"', "one,two", "two\nlines", "Łódź 🦊", None]
    return pa.Table.from_pylist(
        [
            {
                "id": n,
                "reference": references[n % 8],
                "amount": None if n % 7 == 3 else Decimal(n * 37 % 2000 - 1000) / 100,
                "booked": None if n % 11 == 5 else date(2024, 1 + n % 12, 1 + n % 28),
                "entered": datetime(2024, 1, 1, n % 24, n % 60, 1, n * 1000),
                "paid": None if n % 5 == 4 else n % 3 == 0,
            }
            for n in range(rows)
        ],
        LEDGER_SCHEMA,
    )


def plain_ledger(rows: int) -> pa.Table:
    """Return a ledger whose texts are neither empty nor of several lines."""
    table = ledger(rows)
    texts = pc.replace_substring(table.column("reference"), "\n", " ")
    kept = pc.if_else(pc.equal(texts, ""), None, texts)
    return table.set_column(1, table.schema.field("reference"), kept)


def _touch(spec: SourceSpec) -> None:
    path = Path((spec.uri or "").partition("?")[0])
    file = sorted(path.iterdir())[0] if path.is_dir() else path
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


@dataclass(frozen=True)
class SourceKind:
    """A way to keep a table.

    Attributes:
        put: writes a table below a folder and returns the spec that reads it.
        named: whether the columns of a table without rows are kept; `typed`: whether their types
            are.
        counts: whether a source without rows is known to have none before it is read.
        splits: whether a table of some hundred rows can be cut into four equal parts.
        change: changes what is kept, so that it is no longer what was pinned.
        in_s3: whether it lies in a bucket.
        table: a ledger with so many rows, as far as it can be kept so.
        missing: says what is not installed here of what it needs; empty if all is.
        sampled: whether only a sample of the tests is run on it where time is short: it is slow,
            or nothing in it is its own (a format that is read in a folder as well, a bucket that
            others lie in as well).
    """

    name: str
    put: Callable[[Path, pa.Table], SourceSpec]
    named: bool = True
    typed: bool = True
    counts: bool = True
    splits: bool = True
    change: Callable[[SourceSpec], None] = _touch
    in_s3: bool = False
    table: Callable[[int], pa.Table] = ledger
    missing: Callable[[], str] = str
    sampled: bool = False

    def environment(self) -> dict[str, str]:
        """Return the variables by which the source is found."""
        return s3_server().environment() if self.in_s3 else {}


def _csv_bytes(table: pa.Table, quoting: int) -> bytes:
    out = io.StringIO()
    rows = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
    rows.writerow(table.column_names)
    for row in table.to_pylist():
        cells = [written_cell(value, quoting == csv.QUOTE_ALL) for value in row.values()]
        out.write(",".join(cells) + "\n")
    return out.getvalue().encode()


def _csv_file(folder: Path, table: pa.Table) -> SourceSpec:
    path = folder / "ledger.csv"
    path.write_bytes(_csv_bytes(table, csv.QUOTE_MINIMAL))
    return file_spec(path)


def _formatted_csv_file(folder: Path, table: pa.Table) -> SourceSpec:
    """As a bank writes it: a preamble, a total, signs and words of its own."""
    path = folder / "ledger.csv"
    lines = [";".join(_bank_cell(value) for value in row.values()) for row in table.to_pylist()]
    written = "\r\n".join(["Export", ";".join(table.column_names), *lines, 'Total;"', ""])
    path.write_bytes(written.encode())
    found = {
        "delimiter": ";", "decimal": ",", "thousands": ".", "date": "%d.%m.%Y", "header": "id",
        "timestamp": "%d.%m.%Y %H:%M:%S.%f", "true": "ja", "false": "nein", "stop": "Total",
    }  # fmt: skip
    document = {"alias": "ledger", "type": "file", "uri": str(path), "format": found}
    return parse_source(document)


def _bank_cell(value: object) -> str:
    if isinstance(value, bool):
        return "ja" if value else "nein"
    if isinstance(value, Decimal):
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))
    if isinstance(value, date):
        return value.strftime("%d.%m.%Y %H:%M:%S.%f" if isinstance(value, datetime) else "%d.%m.%Y")
    return written_cell(value, isinstance(value, str))


def _quoted_csv_file(folder: Path, table: pa.Table) -> SourceSpec:
    path = folder / "ledger.CSV"
    data = _csv_bytes(table, csv.QUOTE_ALL).replace(b'\n"', b'\r\n"')
    path.write_bytes(b"\xef\xbb\xbf" + data)
    return file_spec(path)


def _csv_gz_file(folder: Path, table: pa.Table) -> SourceSpec:
    path = folder / "ledger.csv.gz"
    path.write_bytes(gzip.compress(_csv_bytes(table, csv.QUOTE_MINIMAL)))
    return file_spec(path)


def _csv_zst_file(folder: Path, table: pa.Table) -> SourceSpec:
    path = folder / "ledger.csv.zst"
    path.write_bytes(pa.compress(_csv_bytes(table, csv.QUOTE_MINIMAL), "zstd", asbytes=True))
    return file_spec(path)


def _csv_zip_file(folder: Path, table: pa.Table) -> SourceSpec:
    path = folder / "ledger.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", _csv_bytes(table, csv.QUOTE_MINIMAL))
    return file_spec(path)


def _thirds(table: pa.Table) -> list[pa.Table]:
    size = -(-table.num_rows // 3) or 1
    return [table.slice(start, size) for start in range(0, max(table.num_rows, 1), size)]


def _csv_folder(folder: Path, table: pa.Table) -> SourceSpec:
    source = folder / "ledger"
    source.mkdir()
    for index, piece in enumerate(_thirds(table)):
        data = _csv_bytes(piece, csv.QUOTE_MINIMAL)
        packed = index == 1
        name = f"{index}.csv.gz" if packed else f"{index}.csv"
        (source / name).write_bytes(gzip.compress(data) if packed else data)
    for passed_over in ("_SUCCESS", "~$0.csv", "9.csv.part"):
        (source / passed_over).write_text("no table")
    (source / "README.txt").write_text("not a table")
    return file_spec(source)


def _sqlite_file(folder: Path, table: pa.Table) -> SourceSpec:
    return parse_source(sqlite_source(folder, table))


def _duckdb_file(folder: Path, table: pa.Table) -> SourceSpec:
    return parse_source(duckdb_source(folder, table))


def _avro_file(folder: Path, table: pa.Table) -> SourceSpec:
    return parse_source(avro_source(folder, table))


def _json_lines(folder: Path, table: pa.Table) -> SourceSpec:
    return parse_source(json_source(folder, table))


def _json_array(folder: Path, table: pa.Table) -> SourceSpec:
    return parse_source(json_source(folder, table, lines=False))


def _workbook(folder: Path, table: pa.Table) -> SourceSpec:
    return parse_source(workbook_source(folder, table))


def _ods_workbook(folder: Path, table: pa.Table) -> SourceSpec:
    return parse_source(ods_source(folder, table))


def _fixed_file(folder: Path, table: pa.Table) -> SourceSpec:
    return parse_source(fixed_source(folder, table))


def _parquet_file(folder: Path, table: pa.Table) -> SourceSpec:
    path = folder / "ledger.parquet"
    pq.write_table(table, path, row_group_size=37)
    return file_spec(path)


def _odd_parquet_file(folder: Path, table: pa.Table) -> SourceSpec:
    path = folder / "ledger.data"
    references = table.column("reference").combine_chunks()
    odd = table.set_column(1, "reference", references.cast(pa.large_string()).dictionary_encode())
    pq.write_table(odd, path, compression="zstd")
    return file_spec(f"{path}?format=parquet")


def _parquet_folder(folder: Path, table: pa.Table) -> SourceSpec:
    source = folder / "ledger"
    source.mkdir()
    for index, piece in enumerate(_thirds(table)):
        pq.write_table(piece, source / f"{index}.parquet", row_group_size=50)
    return file_spec(source)


def _postgres_table(folder: Path, table: pa.Table) -> SourceSpec:
    database = new_database()
    database.put("ledger", table, SPARSE)
    return database.spec()


def _postgres_view(folder: Path, table: pa.Table) -> SourceSpec:
    database = new_database()
    database.put("kept", table)
    database.run("CREATE VIEW ledger AS SELECT * FROM kept")
    return database.spec()


def _postgres_partitions(folder: Path, table: pa.Table) -> SourceSpec:
    """Three ranges of ids, the columns of the second in another order, in a schema of its own."""
    database = new_database()
    columns = [f'"{field.name}" {sql_type(field.type)}' for field in table.schema]
    database.run(
        'CREATE SCHEMA "Main"',
        f'CREATE TABLE "Main".ledger ({", ".join(columns)}) PARTITION BY RANGE (id)',
        f'CREATE TABLE "Main".a PARTITION OF "Main".ledger FOR VALUES FROM (0) TO (150) {SPARSE}',
        f'CREATE TABLE "Main".b ({", ".join(reversed(columns))}) {SPARSE}',
        'ALTER TABLE "Main".ledger ATTACH PARTITION "Main".b FOR VALUES FROM (150) TO (300)',
        f'CREATE TABLE "Main".c PARTITION OF "Main".ledger DEFAULT {SPARSE}',
    )
    database.fill('"Main".ledger', table)
    return database.spec("Main.ledger")


def _mysql_table(folder: Path, table: pa.Table) -> SourceSpec:
    database = mysql.new_database()
    database.put(table, key="id")
    return database.spec()


def _mysql_view(folder: Path, table: pa.Table) -> SourceSpec:
    """A view without a key, so that it is sorted and read at once."""
    database = mysql.new_database()
    database.put(table)
    database.run("RENAME TABLE ledger TO kept", "CREATE VIEW ledger AS SELECT * FROM kept")
    return database.spec()


def _change_row(spec: SourceSpec) -> None:
    database = mysql.database_of(spec)
    database.run("UPDATE ledger SET reference = 'another' WHERE id = 3")


def _end_holders(spec: SourceSpec) -> None:
    database_of(spec).end_others()


def _in_s3(put: Callable[[Path, pa.Table], SourceSpec]) -> Callable[[Path, pa.Table], SourceSpec]:
    """Put what a kind of files puts into a folder into a bucket instead."""

    def put_there(folder: Path, table: pa.Table) -> SourceSpec:
        local = put(folder, table)
        path, mark, options = (local.uri or "").partition("?")
        bucket = s3_server().new_bucket()
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                bucket.put(f"some where/{file.relative_to(folder)}", file.read_bytes())
        uri = f"s3://{bucket.name}/some where/{Path(path).relative_to(folder)}{mark}{options}"
        return replace(local, uri=uri)

    return put_there


def _change_object(spec: SourceSpec) -> None:
    where = S3Location.parse((spec.uri or "").partition("?")[0])
    bucket = s3_server().bucket(where.bucket)
    key = next(key for key in sorted(bucket.keys()) if key.startswith(where.key))
    content = bytearray(bucket.get(key))
    content[-1] ^= 1
    bucket.put(key, bytes(content))


def _stored(name: str, put: Callable[[Path, pa.Table], SourceSpec], **more: Any) -> SourceKind:
    return SourceKind(name, _in_s3(put), in_s3=True, change=_change_object, **more)


KINDS = (
    SourceKind("csv", _csv_file, typed=False),
    SourceKind("csv-quoted-crlf-bom", _quoted_csv_file, typed=False),
    SourceKind("csv-formatted", _formatted_csv_file, typed=False),
    SourceKind("csv-gz", _csv_gz_file, typed=False, splits=False),
    SourceKind("csv-zst", _csv_zst_file, typed=False, splits=False),
    SourceKind("csv-zip", _csv_zip_file, typed=False, splits=False),
    SourceKind("csv-folder", _csv_folder, typed=False, splits=False),
    SourceKind("xlsx", _workbook, typed=False, splits=False),
    SourceKind("ods", _ods_workbook, typed=False, splits=False),
    SourceKind("fixed", _fixed_file, typed=False, splits=False, table=plain_ledger),
    SourceKind("json-lines", _json_lines, typed=False, named=False, splits=False),
    SourceKind("avro", _avro_file, splits=False),
    SourceKind("sqlite", _sqlite_file, typed=False, splits=False),
    SourceKind("duckdb", _duckdb_file, splits=False),
    SourceKind("json-array", _json_array, typed=False, named=False, splits=False),
    SourceKind("parquet", _parquet_file),
    SourceKind("parquet-dictionaries", _odd_parquet_file, splits=False),
    SourceKind("parquet-folder", _parquet_folder),
    SourceKind("postgres", _postgres_table, change=_end_holders),
    SourceKind("postgres-view", _postgres_view, counts=False, splits=False, change=_end_holders),
    SourceKind("postgres-partitions", _postgres_partitions, change=_end_holders),
    SourceKind(
        "mysql",
        _mysql_table,
        splits=False,
        change=_change_row,
        missing=mysql.missing,
        sampled=True,
    ),
    SourceKind(
        "mysql-view",
        _mysql_view,
        splits=False,
        change=_change_row,
        missing=mysql.missing,
        sampled=True,
    ),
    _stored("s3-csv", _csv_file, typed=False),
    _stored("s3-csv-formatted", _formatted_csv_file, typed=False, sampled=True),
    _stored("s3-csv-gz", _csv_gz_file, typed=False, splits=False),
    _stored("s3-csv-folder", _csv_folder, typed=False, splits=False, sampled=True),
    _stored("s3-xlsx", _workbook, typed=False, splits=False, sampled=True),
    _stored("s3-fixed", _fixed_file, typed=False, splits=False, table=plain_ledger, sampled=True),
    _stored("s3-json-lines", _json_lines, typed=False, named=False, splits=False, sampled=True),
    _stored("s3-ods", _ods_workbook, typed=False, splits=False, sampled=True),
    _stored("s3-avro", _avro_file, splits=False, sampled=True),
    _stored("s3-duckdb", _duckdb_file, splits=False, sampled=True),
    _stored("s3-sqlite", _sqlite_file, typed=False, splits=False, sampled=True),
    _stored("s3-parquet", _parquet_file),
    _stored("s3-parquet-folder", _parquet_folder, sampled=True),
)
