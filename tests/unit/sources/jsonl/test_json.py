from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import InvalidFormat, KallaError, SourceUnreadable, UnknownColumn
from kalla_core.sources.jsonl.envelope import enveloped_blocks
from kalla_core.sources.jsonl.records import line_blocks, object_blocks
from kalla_core.sources.jsonl.texts import objects, text_of
from kalla_core.sources.registry import connector_for
from tests.support.sources import file_spec, format_rows, format_spec, read_rows, types_of


def put(tmp_path: Path, text: str, name: str = "in.json") -> Path:
    path = tmp_path / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    ("numbers", "found", "values"),
    [
        (["1", "-20"], pa.int64(), ["1", "-20"]),
        (["1", "2.50"], pa.decimal128(18, 2), ["1", "2.5"]),
        (["0.1", "0.30000000000000004"], pa.decimal128(38, 17), ["0.1", "0.30000000000000004"]),
        (["1e3", "25e-1"], pa.decimal128(18, 1), ["1000", "2.5"]),
        (["9007199254740993"], pa.int64(), ["9007199254740993"]),
        (["12345678901234567890"], pa.decimal128(38, 0), ["12345678901234567890"]),
        (["12345678901234567890.12"], pa.decimal128(38, 2), ["12345678901234567890.12"]),
        (["-0"], pa.int64(), ["0"]),
    ],
)
def test_numbers_are_exactly_those_that_are_written(
    tmp_path: Path, numbers: list[str], found: pa.DataType, values: list[str]
) -> None:
    path = put(tmp_path, "\n".join(f'{{"n": {number}}}' for number in numbers))

    assert types_of(path) == {"n": found}
    assert [row[0] for row in read_rows(path)] == [Decimal(value) for value in values]


def test_a_number_beyond_all_decimals_is_a_double(tmp_path: Path) -> None:
    path = put(tmp_path, '{"n": 1e300}\n{"n": 2.5}')

    assert types_of(path) == {"n": pa.float64()}


def test_texts_stay_texts_unless_all_are_dates_or_timestamps(tmp_path: Path) -> None:
    rows = [
        {"id": "007", "n": "12", "d": "2026-03-31", "t": "2026-03-31T10:00:00Z", "m": "2026-01-01"},
        {"id": "8", "n": "13", "d": None, "t": "2026-03-31T12:00:00+02:00", "m": "soon"},
    ]
    path = put(tmp_path, json.dumps(rows))

    at = datetime(2026, 3, 31, 10, tzinfo=UTC)
    assert read_rows(path) == [
        ("007", "12", date(2026, 3, 31), at, "2026-01-01"),
        ("8", "13", None, at, "soon"),
    ]


def test_texts_become_what_types_and_formats_say(tmp_path: Path) -> None:
    path = put(tmp_path, '[{"n": "12.50", "d": "31.03.2026"}, {"n": 3, "d": "01.04.2026"}]')

    rows = format_rows(path, {"date": "%d.%m.%Y"}, types={"n": "decimal(9,2)"})

    assert rows == [(Decimal("12.50"), date(2026, 3, 31)), (Decimal(3), date(2026, 4, 1))]


def test_objects_are_structs_and_arrays_lists(tmp_path: Path) -> None:
    path = put(tmp_path, '{"a": {"x": 1.50, "y": ["p", null]}}\n{"a": {"y": []}}\n{"a": null}')

    assert read_rows(path) == [
        ({"x": Decimal("1.50"), "y": ["p", None]},),
        ({"x": None, "y": []},),
        (None,),
    ]


def test_what_types_call_text_is_as_it_is_written(tmp_path: Path) -> None:
    path = put(
        tmp_path, '{"a": 1.50}\n{"a": "x"}\n{"a": {"b": [1.0, "é"]}}\n{"a": null}\n{"a": true}'
    )

    rows = format_rows(path, {}, types={"a": "text"})

    assert rows == [("1.50",), ("x",), ('{"b":[1.0,"é"]}',), (None,), ("true",)]


@pytest.mark.parametrize("name", ["in.json", "in.jsonl", "in.ndjson", "in.json.gz", "IN.JSONL.GZ"])
@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"b":"x,]}\\"{["}\n{"a":2}\n',
        '\ufeff\n [ {"a":1,"b":"x,]}\\"{["} ,\n{\n"a":2} ]\n\n',
        '{\n"a":1,\n"b":"x,]}\\"{["}{"a":2}',
    ],
)
def test_objects_are_read_however_they_are_laid_out(tmp_path: Path, text: str, name: str) -> None:
    path = put(tmp_path, text, name.lower())

    assert read_rows(path) == [(1, 'x,]}"{['), (2, None)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('a"\\{}[], \n\u00e9')),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.sampled_from('ab"\\{}[]'), max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b"]), VALUES), max_size=6)


