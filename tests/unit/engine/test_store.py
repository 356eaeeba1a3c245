"""Where rows wait between scan and join: whatever the way there, each row once and in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.engine.spool.store import PART_SHIFT, HeldTooMuch, PartRows, Plan, Store
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.errors import OutputNotWritable
from kalla_core.fragments.model import Hold
from kalla_core.matching.sql.query import Side, TableShape

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])
SHAPE = TableShape("t", SCHEMA, ("id",))
PLAN = Plan(Path(), numbered=False, whole_bytes=1 << 20, run_bytes=1 << 20, buckets=lambda _: 3)
Parts = list[list[list[int]]]
"""For each part, the ids of the rows of each of its batches."""

PARTS = st.lists(
    st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), max_size=4), max_size=4
)


def batch(ids: Sequence[int]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(ids, pa.int64()), [f"row {i}" for i in ids]], schema=SCHEMA)


def by_remainder(
    side: Side, batches: Sequence[pa.RecordBatch], buckets: int
) -> npt.NDArray[np.int64]:
    ids: npt.NDArray[np.int64] = np.concatenate([b.column("id").to_numpy() for b in batches])
    return ids % buckets


def store_with(plan: Plan) -> Store:
    return Store(dict.fromkeys(Side, SHAPE), plan, by_remainder)


def fill(part: PartRows, batches: list[list[int]]) -> None:
    for ids in batches:
        part.append([batch(ids)])
    part.finish()


def filled(plan: Plan, sides: dict[Side, Parts], threads: int = 1) -> Store:
    store = store_with(plan)
    tasks = [
        partial(fill, store.part(side, index), batches)
        for side, parts in sides.items()
        for index, batches in enumerate(parts)
    ]
    run_all(tasks, threads, Stop())
    store.finish()
    return store


def ids_of(store: Store, side: Side, buckets: tuple[int, ...] | None = None) -> list[int]:
    return [i for b in store.rows(side, buckets).batches for i in b.column("id").to_pylist()]


def in_order(parts: Parts) -> list[int]:
    return [i for batches in parts for ids in batches for i in ids]


@given(PARTS, PARTS, st.sampled_from([0, 1, 100, 200, 400, 1 << 20]), st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_every_row_is_there_once_and_in_the_order_of_the_source(
    tmp_path_factory: pytest.TempPathFactory,
    left: Parts,
    right: Parts,
    whole_bytes: int,
    threads: int,
) -> None:
    plan = replace(PLAN, folder=tmp_path_factory.mktemp("spool"), whole_bytes=whole_bytes)
    sides = {Side.LEFT: left, Side.RIGHT: right}

    store = filled(plan, sides, threads)

    for side, parts in sides.items():
        assert store.row_count(side) == len(in_order(parts))
        if store.hold is Hold.MEMORY:
            assert ids_of(store, side) == in_order(parts)
            continue
        for bucket in range(3):
            expected = [i for i in in_order(parts) if i % 3 == bucket]
            assert ids_of(store, side, (bucket,)) == expected


@given(PARTS, st.sampled_from([0, 100, 300]))
@settings(max_examples=40, deadline=None)
def test_a_number_names_a_row_of_the_source_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory, parts: Parts, whole_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    plan = replace(PLAN, folder=folder, whole_bytes=whole_bytes, numbered=True)

    store = filled(plan, {Side.LEFT: parts})

    if store.hold is Hold.SPOOL:
        rows = store.rows(Side.LEFT)
        assert rows.ids is not None
        flat = [[i for ids in batches for i in ids] for batches in parts]
        named = [flat[n >> PART_SHIFT][n & ((1 << PART_SHIFT) - 1)] for n in rows.ids.tolist()]
        assert named == ids_of(store, Side.LEFT)
        assert sorted(rows.ids.tolist()) == sorted(
            (part << PART_SHIFT) + place
            for part, ids in enumerate(flat)
            for place in range(len(ids))
        )


def test_rows_are_held_in_memory_while_they_fit(tmp_path: Path) -> None:
    store = filled(replace(PLAN, folder=tmp_path), {Side.LEFT: [[[1, 2]], [[3]]]})

    assert store.hold is Hold.MEMORY
    assert list(tmp_path.iterdir()) == []


def test_rows_go_to_the_spool_in_the_middle_of_a_scan(tmp_path: Path) -> None:
    held: list[int] = []

    def buckets(held_bytes: int) -> int:
        held.append(held_bytes)
        return 2

    plan = replace(PLAN, folder=tmp_path, whole_bytes=150, buckets=buckets)
    store = store_with(plan)
    done, slow = store.part(Side.LEFT, 0), store.part(Side.RIGHT, 0)
    fill(done, [[1, 2]])
    slow.append([batch([3, 4])])
    before = store.hold

    for ids in ([5, 6], [7, 8], [9, 10]):
        slow.append([batch(ids)])
    between = sorted(path.name for path in tmp_path.iterdir())
    slow.finish()
    store.finish()

    assert before is Hold.MEMORY
    assert store.hold is Hold.SPOOL
    assert between == ["left-0.spool", "right-0.spool"]
    assert len(held) == 1
    assert held[0] > 150
    assert ids_of(store, Side.LEFT) == [2, 1]
    assert ids_of(store, Side.RIGHT, (1,)) == [3, 5, 7, 9]


def test_a_thread_that_sees_the_spool_sees_its_buckets(tmp_path: Path) -> None:
    seen: list[Hold] = []

    def buckets(held_bytes: int) -> int:
        seen.append(store.hold)  # what another thread would see while this takes its time
        return 2

    store = store_with(replace(PLAN, folder=tmp_path, whole_bytes=1, buckets=buckets))

    fill(store.part(Side.LEFT, 0), [[1]])

    assert seen == [Hold.MEMORY]
    assert (store.hold, store.buckets) == (Hold.SPOOL, 2)


def test_a_store_without_a_spool_says_that_it_holds_too_much() -> None:
    store = store_with(replace(PLAN, whole_bytes=100, buckets=None))
    part = store.part(Side.LEFT, 0)
    part.append([batch([1])])

    with pytest.raises(HeldTooMuch):
        part.append([batch(range(100))])


def test_a_store_that_is_given_up_leaves_no_file(tmp_path: Path) -> None:
    store = store_with(replace(PLAN, folder=tmp_path, whole_bytes=0))
    for side in Side:
        store.part(side, 0).append([batch([1, 2])])
    written = len(list(tmp_path.iterdir()))

    store.abandon()

    assert written == 2
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_removed_leaves_no_file(tmp_path: Path) -> None:
    store = filled(
        replace(PLAN, folder=tmp_path, whole_bytes=0), {Side.LEFT: [[[1]], []], Side.RIGHT: [[[2]]]}
    )

    store.remove()

    assert list(tmp_path.iterdir()) == []


def test_no_folder_for_the_spool_is_said_so(tmp_path: Path) -> None:
    store = store_with(replace(PLAN, folder=tmp_path / "gone", whole_bytes=0))

    with pytest.raises(OutputNotWritable, match="gone"):
        store.part(Side.LEFT, 0).append([batch([1])])


def test_bytes_and_rows_are_known_per_bucket_and_part(tmp_path: Path) -> None:
    plan = replace(PLAN, folder=tmp_path, whole_bytes=0)

    store = filled(plan, {Side.LEFT: [[[0, 3]], [[1]]], Side.RIGHT: [[[6]]]})

    assert store.part_rows(Side.LEFT) == [2, 1]
    sizes = store.bucket_bytes().tolist()
    assert sizes[0] > sizes[1] > sizes[2] == 0
