"""Cutting tables into ranges of blocks: every block once, what grows later included."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kalla_core.sources.postgres.parts import BlockPart, BlockRange, cut

LATER = 3
"""How many blocks every table gains after the cut."""

tables = st.lists(st.integers(0, 40), min_size=1, max_size=6)


def blocks_read(parts: tuple[BlockPart, ...], now: list[int]) -> list[tuple[int, int]]:
    """Return the blocks that the parts read, in order, of tables that have so many blocks now."""
    return [
        (each.table, block)
        for part in parts
        for each in part.ranges
        for block in range(each.start, now[each.table] if each.end is None else each.end)
    ]


@given(tables, st.integers(-1, 60))
def test_the_parts_read_every_block_once_and_in_order(blocks: list[int], parts: int) -> None:
    read = blocks_read(cut(blocks, parts), blocks)

    assert read == [(table, block) for table, count in enumerate(blocks) for block in range(count)]


@given(tables, st.integers(1, 60))
def test_blocks_that_a_table_gains_later_are_read_once_too(blocks: list[int], parts: int) -> None:
    grown = [count + LATER if count else 0 for count in blocks]

    read = blocks_read(cut(blocks, parts), grown)

    assert sorted(read) == [
        (table, block) for table, count in enumerate(grown) for block in range(count)
    ]


@given(tables, st.integers(1, 60))
def test_parts_are_even_and_none_is_empty(blocks: list[int], parts: int) -> None:
    sizes = [part.blocks for part in cut(blocks, parts)]

    assert len(sizes) == min(parts, sum(blocks))
    assert all(size > 0 for size in sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_a_table_of_one_block_is_one_part_however_many_are_wanted() -> None:
    parts = cut([1], 8)

    assert parts == (BlockPart((BlockRange(0, 0, None),), 1),)


def test_a_table_without_blocks_has_no_parts() -> None:
    assert cut([0], 8) == ()
    assert cut([], 8) == ()


def test_a_part_that_spans_tables_reads_the_end_of_one_and_the_start_of_the_next() -> None:
    first, second = cut([3, 0, 5], 2)

    assert first.ranges == (BlockRange(0, 0, None), BlockRange(2, 0, 1))
    assert second.ranges == (BlockRange(2, 1, None),)


def test_a_range_is_a_scan_over_ctid_and_the_last_one_is_open() -> None:
    assert BlockRange(0, 2, 5).condition == "ctid >= '(2,0)'::tid AND ctid < '(5,0)'::tid"
    assert BlockRange(0, 5, None).condition == "ctid >= '(5,0)'::tid"
