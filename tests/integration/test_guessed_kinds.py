"""What a file is, is found in its bytes, whatever it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import SourceUnreadable
from kalla_core.inspection.guess import forgiving_preview, guessed_preview
from kalla_core.recipe.parse import parse_source
from kalla_core.sources.recognised import recognised
from tests.support.command import kalla
from tests.support.connectors import ledger
from tests.support.ledgers import (
    avro_source,
    duckdb_source,
    json_source,
    ods_source,
    sqlite_source,
    workbook_source,
)
from tests.support.sources import file_spec, read_table
from tests.unit.sources.banks.test_bai2 import WHOLE
from tests.unit.sources.banks.test_camt import balance, entry, statement
from tests.unit.sources.banks.test_mt940 import GERMAN, closed

ROWS = 20


def text(name: str, content: str) -> Callable[[Path], Mapping[str, Any]]:
    def put(folder: Path) -> Mapping[str, Any]:
        (folder / name).write_text(content)
        return {"uri": str(folder / name)}

    return put


def parquet(folder: Path) -> Mapping[str, Any]:
    pq.write_table(ledger(ROWS), folder / "in.parquet")
    return {"uri": str(folder / "in.parquet")}


KINDS: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {
    "avro": lambda folder: avro_source(folder, ledger(ROWS)),
    "bai2": text("in.bai2", WHOLE),
    "camt053": text(
        "in.xml", statement(balance("OPBD", "1.00"), balance("CLBD", "2.00"), entry("1.00"))
    ),
    "duckdb": lambda folder: duckdb_source(folder, ledger(ROWS)),
    "json": lambda folder: json_source(folder, ledger(ROWS)),
    "mt940": text("in.sta", closed("1012,50", GERMAN)),
    "ods": lambda folder: ods_source(folder, ledger(ROWS)),
    "parquet": parquet,
    "sqlite": lambda folder: sqlite_source(folder, ledger(ROWS)),
    "xlsx": lambda folder: workbook_source(folder, ledger(ROWS)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_any_name_is_known_by_its_bytes(tmp_path: Path, kind: str) -> None:
    spec = parse_source({"alias": "ledger", "type": "file", **KINDS[kind](tmp_path)})
    expected = read_table(spec).slice(0, 5)
    path, mark, options = (spec.uri or "").partition("?")
    other = f"{Path(path).rename(tmp_path / 'export.dat')}{mark}{options}"

    found = guessed_preview(replace(spec, uri=other), 5)

    assert found.guess is not None
    assert found.guess.file_format == kind
    assert found.guess.uri(other) == f"{other}{'&' if options else '?'}format={kind}"
    assert found.rows.to_pylist() == expected.to_pylist()


def test_a_file_that_is_called_what_it_is_needs_no_uri(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('[{"a": 1}]')

    found = guessed_preview(file_spec(tmp_path / "in.json"), 5)

    assert found.guess is not None
    assert found.guess.file_format is None


def test_the_only_array_of_objects_within_an_object_holds_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('{"count": 2, "data": {"items": [{"id": 1, "of": [{"n": 1}]}, {"id": 2}]}}')

    found = guessed_preview(file_spec(path), 5)

    assert found.guess is not None
    assert found.guess.document() == {"records": "data.items"}
    assert found.rows.column("id").to_pylist() == [1, 2]


def test_which_of_several_arrays_holds_the_rows_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('{"data": [{"id": 1}], "errors": [{"id": 2}]}')

    found = guessed_preview(file_spec(path), 5)

    assert found.guess is not None
    assert found.guess.document() == {}
    assert "`data`, `errors`" in found.guess.undecidable[0]


@pytest.mark.parametrize(
    "head", [b"id,ref\n1,:20:\n", b"{curly},b\n1,2\n", b"PK,xl/\n1,2\n", b"01,02,03\n02,3,4\n", b""]
)
def test_tables_of_text_are_taken_for_nothing_else(head: bytes) -> None:
    assert recognised(head) is None


def book(path: Path) -> Path:
    workbook = openpyxl.Workbook()
    for row in (
        ["Statement of account"],
        ["IBAN", "DE12"],
        [],
        ["Date", "Text", "Amount", "Note"],
        [date(2026, 3, 31), "Rent", -1250.5],
        [date(2026, 4, 1), "Pay", 900, "early"],
        ["Closing balance", None, -350.5],
    ):
        workbook.active.append(row)
    workbook.save(path)
    return path


def test_the_header_of_a_sheet_is_found_below_other_rows(tmp_path: Path) -> None:
    path = book(tmp_path / "bank.xlsx")

    found = guessed_preview(file_spec(path), 5)

    assert found.guess is not None
    assert found.guess.document() == {"header": 4, "skip_last": 1}
    assert [row["Note"] for row in found.rows.to_pylist()] == [None, "early"]
    assert [row["Date"] for row in found.rows.to_pylist()] == [date(2026, 3, 31), date(2026, 4, 1)]
    assert not any(one.startswith("delimiter") for one in found.guess.evidence)


def test_a_sheet_that_cannot_be_read_as_it_is_is_shown_as_it_seems_to_be(tmp_path: Path) -> None:
    found = forgiving_preview(file_spec(book(tmp_path / "bank.xlsx")), 5)

    assert found.failure is not None
    assert "DE12" in found.failure
    assert found.rows.num_rows == 2


def test_an_archive_that_is_no_whole_workbook_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = book(tmp_path / "bank.dat")
    path.write_bytes(path.read_bytes()[:-200])

    with pytest.raises(SourceUnreadable, match=r"bank\.dat"):
        guessed_preview(file_spec(path), 5)


def test_the_command_prints_the_uri_to_paste(tmp_path: Path) -> None:
    (tmp_path / "export.txt").write_text(closed("1012,50", GERMAN))

    done = kalla("preview", "export.txt", "--guess", cwd=tmp_path)

    assert '"uri": "export.txt?format=mt940"' in done.out
    assert "format=mt940: it has lines with :20:" in done.out
