import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import TypesNotComparable
from kalla_core.evidence.keys import GroupTexts, are_among, group_ids, key_text, match_ids
from tests.support.xxh64 import xxh64

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)


def compact(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def test_the_reference_hash_is_the_published_one() -> None:
    published = {b"": 0xEF46DB3751D8E999, b"a": 0xD24EC4F1A98C6E5B, b"abc": 0x44BC2CF5AD770999}

    found = {data: xxh64(data, seed=0) for data in published}

    assert found == published


UTC = "UTC"
MOMENT = datetime(2024, 3, 31, 12, 30, 0, 250_000)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array(["INV-1"]), "INV-1"),
        (pa.array(["INV-1"], pa.large_string()), "INV-1"),
        (pa.array(["INV-1"], pa.string_view()), "INV-1"),
        (pa.array(["INV-1"]).dictionary_encode(), "INV-1"),
        (pa.array([-7], pa.int8()), "-7"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([True]), "true"),
        (pa.array([Decimal("10.50")], pa.decimal128(12, 2)), "10.50"),
        (pa.array([Decimal("-0.0000001")], pa.decimal128(20, 7)), "-0.0000001"),
        (pa.array([Decimal(0)], pa.decimal128(38, 38)), "0." + 38 * "0"),
        (pa.array([Decimal("12.5")], pa.decimal256(60, 12)), "12.500000000000"),
        (pa.array([0.1]), "0.1"),
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([1e20]), "1e+20"),
        (pa.array([100.0]), "100"),
        (pa.array([float("nan")]), "nan"),
        (pa.array([float("-inf")]), "-inf"),
        (pa.array([date(2024, 3, 31)]), "2024-03-31"),
        (pa.array([date(2024, 3, 31)], pa.date64()), "2024-03-31"),
        (pa.array([MOMENT], pa.timestamp("us")), "2024-03-31T12:30:00.25"),
        (pa.array([MOMENT], pa.timestamp("ns")), "2024-03-31T12:30:00.25"),
        (pa.array([MOMENT.replace(microsecond=0)], pa.timestamp("s")), "2024-03-31T12:30:00"),
        (pa.array([MOMENT], pa.timestamp("ms", UTC)), "2024-03-31T12:30:00.25Z"),
        (pa.array([MOMENT], pa.timestamp("us", "Asia/Tokyo")), "2024-03-31T12:30:00.25Z"),
        (pa.array([datetime(1, 1, 1)], pa.timestamp("us")), "0001-01-01T00:00:00"),
        (pa.array([time(12, 30)], pa.time32("s")), "12:30:00"),
        (pa.array([time(12, 30, 0, 5)], pa.time64("us")), "12:30:00.000005"),
        (pa.array([timedelta(seconds=3)], pa.duration("ms")), "3000"),
        (pa.array([b"\x00\xff"]), "00ff"),
        (pa.array([b"\x0a\xbc"], pa.binary(2)), "0abc"),
        (pa.array([b"\x0a"], pa.binary_view()), "0a"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_a_key_of_one_column_is_its_text(column: pa.Array, text: str) -> None:
    found = key_text([column])

    assert found.type == pa.string()
    assert found.to_pylist() == [text]


@pytest.mark.parametrize("arrow", [pa.int32(), pa.binary(), pa.decimal128(20, 9), pa.null()])
def test_a_null_key_of_one_column_is_null(arrow: pa.DataType) -> None:
    column = pa.nulls(3, arrow)

    found = key_text([column])

    assert found.to_pylist() == [None, None, None]


@given(st.lists(st.decimals(allow_nan=False, places=9, min_value=-1, max_value=1), max_size=9))
def test_decimals_never_have_an_exponent(values: list[Decimal]) -> None:
    column = pa.array(values, pa.decimal128(20, 9))

    found = key_text([column])

    assert found.to_pylist() == [format(abs(v) if v == 0 else v, "f") for v in values]


def test_a_slice_of_a_column_has_the_texts_of_its_own_rows() -> None:
    for column in (
        pa.array([b"\x01", None, b"\x02\x03", b""]),
        pa.array([Decimal("0.0000001"), None, Decimal(1), Decimal(-2)], pa.decimal128(20, 8)),
        pa.array(['"', None, "b", "c"]),
    ):
        whole = key_text([column, column]).to_pylist()
        sliced = key_text([column.slice(1, 2), column.slice(1, 2)]).to_pylist()

        assert sliced == whole[1:3]


@given(st.lists(st.tuples(st.none() | texts, st.none() | st.integers(-(2**63), 2**63 - 1))))
def test_a_key_of_several_columns_is_a_json_array(
    rows: list[tuple[str | None, int | None]],
) -> None:
    columns = [
        pa.array([text for text, _ in rows], pa.string()),
        pa.array([number for _, number in rows], pa.int64()),
    ]

    found = key_text(columns)

    assert found.to_pylist() == [compact(list(row)) for row in rows]


def test_integers_booleans_and_null_are_themselves_in_json_and_all_else_is_text() -> None:
    columns = [
        pa.array([7], pa.uint8()),
        pa.array([7]).dictionary_encode(),
        pa.array([False]),
        pa.nulls(1, pa.float64()),
        pa.array([1.5]),
        pa.array([Decimal("1.50")], pa.decimal128(5, 2)),
        pa.array([date(2024, 3, 31)]),
    ]

    found = key_text(columns)

    assert found.to_pylist() == ['[7,7,false,null,"1.5","1.50","2024-03-31"]']


def test_every_control_character_is_escaped_as_json_wants_it() -> None:
    every = "".join(map(chr, range(0x80))) + "\u2028ä𝄞"

    found = key_text([pa.array([every]), pa.array([1])])

    assert found.to_pylist() == [compact([every, 1])]


@pytest.mark.parametrize(
    "column",
    [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([(1, 2, 3)], pa.month_day_nano_interval())],
    ids=lambda column: str(column.type),
)
def test_a_nested_column_cannot_be_a_key(column: pa.Array) -> None:
    with pytest.raises(TypesNotComparable, match=r"cannot be part of a key"):
        key_text([column])


def test_match_ids_are_what_they_have_always_been() -> None:
    left = pa.array(["INV-000000001", "a", None, '["A-1",7]', ""])
    right = pa.array(["PAY-000000001", 'say "x"\n', "b", None, ""])

    found = match_ids(left, right)

    assert found.type == pa.string()
    assert found.to_pylist() == [
        "3b4d890c285cdf90",
        "7024465c17da4ca7",
        "6d88de667c433a98",
        "bcedf8a70f43a37a",
        "fdf26c9ed0b6cc54",
    ]


@given(st.lists(st.tuples(st.none() | texts, st.none() | texts)))
def test_a_match_id_is_the_hash_of_the_json_of_both_keys(
    pairs: list[tuple[str | None, str | None]],
) -> None:
    left = pa.array([left for left, _ in pairs], pa.string())
    right = pa.array([right for _, right in pairs], pa.string())

    found = match_ids(left, right)

    wanted = [f"{xxh64(compact(list(pair)).encode(), seed=42):016x}" for pair in pairs]
    assert found.to_pylist() == wanted


@given(
    st.lists(
        st.tuples(
            st.lists(st.none() | texts, min_size=1, max_size=4),
            st.lists(st.none() | texts, min_size=1, max_size=4),
        ),
        max_size=5,
    )
)
def test_a_group_id_is_the_hash_of_the_json_of_the_sorted_keys_of_both_sides(
    groups: list[tuple[list[str | None], list[str | None]]],
) -> None:
    sides = [[group[side] for group in groups] for side in (0, 1)]
    left, right = (
        GroupTexts(
            np.repeat(np.arange(len(side)), [len(keys) for keys in side]),
            pa.array([key for keys in side for key in keys], pa.string()),
        )
        for side in sides
    )

    found = group_ids(left, right, len(groups))

    wanted = [[in_order(keys) for keys in group] for group in groups]
    assert found.to_pylist() == [f"{xxh64(compact(one).encode(), seed=42):016x}" for one in wanted]


def in_order(keys: list[str | None]) -> list[str | None]:
    return sorted(keys, key=lambda key: (key is None, (key or "").encode()))


def test_a_group_id_does_not_depend_on_the_order_of_the_rows() -> None:
    there, back = (
        GroupTexts(np.zeros(3, np.int64), pa.array(keys))
        for keys in (["b", "a", "c"], ["c", "b", "a"])
    )
    one = GroupTexts(np.zeros(1, np.int64), pa.array(["x"]))

    assert group_ids(there, one, 1) == group_ids(back, one, 1)
    assert group_ids(there, one, 1) != group_ids(one, there, 1)


@given(st.lists(st.integers(-3, 9)), st.sets(st.integers(-3, 9)))
def test_hashes_are_among_known_ones_as_in_a_set(hashes: list[int], known: set[int]) -> None:
    ascending = np.array(sorted(known), dtype=np.int64)

    found = are_among(np.array(hashes, dtype=np.int64), ascending)

    assert found.tolist() == [one in known for one in hashes]
