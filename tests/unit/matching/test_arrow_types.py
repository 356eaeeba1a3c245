import pyarrow as pa
import pytest
from datafusion import SessionContext, udf

from kalla_core.matching.sql.arrow_types import (
    UnknownType,
    all_spoken,
    is_text,
    parse_types,
    split,
    spoken,
)

TYPES = [
    pa.bool_(),
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.date32(),
    pa.date64(),
    pa.timestamp("s"),
    pa.timestamp("ms"),
    pa.timestamp("us", "UTC"),
    pa.timestamp("ns", "Europe/Berlin"),
    pa.timestamp("us", "+01:00"),
    pa.decimal32(5, 2),
    pa.decimal64(12, 3),
    pa.decimal128(38, 10),
    pa.decimal256(76, 0),
    pa.dictionary(pa.int32(), pa.string()),
]


@pytest.mark.parametrize("data_type", TYPES, ids=str)
def test_a_type_is_read_as_datafusion_writes_it(data_type: pa.DataType) -> None:
    session = SessionContext()
    batch = pa.RecordBatch.from_arrays([pa.array([], data_type)], ["x"])
    session.register_record_batches("t", [[batch]])
    unlike = pa.struct([pa.field("unlike", pa.int8())])
    session.register_udf(udf(lambda x, y: x, [unlike, unlike], pa.bool_(), "immutable", "f"))

    with pytest.raises(ValueError, match="coercion from") as caught:
        session.sql("select f(x, x) from t")

    written = str(caught.value).split("coercion from ")[1].split(" to the signature")[0]
    assert parse_types(written) == (data_type, data_type)


@pytest.mark.parametrize("text", ['Struct("a": Int8)', "Map(Int64)", "Interval(DayTime)", "X(1)"])
def test_a_type_that_no_function_takes_is_unknown(text: str) -> None:
    with pytest.raises(UnknownType) as caught:
        parse_types(f"Int64, {text}")

    assert str(caught.value) == text


def test_commas_within_brackets_and_quotes_separate_nothing() -> None:
    parts = split('Decimal128(12, 2), Timestamp(ns, "a,b"), Utf8')

    assert parts == ("Decimal128(12, 2)", 'Timestamp(ns, "a,b")', "Utf8")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Decimal128(12, 2)", "decimal(12,2)"),
        ("UInt8", "integer"),
        ("Float64", "floating-point number"),
        ("Utf8View", "text"),
        ("Timestamp(ns)", "timestamp"),
        ('Timestamp(µs, "UTC")', "timestamp with time zone"),
        ("Time64(ns)", "time of day"),
        ("List(Int64)", "list"),
        ("Date32", "date"),
    ],
)
def test_types_are_told_in_words(text: str, words: str) -> None:
    assert spoken(text) == words


def test_types_within_a_message_are_told_in_words_too() -> None:
    assert all_spoken("got Utf8, not Decimal128(3, 1).") == "got text, not decimal(3,1)."


def test_text_in_a_dictionary_is_text() -> None:
    assert is_text(pa.dictionary(pa.int32(), pa.large_string()))
    assert not is_text(pa.dictionary(pa.int32(), pa.int64()))