@given(RECORDS, st.integers(1, 40), st.sampled_from([None, 1]))
def test_blocks_of_any_size_hold_the_same_objects(
    records: list[dict[str, Any]], size: int, indent: int | None
) -> None:
    array = json.dumps(records, indent=indent).encode()
    lines = "".join(f"{json.dumps(one)}\n" for one in records).encode()
    apart = "".join(json.dumps(one, indent=indent) for one in records).encode()

    for data, cut in ((array, object_blocks), (lines, line_blocks), (apart, object_blocks)):
        left = [data]

        def read(wanted: int, left: list[bytes] = left) -> bytes:
            some, left[0] = left[0][: min(wanted, size)], left[0][min(wanted, size) :]
            return some

        found = [one for block in cut(read, size) for one in objects(block.data, block.line)]
        assert [json.loads(json.dumps(row)) for _, row in found] == json.loads(
            json.dumps(records), parse_int=str
        )


def test_lines_are_cut_into_parts_that_hold_all_rows(tmp_path: Path) -> None:
    lines = [f'{{"id": {n}, "text": "{"x" * (n % 50 + 50)}"}}\n' for n in range(20_000)]
    path = put(tmp_path, "".join(lines), "in.jsonl")
    spec = file_spec(path)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 3)

    assert len(parts) == 3
    assert [row[0] for row in read_rows(path, parts=3)] == list(range(20_000))


def test_rows_are_numbered_and_files_united_by_name(tmp_path: Path) -> None:
    put(tmp_path, '{"a": 1, "b": 2}\n{"a": 2}', "1.jsonl")
    put(tmp_path, '[{"b": 2.5, "c": "x"}]', "2.json")
    spec = format_spec(tmp_path, {"row_number": "row"})

    assert format_rows(tmp_path, {"row_number": "row"}, parts=4) == [
        (1, 1, Decimal(2), None),
        (2, 2, None, None),
        (3, None, Decimal("2.5"), "x"),
    ]
    with connector_for(spec).pin(spec) as pinned:
        assert "has no column `a`" in " ".join(pinned.notes)


FAR = "".join(f'{{"n": {n}, "d": "2026-03-31"}}\n' for n in range(45_000))


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ('{"n": 1.5}', r"the field `n` is a number, `1\.5`, and no integer.*decimal\(19,1\)"),
        ('{"n": "x"}', r'the field `n` is a text, `"x"`, and no integer.*"n": "text"'),
        ('{"d": "soon"}', "the field `d` is a text.*and no date"),
        ('{"n": [1]}', r"the field `n` is an array, `\[1\]`, and no integer"),
        ('{"z": 1}', 'the field `z` stands in none of the records.*"z": "text"'),
        ('{"n": 1', "it is no JSON"),
        ('{"n": 1} x', "it is no JSON"),
        ('{"n": 1, "n": 2}', "it is no JSON: the field `n` stands in it twice"),
        ("[1]", "`\\[1\\]` is no object"),
    ],
)
def test_what_does_not_fit_far_behind_is_named_with_its_line(
    tmp_path: Path, last: str, says: str
) -> None:
    path = put(tmp_path, FAR + last, "in.jsonl")

    with pytest.raises(SourceUnreadable, match=rf"line 45001 of in\.jsonl: {says}"):
        read_rows(path, parts=2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1}\n{"a": "x"}', 'line 2 .* `a` is a text, `"x"`, but in line 1 a number, `1`'),
        ('{"a": {"b": 1}}\n{"a": {"b": []}}', r"the field `a\.b` is an array.*\"a\": \"text\""),
        ('{"a": [1, "x"]}', r"the field `a\[\]` is a text"),
        ('{"a": NaN}', "line 1 .* NaN is no JSON"),
        ('[{"a": 1}, 5]', "`5`"),
        ('[{"a": 1}', "ends before its array does"),
        ('[{"a": 1}] x', "has `x` where an object or its end should be"),
        ('{"a": 1}\n\n{"a": tru}', "line 3 .* it is no JSON"),
        ('{"a": "\\ud800"}', "in.json"),
        ("id;n\n1;2\n", "in.json"),
        ("[" * 100_000, "in.json"),
    ],
)
def test_what_is_no_table_of_json_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = put(tmp_path, text)

    with pytest.raises(SourceUnreadable, match=says):
        read_rows(path)


