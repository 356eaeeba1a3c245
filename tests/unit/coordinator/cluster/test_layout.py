from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kalla_coordinator.cluster.layout import (
    ALONE_BYTES,
    Room,
    Shape,
    divided,
    first_buckets,
    lay_out,
    more_buckets,
)
from kalla_core.fragments.cut import MAX_BUCKETS
from kalla_core.fragments.remote import CENSUS_CLASSES
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy

MIB = 1 << 20
ROOM = Room(slots=2, slot_memory_bytes=1 << 30)
BY_BUCKET = Shape(Strategy.COPARTITION)


def even(buckets: int, size: int) -> dict[Side, list[int]]:
    return dict.fromkeys(Side, [size] * buckets)


def test_small_buckets_are_joined_together_and_every_slot_has_several_joins() -> None:
    layout = lay_out(even(240, 2 * MIB), BY_BUCKET, ROOM)

    assert len(layout.joins) == 6
    assert sorted(b for join in layout.joins for b in join.buckets) == list(range(240))


def test_rows_that_are_few_are_one_join_for_every_slot_of_about_the_same_size() -> None:
    sizes = even(12, 3 * MIB)
    sizes[Side.LEFT][3] = 4 * MIB

    layout = lay_out(sizes, BY_BUCKET, ROOM)

    assert [join.buckets for join in layout.joins] == [tuple(range(6)), tuple(range(6, 12))]


def test_even_joins_that_are_too_large_for_a_slot_are_cut_further() -> None:
    room = Room(slots=2, slot_memory_bytes=512 << 20)
    sizes = even(22, MIB)
    sizes[Side.LEFT][10] = sizes[Side.LEFT][11] = 15 * MIB  # of both sides: they share a list

    layout = lay_out(sizes, BY_BUCKET, room)

    assert all(join.weight_bytes <= room.join_bytes for join in layout.joins)
    assert sorted(b for join in layout.joins for b in join.buckets) == list(range(22))


def test_a_bucket_that_is_too_large_has_a_join_to_itself() -> None:
    sizes = even(12, 20 * MIB)
    sizes[Side.LEFT][5] = 2000 * MIB

    layout = lay_out(sizes, BY_BUCKET, ROOM)

    assert [join.buckets for join in layout.joins if 5 in join.buckets] == [(5,)]


def test_what_is_not_worth_spreading_is_one_join_unless_the_recipe_asks_for_buckets() -> None:
    sizes = even(4, ALONE_BYTES // 16)

    assert len(lay_out(sizes, BY_BUCKET, ROOM).joins) == 1
    assert len(lay_out(sizes, Shape(Strategy.COPARTITION, spread=True), ROOM).joins) == 4


def test_single_is_one_join_with_everything_that_cannot_be_divided() -> None:
    layout = lay_out(even(8, 100 * MIB), Shape(Strategy.SINGLE), ROOM)

    (join,) = layout.joins
    assert join.buckets == tuple(range(8))
    assert not join.divisible
    assert layout.settles == ()


def test_passes_are_one_join_of_everything_however_large_and_well_cut_it_is() -> None:
    shape = Shape(Strategy.COPARTITION, spread=True, in_passes=True)

    (join,) = lay_out(even(8, 100 * MIB), shape, ROOM).joins

    assert join.buckets == tuple(range(8))
    assert (join.divisible, join.settle_later) == (False, False)


def test_a_small_replicable_side_goes_whole_to_every_join_and_rows_are_settled_later() -> None:
    sizes = {Side.LEFT: [100 * MIB] * 8, Side.RIGHT: [MIB] * 8}

    layout = lay_out(sizes, Shape(Strategy.BROADCAST, frozenset(Side)), ROOM)

    assert len(layout.joins) > 1
    assert all(join.whole == {Side.RIGHT} and join.settle_later for join in layout.joins)
    assert sorted(b for one in layout.settles for b in one.buckets) == list(range(8))


def test_rows_that_are_explained_by_several_keys_are_settled_in_one_piece() -> None:
    sizes = {Side.LEFT: [100 * MIB] * 8, Side.RIGHT: [MIB] * 8}

    layout = lay_out(sizes, Shape(Strategy.BROADCAST, frozenset(Side), scattered=True), ROOM)

    assert len(layout.joins) > 1
    (settle,) = layout.settles
    assert settle.buckets == tuple(range(8))
    assert not settle.divisible


def test_a_side_that_is_too_large_to_be_copied_is_joined_in_one_piece() -> None:
    layout = lay_out(even(8, 500 * MIB), Shape(Strategy.BROADCAST, frozenset(Side)), ROOM)

    assert len(layout.joins) == 1
    assert layout.settles == ()


def test_a_join_in_two_halves_counts_every_class_of_keys_once() -> None:
    (join,) = lay_out(even(7, 1), BY_BUCKET, ROOM).joins

    first, second = divided(join, 2)

    assert first.buckets + second.buckets == join.buckets
    assert first.census_classes + second.census_classes == tuple(range(CENSUS_CLASSES))


def test_little_data_is_one_bucket_and_unknown_data_is_spread_over_all_slots() -> None:
    assert first_buckets(MIB, ROOM) == 1
    assert first_buckets(None, ROOM) >= ROOM.slots


def test_buckets_grow_to_their_most_and_no_further() -> None:
    steps = [1]
    while (more := more_buckets(steps[-1])) is not None:
        steps.append(more)

    assert steps == [1, 16, 64, 256, MAX_BUCKETS]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=40),
    st.sampled_from(list(Strategy)),
    st.booleans(),
    st.integers(1, 16),
)
def test_every_bucket_is_in_one_join_and_every_class_of_keys_is_counted_once(
    sizes: list[tuple[int, int]], strategy: Strategy, spread: bool, slots: int
) -> None:
    by_side = {side: [pair[side is Side.RIGHT] * MIB for pair in sizes] for side in Side}

    layout = lay_out(by_side, Shape(strategy, frozenset({Side.LEFT}), spread), Room(slots, 1 << 30))

    buckets = list(range(len(sizes)))
    assert sorted(b for join in layout.joins for b in join.buckets) == buckets
    classes = sorted(c for join in layout.joins for c in join.census_classes)
    assert classes == list(range(CENSUS_CLASSES))
    assert sorted(b for one in layout.settles for b in one.buckets) in ([], buckets)


def test_parts_that_are_read_late_are_delivered_once_by_as_many_as_there_are_slots_for() -> None:
    shape = replace(BY_BUCKET, parts=(100 * MIB,) * 20)

    layout = lay_out(even(240, MIB), shape, ROOM)

    assert [settle.buckets for settle in layout.settles] == [()] * 6
    assert [n for settle in layout.settles for n in settle.delivers] == list(range(20))
    assert sum(settle.weight_bytes for settle in layout.settles) == 2000 * MIB


def test_somebody_delivers_the_rows_of_no_part_so_that_each_output_is_there() -> None:
    layout = lay_out(even(1, 0), replace(BY_BUCKET, parts=()), ROOM)

    assert [settle.delivers for settle in layout.settles] == [()]
