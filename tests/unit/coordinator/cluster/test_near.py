"""Where the inputs of joins lie."""

from __future__ import annotations

from kalla_coordinator.cluster.attempts import FragmentKey, StageName
from kalla_coordinator.cluster.layout import Settle
from kalla_coordinator.cluster.near import Near
from kalla_core.fragments.outcome import BucketSize, BucketSizes

KEY = FragmentKey(StageName.SETTLE, 0)


def sizes() -> BucketSizes:
    return BucketSizes.of(BucketSize(bucket, 1, 10, bucket) for bucket in range(64))


def test_bytes_are_summed_up_over_the_buckets_of_a_fragment_for_each_executor_that_has_any() -> (
    None
):
    near = Near()

    for number in range(20):
        near.add(f"executor-{number}", sizes(), 1)
    near.add("executor-3", sizes(), 1)
    near.add("executor-4", sizes(), -1)
    found = near.of(KEY, Settle((1, 5), 0))

    others = {f"executor-{number}": 6 for number in range(20) if number not in (3, 4)}
    assert found == {**others, "executor-3": 12}


def test_a_scan_that_is_lost_is_noticed() -> None:
    near, settle = Near(), Settle((5,), 0)

    near.add("executor-1", sizes(), 1)
    before = near.of(KEY, settle)
    near.add("executor-1", sizes(), -1)

    assert (before, near.of(KEY, settle)) == ({"executor-1": 5}, {})


def test_a_fragment_is_summed_up_once_and_anew_when_it_is_laid_out_anew() -> None:
    near, whole = Near(), Settle((5, 6), 0)
    near.add("executor-1", sizes(), 1)

    found = near.of(KEY, whole)
    again = near.of(KEY, whole)
    half = near.of(KEY, Settle((5,), 0))

    assert again is found
    assert (found, half) == ({"executor-1": 11}, {"executor-1": 5})
