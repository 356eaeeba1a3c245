import math
import struct
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from datafusion import Expr, col

from kalla_core.engine.keys.hashing import digest, in_buckets, is_hashable, key_hash
from kalla_core.errors import TypesNotComparable
from kalla_core.matching.plans.session import new_session

MANY = 1_000_003  # so many buckets that unlike values all but surely differ

NUMBERS: dict[pa.DataType, list[Any]] = {
    pa.bool_(): [False, True],
    pa.int8(): [-128, 0, 127],
    pa.int16(): [-(2**15), 0, 2**15 - 1],
    pa.int32(): [-(2**31), 0, 2**31 - 1],
    pa.int64(): [-(2**63), 0, 2**63 - 1],
    pa.uint8(): [0, 255],
    pa.uint16(): [0, 2**16 - 1],
    pa.uint32(): [0, 2**32 - 1],
    pa.uint64(): [0, 2**63, 2**64 - 1],
    pa.float16(): [0.5, -2.0, math.inf],
    pa.float32(): [0.1, -1e30, math.inf],
    pa.float64(): [0.1, 2.0**53 + 2, -1e300, -math.inf],
    pa.decimal32(9, 2): [Decimal("0.01"), Decimal("-9999999.99")],
    pa.decimal64(18, 2): [Decimal("0.01"), Decimal(10**15)],
    pa.decimal128(12, 2): [Decimal("0.01"), Decimal("-123.45")],
    pa.decimal128(38, 10): [Decimal("0.01"), Decimal(10**27)],
    pa.decimal128(5, -3): [Decimal(1000), Decimal(99000)],
    pa.decimal256(76, 38): [Decimal("0.01"), Decimal(10**37)],
}
TEXTS: dict[pa.DataType, list[Any]] = {
    pa.string(): ["", "a", "é"],
    pa.large_string(): ["", "a", "é"],
    pa.string_view(): ["", "a", "longer than twelve bytes"],
    pa.binary(): [b"", b"\xff"],
    pa.large_binary(): [b"", b"\xff"],
    pa.binary_view(): [b"", b"\xff longer than twelve bytes"],
    pa.binary(2): [b"ab", b"\xff\x00"],
    pa.dictionary(pa.int32(), pa.string()): ["a", "b"],
    pa.dictionary(pa.int8(), pa.uint64()): [1, 2**64 - 1],
}
MOMENTS: dict[pa.DataType, list[Any]] = {
    pa.date32(): [date(1, 1, 1), date(2024, 2, 29), date(9999, 12, 31)],
    pa.date64(): [date(1, 1, 1), date(2024, 2, 29)],
    pa.time32("s"): [time(0), time(23, 59, 59)],
    pa.time32("ms"): [time(0), time(23, 59, 59, 999000)],
    pa.time64("us"): [time(0), time(23, 59, 59, 999999)],
    pa.time64("ns"): [time(0), time(23, 59, 59, 999999)],
    pa.timestamp("s"): [datetime(1900, 1, 1), datetime(2024, 1, 1)],
    pa.timestamp("ms"): [datetime(1900, 1, 1), datetime(2024, 1, 1)],
    pa.timestamp("us", "UTC"): [datetime(1900, 1, 1), datetime(2024, 1, 1)],
    pa.timestamp("ns", "Europe/Berlin"): [datetime(1900, 1, 1), datetime(2024, 1, 1)],
    pa.duration("s"): [timedelta(0), timedelta(days=-1)],
    pa.duration("ms"): [timedelta(0), timedelta(days=-1)],
    pa.duration("us"): [timedelta(0), timedelta(days=-1)],
    pa.duration("ns"): [timedelta(0), timedelta(days=-1)],
    pa.month_day_nano_interval(): [(0, 0, 0), (1, 0, 0), (0, 30, 0), (0, 0, -1)],
}
SAMPLES = NUMBERS | TEXTS | MOMENTS

NESTED = [
    pa.list_(pa.int64()),
    pa.large_list(pa.int64()),
    pa.list_view(pa.int64()),
    pa.list_(pa.int64(), 2),
    pa.struct({"a": pa.int64()}),
    pa.map_(pa.string(), pa.int64()),
    pa.dense_union([pa.field("a", pa.int64())]),
    pa.run_end_encoded(pa.int32(), pa.int64()),
    pa.dictionary(pa.int32(), pa.list_(pa.int64())),
    pa.uuid(),
]


