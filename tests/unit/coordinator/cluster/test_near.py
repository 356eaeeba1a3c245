"""How much work it is to know where the inputs of joins lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from kalla_coordinator.cluster.attempts import Accepted, FragmentKey, StageName
from kalla_coordinator.cluster.layout import Settle
from kalla_coordinator.cluster.near import Near
from kalla_core.fragments.outcome import BucketSize, ScanDone

BUCKETS = 64
KEY = FragmentKey(StageName.SETTLE, 0)


@dataclass
class Counted:
    """Sizes of buckets that count how often they are read."""

    sizes: tuple[BucketSize, ...]
    reads: int = 0

    def __iter__(self) -> Iterator[BucketSize]:
        self.reads += 1
        return iter(self.sizes)


def counted() -> Counted:
    return Counted(tuple(BucketSize(bucket, 1, 10, bucket) for bucket in range(BUCKETS)))


def scan(executor: str, sizes: Counted) -> Accepted:
    return Accepted(1, executor, ScanDone(1, 0, 0, cast("Any", sizes), 1))


def test_the_buckets_of_a_scan_are_summed_up_once_however_often_somebody_asks() -> None:
    near, sizes = Near(), counted()
    scans = [scan(f"executor-{number}", sizes) for number in range(3)]
    settle = Settle((1, 5), 0)

    asked = []
    for _ in range(100):
        near.look_at(scans, BUCKETS)
        asked.append(near.of(KEY, settle))

    assert asked[0] == {f"executor-{number}": 6 for number in range(3)}
    assert all(answer is asked[0] for answer in asked)
    assert sizes.reads == len(scans)


def test_a_scan_that_is_lost_or_made_elsewhere_is_noticed() -> None:
    near = Near()
    first, second = (scan(name, counted()) for name in ("executor-1", "executor-2"))
    settle = Settle((5,), 0)

    near.look_at([first, second], BUCKETS)
    both = near.of(KEY, settle)
    near.look_at([second], BUCKETS)
    one = near.of(KEY, settle)
    near.look_at([replace(first, executor="executor-2"), second], BUCKETS)
    moved = near.of(KEY, settle)

    assert both == {"executor-1": 5, "executor-2": 5}
    assert one == {"executor-2": 5}
    assert moved == {"executor-2": 10}


def test_a_fragment_that_is_laid_out_anew_is_asked_for_anew() -> None:
    near = Near()
    near.look_at([scan("executor-1", counted())], BUCKETS)

    whole = near.of(KEY, Settle((5, 6), 0))
    half = near.of(KEY, Settle((5,), 0))

    assert (whole, half) == ({"executor-1": 11}, {"executor-1": 5})
