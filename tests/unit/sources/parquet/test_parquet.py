"""Parquet: types as delivered, row groups shared out and pruned, faults named."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import InvalidType, SourceChanged, SourceUnreadable
from kalla_core.recipe.model import Filter, FilterOp, Scalar
from kalla_core.sources.formats import Pruned
from kalla_core.sources.parquet.groups import RowGroup, parts_of
from kalla_core.sources.registry import connector_for
from tests.support.sources import file_spec, read_parts, read_rows, read_table, types_of


def put(path: Path, columns: dict[str, pa.Array], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


STRUCT = pa.struct([("a", pa.large_string()), ("b", pa.int32())])
DELIVERED = pa.struct([("a", pa.string()), ("b", pa.int32())])
MAP = pa.map_(pa.string(), pa.string())

TYPES: list[tuple[pa.Array, pa.DataType]] = [
    (pa.array(["a", None], pa.string()), pa.string()),
    (pa.array(["a", None], pa.large_string()), pa.string()),
    (pa.array(["a", None], pa.string_view()), pa.string()),
    (pa.array(["a", None]).dictionary_encode(), pa.string()),
    (pa.array(["a", None], pa.large_string()).dictionary_encode(), pa.string()),
    (pa.array([b"a", None], pa.large_binary()), pa.binary()),
    (pa.array([b"a", None], pa.binary_view()), pa.binary()),
    (pa.array([b"ab", None], pa.binary(2)), pa.binary(2)),
    (pa.array([1, None], pa.int8()), pa.int8()),
    (pa.array([2**64 - 1, None], pa.uint64()), pa.uint64()),
    (pa.array([1.5, None], pa.float32()), pa.float32()),
    (pa.array([np.float16(1.5), None], pa.float16()), pa.float32()),
    (pa.array([Decimal("1.25"), None], pa.decimal128(9, 2)), pa.decimal128(9, 2)),
    (pa.array([Decimal("1.25"), None], pa.decimal256(50, 2)), pa.decimal256(50, 2)),
    (pa.array([date(2024, 1, 31), None]), pa.date32()),
    (pa.array([1000, None], pa.timestamp("ns")), pa.timestamp("ns")),
    (pa.array([1, None], pa.timestamp("ms", "UTC")), pa.timestamp("ms", "UTC")),
    (pa.array([1, None], pa.time64("us")), pa.time64("us")),
    (pa.array([True, None]), pa.bool_()),
    (pa.array([None, None], pa.null()), pa.null()),
    (pa.array([["a"], None], pa.large_list(pa.large_string())), pa.list_(pa.string())),
    (pa.array([{"a": "x", "b": 1}, None], STRUCT), DELIVERED),
    (pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.large_string())), MAP),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "delivered"), TYPES, ids=lambda value: str(value)[:40])
def test_a_type_is_delivered_in_its_plain_form_with_the_same_values(
    tmp_path: Path, stored: pa.Array, delivered: pa.DataType
) -> None:
    path = put(tmp_path / "in.parquet", {"v": stored})

    found = read_table(file_spec(path)).column("v")

    assert found.type == delivered
    assert [str(value) for value in found] == [str(value) for value in stored]


def test_a_column_that_is_all_null_in_one_file_has_the_type_of_the_others(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", {"v": pa.nulls(2)})
    put(tmp_path / "b.parquet", {"v": pa.array([5])})

    assert types_of(tmp_path) == {"v": pa.int64()}
    assert read_rows(tmp_path, 2) == [(None,), (None,), (5,)]


def test_columns_of_several_files_are_found_by_name(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", {"x": pa.array([1]), "y": pa.array(["one"])})
    put(tmp_path / "b.parquet", {"y": pa.array(["two"]), "x": pa.array([2])})

    assert read_rows(tmp_path, 2) == [(1, "one"), (2, "two")]


def test_bounds_of_a_name_with_a_point_are_not_those_of_a_struct(tmp_path: Path) -> None:
    struct = pa.array([{"b": 1}, {"b": 2}])
    path = put(tmp_path / "in.parquet", {"a.b": pa.array([3, 4]), "a": struct})

    assert len(read_rows(path, filters=[Filter("a.b", FilterOp.GTE, 3)])) == 2


def test_a_name_with_a_point_is_no_path_into_a_struct(tmp_path: Path) -> None:
    struct = pa.array([{"b": 1}, {"b": 2}])
    path = put(
        tmp_path / "in.parquet", {"a": struct, "a.b": pa.array([3, 4]), "a.c": pa.array(["x", "y"])}
    )
    spec = file_spec(path, filters=[Filter("a.b", FilterOp.GT, 3)])
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        (batch,) = connector.read(pinned, part, columns=["a", "a.c"])

    assert batch.to_pylist() == [{"a": {"b": 2}, "a.c": "y"}]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            {"x": pa.array([1.5]), "y": pa.array([1])},
            "column `x` is int64 in .*a.parquet` but double in .*b.parquet`",
        ),
    ],
)
def test_unlike_files_are_refused_with_what_differs(
    tmp_path: Path, columns: dict[str, pa.Array], says: str
) -> None:
    put(tmp_path / "a.parquet", {"x": pa.array([1]), "y": pa.array([1])})
    put(tmp_path / "b.parquet", columns)

    with pytest.raises(SourceUnreadable, match=says):
        types_of(tmp_path)


def test_columns_with_the_same_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "in.parquet")

    with pytest.raises(SourceUnreadable, match="2 columns named `a`"):
        types_of(tmp_path / "in.parquet")


def test_types_of_the_recipe_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "in.parquet", {"a": pa.array([1])})

    with pytest.raises(InvalidType, match="types of their own"):
        types_of(path, types={"a": "text"})


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"id,amount\n1,2\n", b"PAR1" + b"x" * 100 + b"PAR1"]
)
def test_what_is_no_parquet_file_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(data)

    with pytest.raises(SourceUnreadable, match=r"in\.parquet` is no whole Parquet file"):
        types_of(path)


def test_a_damaged_page_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = put(
        tmp_path / "in.parquet", {"a": pa.array(range(100_000))}, compression="zstd",
        use_dictionary=False, write_page_checksum=True,
    )  # fmt: skip
    spec = file_spec(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)

        with pytest.raises(SourceUnreadable, match=r"in\.parquet` is no whole Parquet file"):
            list(connector.read(pinned, part))


def test_a_file_that_is_replaced_is_found_changed(tmp_path: Path) -> None:
    path = put(tmp_path / "in.parquet", {"a": pa.array(range(10))})
    spec = file_spec(path)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        put(path, {"a": pa.array(range(11))})

        with pytest.raises(SourceChanged, match=r"in\.parquet"):
            list(connector.read(pinned, part))


NUMBERS = pa.array(range(100))
UNSIGNED = pa.array([2**64 - 1 - n for n in range(100)], pa.uint64())
TEXT = pa.array([f"R-{n:03}" for n in range(100)])
LONG_TEXT = pa.array([f"{n:03}" * 500 for n in range(100)])
MONEY = pa.array([Decimal(n) / 4 for n in range(100)], pa.decimal128(12, 2))
WIDE = pa.array([Decimal(n) for n in range(100)], pa.decimal128(38, 2))
DATES = pa.array([date(2024, 1 + n // 10, 1 + n % 10) for n in range(100)])
TIMES = pa.array([datetime(2024, 1, 1, n // 10, n % 10, tzinfo=UTC) for n in range(100)])
NANOSECONDS = pa.array(range(100), pa.timestamp("ns"))

GROUPS: list[tuple[str, pa.Array, FilterOp, Scalar | tuple[Scalar, ...], int]] = [
    ("integers", NUMBERS, FilterOp.LT, 10, 9),
    ("integers", NUMBERS, FilterOp.IN, (5, 95), 8),
    ("integers", NUMBERS, FilterOp.EQ, 1000, 10),
    ("unsigned", UNSIGNED, FilterOp.GTE, 2**64 - 5, 9),
    ("text", TEXT, FilterOp.EQ, "R-042", 9),
    ("long text", LONG_TEXT, FilterOp.GTE, "099" * 500, 9),
    ("money", MONEY, FilterOp.GT, 24.6, 9),
    ("wide", WIDE, FilterOp.LTE, 5, 9),
    ("dates", DATES, FilterOp.BETWEEN, ("2024-02-01", "2024-02-29"), 9),
    ("times", TIMES, FilterOp.LT, "2024-01-01T03:00+02:00", 9),
    ("nanoseconds", NANOSECONDS, FilterOp.LT, "1970-01-01T00:00:00.000000005", 0),
    ("floats", pa.array([float(n) for n in range(100)]), FilterOp.LT, 10, 0),
    ("negation", NUMBERS, FilterOp.NEQ, 10, 0),
]


@pytest.mark.parametrize(("name", "values", "op", "value", "pruned"), GROUPS)
def test_row_groups_without_a_row_that_passes_are_not_read(
    tmp_path: Path,
    name: str,
    values: pa.Array,
    op: FilterOp,
    value: Scalar | tuple[Scalar, ...],
    pruned: int,
) -> None:
    path = put(tmp_path / "in.parquet", {"v": values}, row_group_size=10)
    unpruned = put(tmp_path / "one_group.parquet", {"v": values})
    each = Filter("v", op, value)
    spec = file_spec(path, filters=[each])
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        reader = connector.read(pinned, part)
        skipped = [piece for piece in reader._pieces if isinstance(piece, Pruned)]  # type: ignore[attr-defined]

    assert [piece.rows for piece in skipped] == [10] * pruned
    assert read_table(spec).equals(read_table(file_spec(unpruned, filters=[each])))


def test_a_nan_in_a_row_group_is_found_though_no_statistics_tell_of_it(tmp_path: Path) -> None:
    path = put(tmp_path / "in.parquet", {"v": pa.array([1.0, float("nan")])})

    rows = read_rows(path, filters=[Filter("v", FilterOp.GT, 10)])

    assert [str(value) for (value,) in rows] == ["nan"]


sizes = st.lists(st.integers(1, 1000), min_size=1, max_size=40)


@given(sizes, st.integers(1, 16))
def test_every_row_group_is_in_one_part_in_order(size_bytes: list[int], parts: int) -> None:
    groups = [
        RowGroup(index // 3, index % 3, 0 if size == 500 else size, size)
        for index, size in enumerate(size_bytes)
    ]

    found = parts_of(groups, parts)

    shared = [
        (piece["file"], group)
        for part in found
        for piece in part.detail["pieces"]
        for group in piece["row_groups"]
    ]
    assert shared == [(group.file, group.index) for group in groups if group.rows]
    assert len(found) <= parts
    assert [part.index for part in found] == list(range(len(found)))


def test_rows_are_counted_exactly_without_reading_them(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        put(tmp_path / name, {"v": pa.array(range(1234))})
    spec = file_spec(tmp_path)

    with connector_for(spec).pin(spec) as pinned:
        assert pinned.statistics.exact
        assert pinned.statistics.rows == 2468


def test_the_order_of_rows_is_that_of_row_groups_and_files(tmp_path: Path) -> None:
    put(tmp_path / "b.parquet", {"v": pa.array(range(50, 90))}, row_group_size=7)
    put(tmp_path / "a.parquet", {"v": pa.array(range(50))}, row_group_size=7)
    spec = file_spec(tmp_path)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        tables = read_parts(connector, pinned, 5)

    assert len(tables) == 5
    assert [row["v"] for table in tables for row in table.to_pylist()] == list(range(90))


MOMENT = datetime(2026, 1, 2, 3, 4, 5)
WIDENED = [
    (pa.array([1], pa.int64()), pa.array([2**64 - 1], pa.uint64()), pa.decimal128(20, 0)),
    (pa.array([-1], pa.int8()), pa.array([2**32 - 1], pa.uint32()), pa.int64()),
    (pa.array([1], pa.uint8()), pa.array([2**16 - 1], pa.uint16()), pa.uint16()),
    (pa.array([2**62]), pa.array([Decimal("0.25")]), pa.decimal128(21, 2)),
    (
        pa.array([MOMENT], pa.timestamp("ms")),
        pa.array([MOMENT], pa.timestamp("us")),
        pa.timestamp("us"),
    ),
]


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("one", "other", "expected"), WIDENED, ids=[str(w[2]) for w in WIDENED])
def test_types_that_one_type_holds_exactly_become_that_one(
    tmp_path: Path, one: pa.Array, other: pa.Array, expected: pa.DataType, parts: int
) -> None:
    put(tmp_path / "a.parquet", {"v": one})
    put(tmp_path / "b.parquet", {"v": other})

    table = read_table(file_spec(tmp_path), parts)

    assert table.schema.field("v").type == expected
    assert table["v"].to_pylist() == [one[0].as_py(), other[0].as_py()]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1]), pa.array([1.5])),
        (pa.array([MOMENT], pa.timestamp("ns")), pa.array([MOMENT], pa.timestamp("us"))),
        (pa.array([MOMENT], pa.timestamp("us")), pa.array([MOMENT], pa.timestamp("us", "UTC"))),
    ],
)
def test_types_that_no_type_holds_exactly_are_refused(
    tmp_path: Path, one: pa.Array, other: pa.Array
) -> None:
    put(tmp_path / "a.parquet", {"v": one})
    put(tmp_path / "b.parquet", {"v": other})

    with pytest.raises(SourceUnreadable, match="no type holds both exactly"):
        read_table(file_spec(tmp_path), 1)


def test_files_of_a_folder_are_united_by_name_and_widened(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", {"k": pa.array([1], pa.int32()), "d": pa.array(["1.5"])})
    put(tmp_path / "b.parquet", {"new": pa.array(["x"]), "k": pa.array([2**40], pa.int64())})
    spec = file_spec(tmp_path)

    for parts in (1, 3):
        table = read_table(spec, parts)
        assert table.to_pylist() == [
            {"k": 1, "d": "1.5", "new": None},
            {"k": 2**40, "d": None, "new": "x"},
        ]

    with connector_for(spec).pin(spec) as pinned:
        assert any("b.parquet` of 2 files has no column `d`" in note for note in pinned.notes)
        (part,) = connector_for(spec).plan(pinned, 1)
        picked = connector_for(spec).read(pinned, part, columns=["new"])
        assert sum(batch.num_rows for batch in picked) == 2
