"""What large runs cost the event loop that the coordinator does everything on."""

from __future__ import annotations

import asyncio
import math

from tests.support.dispatch_cost import Size, played
from tests.support.machine import least, tries

MOST_PER_EVENT_S = 0.0002
MOST_GROWTH = 2.0


def per_event(size: Size) -> float:
    return asyncio.run(played(size)).per_event


def test_an_event_costs_little_with_a_thousand_parts_and_buckets_on_fifty_executors() -> None:
    large = Size(parts=1024, buckets=1024, executors=50)

    assert least(lambda: per_event(large), MOST_PER_EVENT_S) < MOST_PER_EVENT_S


def test_an_event_costs_no_more_where_there_are_more_fragments() -> None:
    few = Size(parts=128, buckets=128, executors=10)
    many = Size(parts=1024, buckets=1024, executors=10)

    grown = math.inf
    for _ in tries():  # each beside the other, for what others do changes what either takes
        grown = min(grown, per_event(many) / per_event(few))
        if grown <= MOST_GROWTH:
            break

    assert grown <= MOST_GROWTH
