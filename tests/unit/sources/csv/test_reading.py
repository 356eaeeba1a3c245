"""Reading CSV: headers, options, folders, parts, samples."""

from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.sources.csv import block, cut, sample
from kalla_core.sources.csv.body import CsvFile
from kalla_core.sources.csv.cut import targets
from kalla_core.sources.registry import connector_for
from tests.support.sources import file_spec, read_parts, read_rows, read_table, types_of


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_header_may_be_quoted_and_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", 'a,"b, c","say ""hi""","two\nlines"\n1,2,3,4\n')

    assert list(types_of(path)) == ["a", "b, c", 'say "hi"', "two\nlines"]
    assert read_rows(path, 4) == [(1, 2, 3, 4)]


def test_blank_lines_before_the_header_and_between_rows_are_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "\n\r\na,b\n\n1,2\n\n\n3,4\n\n")

    assert read_rows(path, 3) == [(1, 2), (3, 4)]


def test_a_byte_order_mark_is_no_part_of_the_first_name_or_value(tmp_path: Path) -> None:
    with_header = write(tmp_path / "a.csv", b"\xef\xbb\xbf" + b'"a",b\n1,2\n')
    without = write(tmp_path / "b.csv", b"\xef\xbb\xbf" + b"1,2\n3,4\n")

    assert list(types_of(with_header)) == ["a", "b"]
    assert read_rows(f"{without}?header=false", 2) == [(1, 2), (3, 4)]


def test_the_same_mark_within_the_data_is_data(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "a\n" + "\ufeffx\n" * 5)

    assert read_rows(path, 5) == [("\ufeffx",)] * 5


def test_columns_without_a_header_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "7,x\n8,y\n")

    table = read_table(file_spec(f"{path}?header=false"), 2)

    assert table.to_pylist() == [{"column_1": 7, "column_2": "x"}, {"column_1": 8, "column_2": "y"}]


def test_delimiter_and_null_are_those_of_the_uri(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", 'a;b\n1,5;NULL\n;"NULL"\n')

    assert read_rows(f"{path}?delimiter=;&null=NULL", 2) == [("1,5", None), (None, "NULL")]


def test_lines_may_end_with_a_carriage_return_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", 'a,b\r1,"x\ry"\r2,z\r')

    assert read_rows(path, 3) == [(1, "x\ry"), (2, "z")]


def test_columns_of_a_file_of_nothing_but_a_header_have_no_type_yet(tmp_path: Path) -> None:
    for text in ("a,b", "a,b\n"):
        path = write(tmp_path / "in.csv", text)

        assert types_of(path) == {"a": pa.null(), "b": pa.null()}
        assert read_rows(path, 3) == []


def test_a_single_column_is_a_table_too(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", 'a\nx\n""\ny')

    assert read_rows(path, 3) == [("x",), ("",), ("y",)]


def test_the_recipes_types_come_before_the_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "id,code,amount,ratio,day\n007,1,2,0.5,2024-01-31\n")
    types = {"id": "integer", "code": "text", "amount": "decimal(12,2)", "ratio": "double"}

    (row,) = read_rows(path, types=types)

    assert row == (7, "1", Decimal("2.00"), 0.5, date(2024, 1, 31))


def test_decimals_of_up_to_76_digits_are_exact(tmp_path: Path) -> None:
    number = "9" * 70 + ".123456"
    path = write(tmp_path / "in.csv", f"a\n{number}\n-{number}\n\n1\n")

    table = read_table(file_spec(path), 2)

    assert table.schema.field("a").type == pa.decimal256(76, 6)
    assert table.column("a").to_pylist() == [Decimal(number), Decimal(f"-{number}"), Decimal(1)]


def test_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, number in (("b.csv", 2), ("a.csv", 1), ("c.CSV", 3)):
        write(tmp_path / name, f"n\n{number}\n{number}\n")

    for parts in (1, 2, 6):
        assert read_rows(tmp_path, parts) == [(1,), (1,), (2,), (2,), (3,), (3,)]


def test_types_are_those_of_all_files_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "n\n1\n")
    write(tmp_path / "b.csv", "n\nx\n")

    assert types_of(tmp_path) == {"n": pa.string()}


def test_a_gzip_file_of_several_members_is_read_to_its_end(tmp_path: Path) -> None:
    members = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n5") + gzip.compress(b",6\n")
    path = write(tmp_path / "in.csv.gz", members)

    assert read_rows(path, 2) == [(1, 2), (3, 4), (5, 6)]


def test_blocks_are_cut_where_records_begin_even_within_long_quoted_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut, "BLOCK_BYTES", 1000)
    rows = [(n, 'line\nof "text", ' * (200 if n % 50 == 0 else 1)) for n in range(500)]
    text = "n,t\n" + "".join('{},"{}"\n'.format(n, t.replace('"', '""')) for n, t in rows)
    path = write(tmp_path / "in.csv", text)

    assert read_rows(path, 7) == rows


def test_a_source_of_many_blocks_has_a_batch_for_each(tmp_path: Path) -> None:
    size = 3 * cut.BLOCK_BYTES
    path = write(tmp_path / "in.csv", b"a,b\n" + b"12345678,87654321\n" * (size // 18))
    spec = file_spec(path)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        batches = list(connector.read(pinned, part, 10**9))

    assert 3 <= len(batches) <= 4
    assert sum(batch.num_rows for batch in batches) == size // 18


files = st.lists(
    st.builds(
        CsvFile,
        index=st.just(0),
        path=st.just("in.csv"),
        start=st.integers(0, 50),
        size_bytes=st.integers(50, 10**8),
        terminator=st.just(10),
        end=st.none(),
        streamed=st.booleans(),
        columns=st.just(("a",)),
    ),
    min_size=1,
    max_size=5,
)


@given(files, st.integers(1, 16))
def test_targets_ascend_through_files_and_parts_and_begin_each_file(
    some: list[CsvFile], parts: int
) -> None:
    found = targets(some, parts)

    for file, wanted in zip(some, found, strict=True):
        offsets = [target.offset for target in wanted]
        assert offsets == sorted(offsets)
        assert file.streamed or all(file.start <= offset < file.size_bytes for offset in offsets)
        assert offsets[:1] == [file.start] or file.body_bytes == 0
    numbers = [target.part for wanted in found for target in wanted]
    assert numbers == sorted(numbers)
    assert all(0 <= number < parts for number in numbers)


def long_file(path: Path, middle: str = "", last: str = "") -> Path:
    """Write a file longer than a sample, with a row of its own in the middle and at the end."""
    line = "123456789,2024-01-31,1.25\n"
    lines = 2 * (sample.HEAD_BYTES + sample.WINDOWS * sample.WINDOW_BYTES) // len(line)
    rows = [line] * lines
    if middle:
        rows[lines // 2 : lines // 2 + 20_000] = [middle] * 20_000
    return write(path, "a,b,c\n" + "".join(rows) + last)


def test_the_sample_of_a_long_file_sees_its_middle_and_its_end(tmp_path: Path) -> None:
    plain = long_file(tmp_path / "plain.csv")
    middle = long_file(tmp_path / "middle.csv", middle="none,2024-01-31,1.2345\n")
    end = long_file(tmp_path / "end.csv", last="5,never,1\n")

    assert list(types_of(plain).values()) == [pa.int64(), pa.date32(), pa.decimal128(18, 2)]
    assert list(types_of(middle).values()) == [pa.string(), pa.date32(), pa.decimal128(18, 4)]
    assert list(types_of(end).values()) == [pa.int64(), pa.string(), pa.decimal128(18, 2)]


@pytest.mark.parametrize("last", ["", "the end"])
def test_a_window_of_the_sample_that_begins_within_quotes_spoils_no_type(
    tmp_path: Path, last: str
) -> None:
    long_text = '"' + "some lines, of text\n" * 50_000 + f'{last}"'
    row = f"1,{long_text}\n"
    path = write(tmp_path / "in.csv", "n,t\n" + row * 12)

    assert types_of(path) == {"n": pa.int64(), "t": pa.string()}
    assert [(n, len(t)) for n, t in read_rows(path, 5)] == [(1, len(long_text) - 2)] * 12


def test_the_size_of_a_long_file_is_estimated_from_its_sample(tmp_path: Path) -> None:
    path = long_file(tmp_path / "in.csv")
    spec = file_spec(path)

    with connector_for(spec).pin(spec) as pinned:
        known = pinned.statistics

    rows = read_table(spec).num_rows
    assert not known.exact
    assert known.rows is not None
    assert abs(known.rows - rows) < rows / 50


@given(st.lists(st.none() | st.integers(-(2**63) + 1, 2**63 - 1), min_size=1))
def test_canonical_integers_are_told_from_others_by_their_length(values: list[int | None]) -> None:
    texts = pa.array([None if value is None else str(value) for value in values], pa.string())
    numbers = pa.array(values, pa.int64())

    block.check_digits(texts, numbers, canonical=True)

    for index, value in enumerate(values):
        if value is not None:
            padded = [
                *texts.to_pylist()[:index],
                f"{value:0=+25d}",
                *texts.to_pylist()[index + 1 :],
            ]
            with pytest.raises(pa.ArrowInvalid):
                block.check_digits(pa.array(padded), numbers, canonical=True)


def test_parts_of_a_file_with_stray_quotes_are_whole(tmp_path: Path) -> None:
    rows = [(f'{n}" pipe', "x" * (n % 40)) for n in range(3000)]
    path = write(tmp_path / "in.csv", "a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
    spec = file_spec(path)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        tables = read_parts(connector, pinned, 16)

    assert len(tables) == 16
    assert [row["a"] for table in tables for row in table.to_pylist()] == [a for a, _ in rows]
