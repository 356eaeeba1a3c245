"""Ends of attempts, as messages and back."""

from __future__ import annotations

import time

import pytest

from kalla_core.fragments.attempt import parse_attempt_id
from kalla_core.fragments.crowd import Crowd
from kalla_core.fragments.outcome import (
    BucketSize,
    BucketSizes,
    FragmentEnded,
    JoinDone,
    KeyRange,
    Outcome,
    ScanDone,
    SettleDone,
)
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side
from kalla_core.wire.generated import executors_pb2 as pb
from kalla_core.wire.outcomes import ended_message, ended_of
from tests.support.machine import least

COUNTS = {Side.LEFT: 3, Side.RIGHT: 4}
SEVERAL = {Side.LEFT: Several(2, "7"), Side.RIGHT: Several()}
CROWDS = (Crowd("k = 'N/A'", 30, 40, placeholder=True), Crowd("k = 1", 500, 400, placeholder=False))


@pytest.mark.parametrize(
    "outcome",
    [
        JoinDone((), COUNTS, COUNTS, COUNTS, {"whole": 1}, 5, 6, 7, SEVERAL, CROWDS, 9),
        JoinDone((), COUNTS, COUNTS, COUNTS, groups=0),
        JoinDone((), COUNTS, COUNTS, COUNTS, reconciliation={"passes": [{"name": "\u00e9"}]}),
        SettleDone((), COUNTS, COUNTS, 5, 6, SEVERAL, CROWDS),
    ],
)
def test_what_joins_counted_comes_back_from_its_message(outcome: Outcome) -> None:
    ended = FragmentEnded(parse_attempt_id("run-1/1/join/0-1"), 1.5, outcome)

    assert ended_of(ended_message(ended)) == ended


@pytest.mark.parametrize("rising", [None, KeyRange(b"", b"\xff\x00"), KeyRange(b"A", b"B")])
def test_whether_keys_rise_comes_back_from_its_message(rising: KeyRange | None) -> None:
    done = ScanDone(9, None, 0, BucketSizes.of([]), 9, rising=rising)
    ended = FragmentEnded(parse_attempt_id("run-1/1/scan/0-1"), 1.0, done)

    assert ended_of(ended_message(ended)) == ended


def _scanned(buckets: int) -> bytes:
    sizes = BucketSizes.of(BucketSize(n, n + 1, n << 20, n << 19) for n in range(buckets))
    ended = FragmentEnded(parse_attempt_id("run-1/1/left/0-1"), 1.0, ScanDone(9, None, 0, sizes, 9))
    return ended_message(ended).SerializeToString()


def test_the_end_of_a_scan_of_a_thousand_buckets_costs_less_than_a_fifth_of_a_millisecond() -> None:
    told = _scanned(1024)

    def spend() -> float:
        began = time.thread_time()
        for _ in range(20):
            ended_of(pb.FragmentEnded.FromString(told))
        return (time.thread_time() - began) / 20

    ended = ended_of(pb.FragmentEnded.FromString(told))

    assert isinstance(ended.outcome, ScanDone)
    assert len(ended.outcome.buckets) == 1024
    assert least(spend, 0.0002) < 0.0002


@pytest.mark.parametrize(
    "sizes",
    [
        {"buckets": [0], "rows": [1 << 63], "raw_bytes": [1], "stored_bytes": [1]},
        {"buckets": [0, 1], "rows": [1], "raw_bytes": [1], "stored_bytes": [1]},
        {"buckets": [0], "rows": [1], "raw_bytes": [], "stored_bytes": []},
        {"buckets": [1, 0], "rows": [1, 1], "raw_bytes": [1, 1], "stored_bytes": [1, 1]},
        {"buckets": [1 << 31], "rows": [1], "raw_bytes": [1], "stored_bytes": [1]},
    ],
    ids=["less than nothing", "too few", "none", "falling", "no such bucket"],
)
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, list[int]]) -> None:
    told = pb.FragmentEnded.FromString(_scanned(0))
    told.scan.buckets.CopyFrom(pb.BucketSizes(**sizes))

    with pytest.raises(ValueError, match="rising numbers"):
        ended_of(told)
