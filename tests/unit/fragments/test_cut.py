"""How buckets are counted and grouped."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kalla_core.fragments.cut import MAX_BUCKETS, bucket_count, coalesce, evenly

sizes = st.lists(st.integers(0, 1000), max_size=60)


def test_rows_that_fit_half_a_join_need_one_bucket() -> None:
    count = bucket_count(50, join_bytes=100)

    assert count == 1


def test_a_bucket_is_meant_to_fill_half_a_join() -> None:
    count = bucket_count(1000, join_bytes=100)

    assert count == 20


def test_the_number_of_buckets_is_bounded() -> None:
    count = bucket_count(10**15, join_bytes=1)

    assert count == MAX_BUCKETS


@given(sizes, st.integers(1, 500))
def test_every_bucket_is_in_one_group_in_order(sizes: list[int], most: int) -> None:
    groups = coalesce(sizes, most)

    assert [bucket for group in groups for bucket in group] == list(range(len(sizes)))


@given(sizes, st.integers(1, 500))
def test_a_group_of_several_buckets_fits(sizes: list[int], most: int) -> None:
    groups = coalesce(sizes, most)

    assert all(sum(sizes[b] for b in group) <= most for group in groups if len(group) > 1)


@given(sizes, st.integers(1, 500))
def test_neighbouring_groups_would_not_fit_together(sizes: list[int], most: int) -> None:
    groups = coalesce(sizes, most)

    heads = [sum(sizes[b] for b in group) + sizes[after[0]] for group, after in pairwise(groups)]
    assert all(head > most for head in heads)


@given(sizes, st.integers(1, 9))
def test_buckets_that_are_dealt_evenly_are_all_dealt_once_in_order(
    sizes: list[int], count: int
) -> None:
    groups = evenly(sizes, count)

    assert [bucket for group in groups for bucket in group] == list(range(len(sizes)))
    assert len(groups) <= count


@given(sizes, st.integers(1, 9))
def test_no_group_that_is_dealt_evenly_is_larger_than_its_share_and_one_bucket(
    sizes: list[int], count: int
) -> None:
    groups = evenly(sizes, count)

    share = sum(sizes) / count
    assert all(sum(sizes[b] for b in group) <= share + max(sizes) + 1 for group in groups)