@pytest.mark.parametrize(
    ("found", "types", "error", "says"),
    [
        ({"delimiter": ";"}, {}, InvalidFormat, "JSON files have no `delimiter`"),
        ({}, {"amuont": "text"}, UnknownColumn, "Did you mean `amount`"),
    ],
)
def test_what_does_not_go_with_json_is_refused(
    tmp_path: Path, found: dict[str, Any], types: dict[str, str], error: type[KallaError], says: str
) -> None:
    path = put(tmp_path, '{"amount": 1}')

    with pytest.raises(error, match=says):
        format_rows(path, found, types=types)


ROWS = [{"id": 1, "amount": "1.50", "tags": [{"t": 1}]}, {"id": 2, "amount": "}],[{", "tags": []}]
ENVELOPES: list[tuple[str, Any]] = [
    ("data", {"data": ROWS}),
    ("data", {"count": 2, "note": 'a "data": [{"id": 9}] \\', "data": ROWS, "next": None}),
    ("result.page.items", {"items": [{"id": 7}], "result": {"page": {"n": [1], "items": ROWS}}}),
    ("Größe", {"Größe": ROWS, "data": [[{"id": 3}]]}),
]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(("records", "document"), ENVELOPES)
def test_records_within_an_object_are_read_as_rows(
    tmp_path: Path, records: str, document: object, indent: int | None
) -> None:
    text = json.dumps(document, indent=indent)
    path = put(tmp_path, f"\ufeff{text}\n")

    assert format_rows(path, {"records": records}) == [
        (1, "1.50", [{"t": 1}]),
        (2, "}],[{", []),
    ]


@given(st.integers(1, 40))
def test_an_envelope_gives_its_records_and_their_lines_in_blocks_of_any_size(size: int) -> None:
    text = json.dumps({"meta": {"n": [1, {"id": 3}]}, "data": ROWS, "more": ROWS}, indent=1)
    stream = io.BytesIO(text.encode())

    blocks = list(enveloped_blocks(stream.read, ["data"], size))

    found = [one for block in blocks for one in objects(block.data, block.line)]
    assert [json.loads(text_of(row)) for _, row in found] == ROWS
    starts = [n for n, line in enumerate(text.split("\n"), 1) if line == "  {"]
    assert [line for line, _ in found] == starts[:2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"data": [{"id": 1}], "next": nul', "is cut off, or no JSON, before or behind the array"),
        ('{"data": [{"id": 1}]', "is cut off"),
        ('{"data": [{"id": 1}, {"id"', "ends before its array does"),
        ('{"data": [{"id": 1}]}\n{"data": [{"id": 2}]}', "before or behind the array `data`"),
        ('{"data": [{"id": 1}], "data": [{"id": 2}]}', "has one of `data` twice"),
        ('{"date": [{"id": 1}]}', "has no array `data`. Arrays of records in it: `date`."),
        ('{"data": {"id": 1}}', "has a `data` that is no array"),
        ('[{"data": 1}]', "is not one object"),
        ('{"data": [1, 2]}', "where an object or its end should be"),
        ("", "has no array `data`"),
    ],
)
def test_an_envelope_that_is_not_as_said_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    path = put(tmp_path, text)

    with pytest.raises(SourceUnreadable) as caught:
        format_rows(path, {"records": "data"})

    assert said in str(caught.value)


def test_one_record_that_holds_an_array_of_records_is_told_with_what_reads_them(
    tmp_path: Path,
) -> None:
    spec = file_spec(put(tmp_path, '{"n": 1, "data": [{"id": 1}], "old": {"data": [{"id": 2}]}}'))

    with connector_for(spec).pin(spec) as pinned:
        (note,) = pinned.detail["notes"]

    assert '"format": {"records": "data"} or {"records": "old.data"} reads them.' in note


def test_an_object_whose_arrays_hold_no_one_type_is_refused_with_what_reads_them(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, '{"data": [{"id": 1}, {"id": "x"}]}')

    with pytest.raises(SourceUnreadable, match=r'"format": \{"records": "data"\} reads them'):
        read_rows(path)