def array(data_type: pa.DataType, values: Sequence[Any]) -> pa.Array:
    if pa.types.is_dictionary(data_type):
        return pa.array(values, data_type.value_type).dictionary_encode().cast(data_type)
    return pa.array(values, data_type)


def numbers(chunks: Sequence[pa.RecordBatch], expression: Expr, buckets: int = MANY) -> list[int]:
    """The buckets of the rows of these batches by a hash of them, in their order."""
    table = new_session().create_dataframe([list(chunks)])
    hashes = table.select(expression.alias("hash")).to_arrow_table().column(0).to_numpy()
    return in_buckets(hashes, buckets).tolist()


def buckets_of(values: pa.Array, as_type: pa.DataType, buckets: int = MANY) -> list[int]:
    batch = pa.record_batch({"k": values})
    return numbers([batch], key_hash([(col("k"), as_type)]), buckets)


@pytest.mark.parametrize("data_type", SAMPLES, ids=str)
def test_equal_values_share_a_bucket_wherever_they_stand(data_type: pa.DataType) -> None:
    values = [*SAMPLES[data_type], None]
    ahead = pa.record_batch({"k": array(data_type, values)})
    behind = pa.record_batch({"k": array(data_type, [values[0], *reversed(values)]).slice(1)})

    expression = key_hash([(col("k"), data_type)])
    together = numbers([ahead, behind], expression)

    assert together == together[::-1]
    assert numbers([behind], expression) == together[len(values) :]


@pytest.mark.parametrize("data_type", SAMPLES, ids=str)
def test_unlike_values_are_told_apart(data_type: pa.DataType) -> None:
    values = array(data_type, [*SAMPLES[data_type], None])

    found = buckets_of(values, data_type)

    assert len(set(found)) == len(values)


@pytest.mark.parametrize("data_type", SAMPLES, ids=str)
def test_every_number_is_a_bucket(data_type: pa.DataType) -> None:
    values = array(data_type, [*SAMPLES[data_type], None])

    assert set(buckets_of(values, data_type, 3)) <= {0, 1, 2}
    assert set(buckets_of(values, data_type, 1)) == {0}


@pytest.mark.parametrize("data_type", NESTED, ids=str)
def test_a_type_without_a_hash_is_refused_by_name(data_type: pa.DataType) -> None:
    with pytest.raises(TypesNotComparable) as refused:
        key_hash([(col("k"), data_type)])

    assert str(data_type) in str(refused.value)
    assert not is_hashable(data_type)


def test_every_arrow_type_is_either_hashed_or_refused() -> None:
    tried = {data_type.id for data_type in [*SAMPLES, *NESTED, pa.null()]}
    unknown_to_datafusion = {pa.lib.Type_INTERVAL_MONTHS, pa.lib.Type_INTERVAL_DAY_TIME}

    every = {value for name, value in vars(pa.lib).items() if name.startswith("Type_")}
    large_list_view = {pa.large_list_view(pa.int8()).id}
    sparse_union = {pa.sparse_union([]).id}

    assert every - tried - unknown_to_datafusion <= large_list_view | sparse_union


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (pa.int8(), pa.int64()),
        (pa.uint32(), pa.int64()),
        (pa.int64(), pa.decimal128(22, 2)),
        (pa.uint8(), pa.uint64()),
        (pa.int32(), pa.float64()),
        (pa.float32(), pa.float64()),
        (pa.decimal128(5, 1), pa.decimal128(20, 4)),
        (pa.decimal128(5, 1), pa.decimal256(50, 4)),
        (pa.string_view(), pa.string()),
        (pa.dictionary(pa.int32(), pa.string()), pa.large_string()),
        (pa.date32(), pa.timestamp("ns")),
        (pa.timestamp("s"), pa.timestamp("us")),
        (pa.date32(), pa.date64()),
        (pa.binary(2), pa.binary()),
    ],
    ids=str,
)
def test_sides_of_unlike_types_meet_in_the_type_they_are_compared_as(
    narrow: pa.DataType, wide: pa.DataType
) -> None:
    texts = ["2024-01-01"] if pa.types.is_temporal(narrow) else ["12", "34"]
    plain = narrow.value_type if pa.types.is_dictionary(narrow) else narrow
    values = pa.array(texts).cast(pa.int64() if pa.types.is_integer(plain) else pa.string())
    left = array(narrow, pc.cast(values, plain).to_pylist())
    right = pc.cast(pc.cast(values, plain), wide)

    assert buckets_of(left, wide) == buckets_of(right, wide)


