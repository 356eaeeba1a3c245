"""Ledgers as files of every kind, and what a recipe says of each."""

import json
import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import duckdb
import fastavro
import pyarrow as pa

from tests.support.workbooks import sheet_xml, write_xlsx


def written_cell(value: object, quote_all: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, datetime):
        text = value.isoformat(" ", "microseconds")
    else:
        text = str(value)
    if text == "" or quote_all or any(c in text for c in ',"\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def workbook_source(folder: Path, table: pa.Table) -> dict[str, Any]:
    """Write the third of three sheets, below a title; return what a recipe says of it."""
    rows = [
        ["Ledger"],
        [],
        table.column_names,
        *map(list, zip(*table.to_pydict().values(), strict=False)),
    ]
    named = {"Notes": sheet_xml([["none"]]), "Empty": sheet_xml([]), "Ledger": sheet_xml(rows)}
    path = write_xlsx(folder / "ledger.xlsx", named)
    found = {"sheet": "Ledger", "header": "id"}
    return {"alias": "ledger", "type": "file", "uri": str(path), "format": found}


def ods_source(folder: Path, table: pa.Table) -> dict[str, Any]:
    """Write the second of two sheets, below a title; return what a recipe says of it."""
    rows = [["Ledger"], [], table.column_names, *(list(row.values()) for row in table.to_pylist())]
    path = write_ods(folder / "ledger.ods", {"Notes": [["none"]], "Ledger": rows})
    found = {"sheet": "Ledger", "header": "id"}
    return {"alias": "ledger", "type": "file", "uri": str(path), "format": found}


def write_ods(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]]) -> Path:
    """Write a workbook as LibreOffice has them; a text that begins with `<` is XML of a cell."""
    tables = "".join(
        f'<table:table table:name="{name}">'
        + "".join(
            f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows
        )
        + '<table:table-row table:number-rows-repeated="1048000"><table:table-cell'
        ' table:number-columns-repeated="16384"/></table:table-row></table:table>'
        for name, rows in sheets.items()
    )
    spaces = " ".join(f'xmlns:{one}="urn:{one}"' for one in ("office", "table", "text"))
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("mimetype", kind)
        content = f"<?xml version='1.0'?><office:document-content {spaces}>{tables}"
        package.writestr(
            "content.xml", content + "</office:document-content>", zipfile.ZIP_DEFLATED
        )
    return path


def _ods_cell(value: object) -> str:
    if isinstance(value, str) and value.startswith("<"):
        return value
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, bool):
        kind, text = "boolean", f'boolean-value="{str(value).lower()}"'
    elif isinstance(value, date):
        kind, text = "date", f'date-value="{value.isoformat()}"'
    elif isinstance(value, str):
        lines = "".join(f"<text:p>{escape(one)}</text:p>" for one in value.split("\n"))
        return f'<table:table-cell office:value-type="string">{lines}</table:table-cell>'
    else:
        kind, text = "float", f'value="{value}"'
    return f'<table:table-cell office:value-type="{kind}" office:{text}/>'


def fixed_source(folder: Path, table: pa.Table) -> dict[str, Any]:
    """Write lines of a fixed width below a title; return what a recipe says of them."""
    path = folder / "ledger.txt"
    widths = {"id": 6, "reference": 12, "amount": 9, "booked": 10, "entered": 26, "paid": 5}
    lines = [
        "".join(
            _plain_cell(value).ljust(width)
            for value, width in zip(row.values(), widths.values(), strict=True)
        )
        for row in table.to_pylist()
    ]
    path.write_text("\r\n".join(["LEDGER", *lines, ""]), newline="")
    columns = [{"name": name, "width": width} for name, width in widths.items()]
    found = {"columns": columns, "skip_first": 1}
    return {"alias": "ledger", "type": "file", "uri": str(path), "format": found}


def _plain_cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else written_cell(value, quote_all=False)


def json_source(folder: Path, table: pa.Table, *, lines: bool = True) -> dict[str, Any]:
    """Write a JSON file; return what a recipe says of it."""
    rows = [
        "{" + ", ".join(f'"{name}": {_json(value)}' for name, value in row.items()) + "}"
        for row in table.to_pylist()
    ]
    path = folder / ("ledger.jsonl" if lines else "ledger.json")
    path.write_text("\n".join([*rows, ""]) if lines else "[\n" + ",\n".join(rows) + "\n]")
    return {"alias": "ledger", "type": "file", "uri": str(path)}


def sqlite_source(folder: Path, table: pa.Table) -> dict[str, Any]:
    """Write a table into an SQLite file; return what a recipe says of it."""
    path = folder / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE ledger (id INTEGER, reference TEXT, amount DECIMAL(18,2), booked DATE,"
            " entered TIMESTAMP, paid BOOLEAN)"
        )
        database.execute("CREATE TABLE other (x INTEGER)")
        rows = [tuple(map(_for_sqlite, row.values())) for row in table.to_pylist()]
        database.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", rows)
    return {"alias": "ledger", "type": "file", "uri": f"{path}?table=ledger"}


def _for_sqlite(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")
    return str(value) if isinstance(value, (date, Decimal)) else value


def duckdb_source(folder: Path, table: pa.Table) -> dict[str, Any]:
    """Write a table into a DuckDB file; return what a recipe says of it."""
    path = folder / "ledger.duckdb"
    with closing(duckdb.connect(str(path))) as database:
        database.register("given", table)
        database.execute("CREATE TABLE ledger AS SELECT * FROM given")
    return {"alias": "ledger", "type": "file", "uri": str(path)}


AVRO_LEDGER = {
    "type": "record",
    "name": "Ledger",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "reference", "type": ["null", "string"]},
        {
            "name": "amount",
            "type": [
                "null",
                {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2},
            ],
        },
        {"name": "booked", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "entered", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "paid", "type": ["null", "boolean"]},
    ],
}


def avro_source(folder: Path, table: pa.Table) -> dict[str, Any]:
    """Write an Avro file; return what a recipe says of it."""
    path = folder / "ledger.avro"
    with path.open("wb") as file:
        fastavro.writer(file, AVRO_LEDGER, table.to_pylist(), codec="deflate", sync_interval=2000)
    return {"alias": "ledger", "type": "file", "uri": str(path)}


def _json(value: object) -> str:
    if value is None or isinstance(value, str):
        return json.dumps(value)
    return (
        f'"{written_cell(value, False)}"' if isinstance(value, date) else written_cell(value, False)
    )
