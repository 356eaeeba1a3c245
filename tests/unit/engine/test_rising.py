"""Keys that rise strictly are not hashed; all others are, each once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.engine.keys.rising import Rise, RisingKeys
from kalla_core.fragments.outcome import KeyRange, all_rise
from kalla_core.matching.sql.query import TableShape

Parts = Sequence[Sequence[Sequence[Any]]]
"""Of each part its batches, of each of those the keys."""


def hashed(
    parts: Parts, kind: pa.DataType, in_memory: bool | Sequence[bool] = True, keys: int = 1
) -> list[Any]:
    """Return the keys whose hashes were asked for.

    Args:
        in_memory: whether rows are held there; of each part, or of all.
    """
    names = [f"k{n}" for n in range(keys)]
    schema = pa.schema([("other", pa.int8()), *((name, kind) for name in names)])
    asked: list[Any] = []

    def hashing(batches: Sequence[pa.RecordBatch]) -> None:
        asked.extend(key for batch in batches for key in batch.column("k0").to_pylist())

    def batch_of(values: Sequence[Any]) -> pa.RecordBatch:
        column = pa.array(values, kind)
        others = pa.nulls(len(values), pa.int8())
        return pa.RecordBatch.from_arrays([others, *[column] * keys], schema=schema)

    def on_disk(index: int) -> list[list[pa.RecordBatch]]:
        return [[batch_of(values)] for values in parts[index]]

    rising = RisingKeys(TableShape("t", schema, tuple(names)), hashing)
    where = [in_memory] * len(parts) if isinstance(in_memory, bool) else in_memory
    for index, batches in enumerate(parts):
        run = rising.part(index)
        for values in batches:
            run.add([batch_of(values)], in_memory=where[index])
        run.end(in_memory=where[index])
    rising.finish(on_disk)
    return asked


def every(parts: Parts) -> list[Any]:
    return sorted(
        (key for part in parts for batch in part for key in batch),
        key=lambda key: (key is None, key),
    )


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["", "A", "Z", "a", "ä", "日", "😀", "😀a"]),
        (pa.int64(), [-(2**63), -1, 0, 1, 5, 6, 7, 2**63 - 1]),
        (pa.uint64(), [0, 1, 2, 3, 4, 5, 2**63, 2**64 - 1]),
        (pa.decimal128(38, 2), [Decimal(n) / 4 for n in (-9, -1, 0, 1, 2, 3, 4, 10**36)]),
        (pa.date32(), [date(1900 + 30 * n, 1, 1) for n in range(8)]),
    ],
    ids=str,
)
def test_keys_that_rise_over_batches_and_parts_are_not_hashed(
    kind: pa.DataType, values: list[Any]
) -> None:
    parts = [[values[:2], values[2:3]], [], [values[3:6], [], values[6:]]]

    assert hashed(parts, kind) == []
    assert hashed(parts, kind, in_memory=False) == []
    assert hashed(parts, kind, in_memory=(True, True, False)) == []  # which all go to disk then
    assert hashed(parts[::-1], kind) == []  # whichever part was read first


@pytest.mark.parametrize(
    "parts",
    [
        [[["a", "a"]]],
        [[["b", "a"]]],
        [[["a", "b"], ["b", "c"]]],
        [[["a", None, "b"]]],
        [[["a", "c"]], [["b", "d"]]],
        [[["a", "c"]], [["c", "d"]]],
        [[["a", "b"]], [["d", "c"]]],
        [[["a"], ["b"], ["a"], ["e"]], [["x"]]],
    ],
)
def test_where_keys_do_not_rise_all_are_hashed_once(parts: Parts) -> None:
    for in_memory in (True, False, [True] * (len(parts) - 1) + [False]):
        asked = hashed(parts, pa.string(), in_memory)
        assert sorted(asked, key=lambda k: (k is None, k)) == every(parts)


@pytest.mark.parametrize("kind", [pa.float64(), pa.timestamp("us")], ids=str)
def test_keys_that_have_another_order_in_python_are_hashed(kind: pa.DataType) -> None:
    values = pa.array([1, 2, 3]).cast(kind).to_pylist()

    assert hashed([[values]], kind) == values


def test_keys_of_several_columns_are_hashed() -> None:
    parts = [[["a"], ["b"]], [["c"]]]

    assert hashed(parts, pa.string(), keys=2) == ["a", "b", "c"]
    assert hashed(parts, pa.string(), in_memory=False, keys=2) == ["a", "b", "c"]


def rise_of(batches: Sequence[Sequence[Any]], kind: pa.DataType) -> Rise:
    schema = pa.schema([("k", kind)])
    rise = Rise(TableShape("t", schema, ("k",)))
    for values in batches:
        rise.add([pa.record_batch([pa.array(values, kind)], schema=schema)])
    return rise


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (pa.string(), ["", "A", "AA", "B", "a", "\u00e4", "\uffee", "\U0001f600"]),
        (pa.int64(), [-(2**63), -257, -256, -1, 0, 1, 255, 256, 2**63 - 1]),
        (pa.uint64(), [0, 1, 2**63, 2**64 - 1]),
        (pa.date32(), [date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(9999, 12, 31)]),
        (
            pa.decimal128(38, 2),
            [Decimal(f"{sign}{text}") for sign, text in [("-", "9" * 36 + ".99"), ("-", "1.10")]]
            + [Decimal("0.00"), Decimal("1.09"), Decimal("1.10"), Decimal("9" * 36 + ".99")],
        ),
    ],
    ids=str,
)
def test_a_part_that_rises_tells_its_first_and_last_key_in_their_order(
    kind: pa.DataType, keys: Sequence[Any]
) -> None:
    rises = [rise_of([[low], [high]], kind).range() for low, high in pairwise(keys)]
    found = [KeyRange(*one) for one in rises if one is not None]

    assert len(found) == len(keys) - 1
    assert all(one.first < one.last for one in found)
    assert [one.last for one in found[:-1]] == [one.first for one in found[1:]]
    assert not all_rise(found) or len(found) == 1
    assert all_rise(found[::-2])


@pytest.mark.parametrize(
    "batches", [[["a", "a"]], [["b", "a"]], [["a"], ["a"]], [["b"], ["a"]], [["a", None]], [[]], []]
)
def test_a_part_without_keys_or_whose_keys_do_not_rise_tells_none(
    batches: Sequence[Sequence[Any]],
) -> None:
    assert rise_of(batches, pa.string()).range() is None


def test_keys_of_a_type_that_python_orders_otherwise_are_not_told_of() -> None:
    assert rise_of([[1.0, 2.0]], pa.float64()).range() is None
