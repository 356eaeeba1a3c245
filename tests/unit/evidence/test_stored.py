import io
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionContext

from kalla_core.evidence.stored import UnstorableTypeError, store, stored_type

NEGATIVE_SCALE = SessionContext().sql("SELECT arrow_cast(1500, 'Decimal128(5, -2)') AS x")
MOMENT = datetime(2024, 3, 31, 12, 30)


@pytest.mark.parametrize(
    ("column", "stored"),
    [
        (pa.nulls(2), pa.string()),
        (pa.array(["a", None], pa.large_string()), pa.string()),
        (pa.array(["a", None], pa.string_view()), pa.string()),
        (pa.array([b"a", None], pa.large_binary()), pa.binary()),
        (pa.array([b"a", None], pa.binary_view()), pa.binary()),
        (pa.array(["a", None]).dictionary_encode(), pa.string()),
        (pa.array(["a", None], pa.string_view()).cast(pa.string()), pa.string()),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", None]), pa.string()),
        (pa.array([MOMENT, None], pa.timestamp("s", "UTC")), pa.timestamp("ms", "UTC")),
        (pa.array([time(12, 30), None], pa.time32("s")), pa.time32("ms")),
        (pa.array([date(2024, 3, 31), None], pa.date64()), pa.date32()),
        (pa.array([Decimal("1.5"), None], pa.decimal256(70, 3)), pa.decimal256(70, 3)),
        (pa.array([timedelta(1), None], pa.duration("us")), pa.duration("us")),
        (pa.array([time(12, 30), None], pa.time64("ns")), pa.time64("ns")),
        (pa.array([1.5, None], pa.float16()), pa.float16()),
        (pa.array([2**64 - 1, None], pa.uint64()), pa.uint64()),
        (pa.array([["a"], None], pa.list_(pa.string_view())), pa.list_(pa.string())),
        (pa.array([["a"], None], pa.list_(pa.large_string(), 1)), pa.list_(pa.string(), 1)),
        (pa.array([[1], [2, 3], None], pa.list_view(pa.int32())), pa.list_view(pa.int32())),
        (
            pa.array([{"a": None}, None], pa.struct([("a", pa.null())])),
            pa.struct([("a", pa.string())]),
        ),
        (
            pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string_view())),
            pa.map_(pa.string(), pa.string()),
        ),
    ],
    ids=lambda value: str(value.type if isinstance(value, pa.Array) else value),
)
def test_a_stored_column_keeps_its_values_through_parquet(
    column: pa.Array, stored: pa.DataType
) -> None:
    kept = store(column, stored_type(column.type))
    file = io.BytesIO()
    pq.write_table(pa.table({"x": kept}), file)

    read = pq.read_table(file).column("x")

    assert kept.type == stored
    assert read.type == stored or pa.types.is_nested(stored)  # names of items may differ
    assert read.to_pylist() == column.to_pylist()


def test_a_decimal_with_a_negative_scale_becomes_as_many_digits_wider() -> None:
    column = NEGATIVE_SCALE.collect()[0].column(0)

    kept = store(column, stored_type(column.type))

    assert kept.type == pa.decimal128(7, 0)
    assert kept.to_pylist() == [Decimal(1500)]


def test_a_decimal_too_wide_for_128_bits_takes_256() -> None:
    assert stored_type(pa.decimal128(38, -2)) == pa.decimal256(40, 0)


@pytest.mark.parametrize(
    "arrow",
    [
        pa.month_day_nano_interval(),
        pa.struct([]),
        pa.list_(pa.month_day_nano_interval()),
        pa.struct([("a", pa.month_day_nano_interval())]),
        pa.dense_union([pa.field("a", pa.int32())]),
        pa.decimal256(76, -1),
        pa.list_view(pa.string_view()),
    ],
    ids=str,
)
def test_what_parquet_cannot_hold_is_refused_by_its_name(arrow: pa.DataType) -> None:
    with pytest.raises(UnstorableTypeError):
        stored_type(arrow)