@pytest.mark.parametrize("data_type", [pa.float16(), pa.float32(), pa.float64()], ids=str)
def test_both_zeros_are_one_value_and_so_are_all_not_a_numbers(data_type: pa.DataType) -> None:
    width = data_type.bit_width // 8
    letter = {2: "e", 4: "f", 8: "d"}[width]
    quiet, odd = bytes([0] * (width - 2) + [0xF8, 0x7F]), bytes([1] * (width - 2) + [0xF9, 0xFF])
    nans = quiet + odd if width > 2 else bytes([0x00, 0x7E, 0x01, 0xFE])
    data = pa.py_buffer(struct.pack(f"<2{letter}", 0.0, -0.0) + nans)
    values = pa.Array.from_buffers(data_type, 4, [None, data])

    zero, minus_zero, nan, other_nan = buckets_of(values, data_type)

    assert values.to_pylist()[:2] == [0.0, 0.0]
    assert all(map(math.isnan, values.to_pylist()[2:]))
    assert zero == minus_zero
    assert nan == other_nan != zero


def test_nulls_of_a_composite_key_count_by_their_place() -> None:
    batch = pa.record_batch({"a": [None, 1, None, 1], "b": [1, None, None, 1]})

    found = numbers([batch], key_hash([(col("a"), pa.int64()), (col("b"), pa.int64())]))

    assert len(set(found)) == 4


def test_a_composite_key_is_hashed_in_the_order_given() -> None:
    batch = pa.record_batch({"a": [1, 2], "b": [2, 1]})
    forth = key_hash([(col("a"), pa.int64()), (col("b"), pa.int64())])
    back = key_hash([(col("b"), pa.int64()), (col("a"), pa.int64())])

    assert numbers([batch], forth) == list(reversed(numbers([batch], back)))
    assert len(set(numbers([batch], forth))) == 2


def test_a_value_that_cannot_be_cast_counts_as_null() -> None:
    texts = pa.array(["12", "twelve", None])

    twelve, word, null = buckets_of(texts, pa.int64())

    assert word == null != twelve


def test_a_key_of_nulls_alone_has_a_bucket() -> None:
    assert len(set(buckets_of(pa.nulls(3), pa.null()))) == 1


def test_the_buckets_are_those_of_every_other_machine_and_version() -> None:
    batch = pa.record_batch(
        {
            "i": [1, -7],
            "s": ["INV-1", ""],
            "d": pa.array([Decimal("9.90"), None], pa.decimal128(12, 2)),
        }
    )
    keys = {"i": pa.int64(), "s": pa.string(), "d": pa.decimal128(12, 2)}

    found = {name: numbers([batch], key_hash([(col(name), keys[name])]), 64) for name in keys}
    all_keys = key_hash([(col(name), keys[name]) for name in keys])

    assert found == {"i": [50, 25], "s": [21, 4], "d": [36, 42]}
    assert numbers([batch], all_keys, 64) == [40, 54]


def test_keys_spread_evenly() -> None:
    keys = pa.array([f"INV-{number:06d}" for number in range(16_000)])

    sizes = Counter(buckets_of(keys, pa.string(), 16))

    assert len(sizes) == 16
    assert max(sizes.values()) < 1.15 * 1000


def test_rows_without_a_key_are_spread_by_their_content() -> None:
    rows = 1600
    batch = pa.record_batch(
        {
            "k": pa.nulls(rows, pa.int64()),
            "id": range(rows),
            "tags": [[number] for number in range(rows)],
        }
    )
    columns = [(col(field.name), field.type) for field in batch.schema]

    expression = digest(columns)
    found = numbers([batch], expression, 4)

    assert min(Counter(found).values()) > 300
    assert numbers([batch.slice(700)], expression, 4) == found[700:]


def test_rows_of_nothing_but_nested_columns_go_to_one_bucket() -> None:
    batch = pa.record_batch({"tags": [[1], [2], None]})

    expression = digest([(col("tags"), batch.schema.field("tags").type)])

    assert numbers([batch], expression) == [0, 0, 0]


@pytest.mark.parametrize("buckets", [1, 2, 12, 1024, MANY])
def test_hashes_of_either_sign_are_divided_with_a_rest_that_is_none_below_zero(
    buckets: int,
) -> None:
    least, most = -(2**63), 2**63 - 1
    hashes = [least, least + 1, -MANY, -13, -12, -1, 0, 1, 11, 12, MANY, most - 1, most]

    found = in_buckets(np.array(hashes, dtype=np.int64), buckets)

    assert found.tolist() == [each % buckets for each in hashes]
