"""Whatever a CSV file holds, its rows are those of Python's own reader, however it is cut."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.chance import often
from tests.support.sources import file_spec, read_rows, read_table

BOM = "\ufeff"
plain = st.text(alphabet='ab é,"\n\r;\u2028', max_size=6)
words = st.sampled_from(["", "00123", "7", "-3", "1.5", "2024-01-31", "true", 'say "hi"', "x" * 90])
fields = plain | words


@st.composite
def well_formed(draw: st.DrawFn) -> str:
    """A file that some writer wrote, with a header of one to four columns."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(fields, min_size=width, max_size=width), max_size=12))
    out = io.StringIO()
    bare_return = any("\r" in field for row in rows for field in row)
    writer = csv.writer(
        out,
        quoting=csv.QUOTE_ALL
        if bare_return  # the minimum leaves it unquoted
        else draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
    )
    writer.writerow([f"c{i}, of {width}" for i in range(width)])
    writer.writerows(rows)
    text = out.getvalue()
    if draw(st.booleans()):
        text = text.removesuffix("\n").removesuffix("\r")
    return draw(st.sampled_from(["", BOM])) + text


@st.composite
def ragged_quotes(draw: st.DrawFn) -> str:
    """A file of two columns with quotes anywhere, blank lines, any line ends."""
    raw = st.text(alphabet='ab"é ', max_size=8)
    lines = draw(st.lists(st.tuples(raw, raw).map(",".join) | st.just(""), max_size=14))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return f"one,two{end}" + end.join(lines) + draw(st.sampled_from(["", end]))


def oracle(text: str) -> list[tuple[str, ...]]:
    reader = csv.reader(io.StringIO(text.removeprefix(BOM), newline=""))
    return [tuple(row) for row in reader if row]


def ends_within_quotes(text: str) -> bool:
    return list(csv.reader(io.StringIO(f"{text}\nlast", newline="")))[-1] != ["last"]


def has_text_behind_a_quote(text: str) -> bool:
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return "expected after" in str(error)
    return False


@contextmanager
def written(text: str, name: str = "data.csv") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        yield path


def as_written(rows: list[tuple[str | None, ...]]) -> list[tuple[str, ...]]:
    return [tuple(value or "" for value in row) for row in rows]


@given(well_formed(), st.integers(1, 16))
@settings(deadline=None)
def test_texts_of_any_written_file_are_those_of_pythons_reader(text: str, parts: int) -> None:
    header, *rows = oracle(text)

    with written(text) as path:
        found = read_rows(path, parts, types=dict.fromkeys(header, "text"))

    assert as_written(found) == rows


@given(ragged_quotes(), st.integers(1, 16))
@settings(deadline=None, max_examples=often(300))
def test_quotes_in_odd_places_are_read_as_pythons_reader_reads_them(text: str, parts: int) -> None:
    rows = oracle(text)
    assume(all(len(row) == 2 for row in rows))
    assume(not ends_within_quotes(text))
    assume(not has_text_behind_a_quote(text))

    with written(text) as path:
        found = read_rows(path, parts, types={"one": "text", "two": "text"})

    assert as_written(found) == rows[1:]


@given(well_formed(), st.integers(2, 16))
@settings(deadline=None)
def test_rows_and_types_do_not_depend_on_the_number_of_parts(text: str, parts: int) -> None:
    with written(text) as path:
        whole, cut = (read_table(file_spec(path), count) for count in (1, parts))

    assert cut.schema == whole.schema
    assert cut.equals(whole)


@given(well_formed())
@settings(deadline=None, max_examples=50)
def test_a_compressed_file_has_the_rows_and_types_of_the_plain_one(text: str) -> None:
    with written(text) as path, written(text, "data.csv.gz") as packed:
        expected, found = read_table(file_spec(path)), read_table(file_spec(packed), 4)

    assert found.equals(expected)


@given(st.lists(st.tuples(st.text(alphabet='a",\n', max_size=4), st.booleans()), max_size=20))
@settings(deadline=None)
def test_an_empty_field_is_null_and_an_empty_quoted_one_is_empty_text(
    values: list[tuple[str, bool]],
) -> None:
    cells = [
        "" if value == "" and is_null else f'"{value.replace(chr(34), chr(34) * 2)}"'
        for value, is_null in values
    ]
    text = "one,two\n" + "".join(f"{cell},x\n" for cell in cells)

    with written(text) as path:
        found = read_table(file_spec(path, types={"one": "text"}), 3).column("one")

    expected = [None if value == "" and is_null else value for value, is_null in values]
    assert found.to_pylist() == expected
    assert found.type == pa.string()
