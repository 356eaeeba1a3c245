"""What large runs cost the event loop that the coordinator does everything on."""

from __future__ import annotations

import asyncio

from tests.support.dispatch_cost import Size, played

MOST_PER_EVENT_S = 0.0002
MOST_GROWTH = 2.0
TIMES = 3
"""How often it is measured; the least counts, for others use the processor too."""


def per_event(size: Size) -> float:
    return min(asyncio.run(played(size)).per_event for _ in range(TIMES))


def test_an_event_costs_little_with_a_thousand_parts_and_buckets_on_fifty_executors() -> None:
    assert per_event(Size(parts=1024, buckets=1024, executors=50)) <= MOST_PER_EVENT_S


def test_an_event_costs_no_more_where_there_are_more_fragments() -> None:
    few = per_event(Size(parts=128, buckets=128, executors=10))
    many = per_event(Size(parts=1024, buckets=1024, executors=10))

    assert many <= MOST_GROWTH * few
