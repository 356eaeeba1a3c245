from __future__ import annotations

import gzip
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidFormat, KallaError, RecipeInvalid, SourceUnreadable
from kalla_core.recipe.source_format import FixedColumn, SourceFormat
from kalla_core.sources.transcripts.fixed import fixed_lines
from tests.support.sources import format_rows, read_rows

COLUMNS = [{"name": "id", "width": 4}, {"name": "name", "width": 8}, {"name": "amount", "width": 7}]


def put(tmp_path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path = tmp_path / "in.txt"
    path.write_bytes("".join(f"{line}{end}" for line in lines).encode(encoding))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "utf-16-le"])
def test_columns_are_cut_by_characters_whatever_the_encoding(
    tmp_path: Path, encoding: str, end: str
) -> None:
    path = put(tmp_path, "1   Müller    12.5", '22  a,"b"   -100.25', encoding=encoding, end=end)

    rows = format_rows(path, {"columns": COLUMNS, "encoding": encoding})

    assert rows == [(1, "Müller", Decimal("12.5")), (22, 'a,"b"', Decimal("-100.25"))]


def test_columns_by_positions_may_leave_out_and_overlap(tmp_path: Path) -> None:
    path = put(tmp_path, "AB20260331XX5", "CD20260401YY6")
    columns = [
        {"name": "day", "start": 3, "end": 10},
        {"name": "n", "start": 13, "end": 13},
        {"name": "year", "start": 3, "end": 6},
    ]

    rows = format_rows(path, {"columns": columns, "date": "%Y%m%d"}, types={"day": "date"})

    assert rows == [(date(2026, 3, 31), 5, 2026), (date(2026, 4, 1), 6, 2026)]


def test_a_width_without_a_name_leaves_characters_out(tmp_path: Path) -> None:
    path = put(tmp_path, "1xx2", "3yy4")
    columns = [{"name": "a", "width": 1}, {"width": 2}, {"name": "b", "width": 1}]

    assert format_rows(path, {"columns": columns}) == [(1, 2), (3, 4)]


def test_lines_that_are_no_rows_are_passed_over_and_short_ones_have_nulls(tmp_path: Path) -> None:
    path = put(tmp_path, "Export of today", "id  name    amount", "", "1   one", "2", "Total 2")
    found = {"columns": COLUMNS, "header": 2, "stop": "Tota"}

    assert format_rows(path, found) == [(1, "one", None), (2, None, None)]


def test_rows_are_numbered_over_all_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1\n2\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"3\n"))
    found = {"columns": [{"name": "id", "width": 2}], "row_number": "row"}

    assert format_rows(tmp_path, found, parts=3) == [(1, 1), (2, 2), (3, 3)]


def test_more_than_a_block_of_lines_is_read_whole(tmp_path: Path) -> None:
    lines = [f"{n:<8}{n * 3:>9}" for n in range(200_000)]
    path = put(tmp_path, *lines)
    columns = [{"name": "id", "width": 8}, {"name": "n", "width": 9}]

    rows = format_rows(path, {"columns": columns})

    assert rows == [(n, n * 3) for n in range(200_000)]


def test_a_line_is_looked_through_once_however_long_it_is() -> None:
    line, looked_through = "7" * (12 << 20), 0
    raw = pa.BufferReader(f"{line}\n8\n".encode())
    found = SourceFormat(columns=(FixedColumn("n", 0, len(line)),))

    def note(_: FrameType, event: str, called: Any) -> None:
        nonlocal looked_through
        if event == "c_call" and called.__name__ == "rpartition":
            looked_through += len(called.__self__)

    sys.setprofile(note)
    try:
        csv = b"".join(fixed_lines(raw, "in.txt", found))
    finally:
        sys.setprofile(None)

    assert csv.split() == [b"n", line.encode(), b"8"]
    assert len(line) // 2 < looked_through <= len(line) + 16


def test_a_value_that_does_not_fit_is_named_with_its_line(tmp_path: Path) -> None:
    path = put(tmp_path, "Export", "1   one        2.5", "2   two        two")
    found = {"columns": COLUMNS, "skip_first": 1}

    with pytest.raises(SourceUnreadable, match=r"line 3 of in\.txt: column `amount`: `two`"):
        format_rows(path, found, types={"amount": "decimal(9,2)"})


def test_what_stands_behind_the_last_column_is_not_left_out_in_silence(tmp_path: Path) -> None:
    path = put(tmp_path, "1   one        2.5", "2   two        2.5   more")

    with pytest.raises(SourceUnreadable, match=r"line 2 of in\.txt: `more` stands behind .* 19"):
        format_rows(path, {"columns": COLUMNS})


def test_bytes_of_another_encoding_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "1   Müller", encoding="cp1252")

    with pytest.raises(SourceUnreadable, match="is not utf-8"):
        format_rows(path, {"columns": COLUMNS})


@pytest.mark.parametrize(
    ("found", "error", "says"),
    [
        ({"columns": COLUMNS, "delimiter": ";"}, InvalidFormat, "have no `delimiter`"),
        ({"columns": COLUMNS, "header": "id"}, InvalidFormat, "`columns` names the columns"),
        ({"columns": [{"name": "a"}]}, RecipeInvalid, "either `width` or `end`"),
        ({"columns": [{"width": 3}]}, RecipeInvalid, "No column has a name"),
        ({"columns": [{"end": 3}]}, RecipeInvalid, "Must have a `name`"),
        ({"columns": [{"name": "a", "start": 4, "end": 3}]}, RecipeInvalid, "end before it starts"),
        ({"columns": [{"name": "a", "width": 0}]}, RecipeInvalid, "columns"),
        ({"columns": COLUMNS[:1] * 2}, RecipeInvalid, "Two columns are named 'id'"),
    ],
)
def test_columns_that_make_no_sense_are_refused(
    tmp_path: Path, found: dict[str, Any], error: type[KallaError], says: str
) -> None:
    path = put(tmp_path, "1")

    with pytest.raises(error, match=says):
        format_rows(path, found)


def test_a_fixed_width_without_columns_asks_for_them(tmp_path: Path) -> None:
    path = put(tmp_path, "1")

    with pytest.raises(InvalidFormat, match="need `columns` in `format`"):
        read_rows(f"{path}?format=fixed")
