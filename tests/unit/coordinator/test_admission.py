"""Who runs, who waits and who is sent away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_coordinator.jobs.admission import Places, admit, arrive, leave, start
from kalla_core.errors import JobConflict, QueueFull
from kalla_core.ids import RunId

FULL = Places(1, 1, frozenset({RunId("a")}), (RunId("b"),))


def test_one_more_than_may_wait_is_sent_away_with_a_time_to_come_back() -> None:
    with pytest.raises(QueueFull) as raised:
        admit(FULL, RunId("c"), "body", None, job_s=12)

    assert raised.value.retry_after_s == 12


def test_the_same_request_again_is_answered_as_before_even_when_the_queue_is_full() -> None:
    places = admit(FULL, RunId("b"), "body", "body", job_s=1)

    assert places is None


def test_another_request_of_the_same_run_is_a_conflict_even_when_the_queue_is_full() -> None:
    with pytest.raises(JobConflict):
        admit(FULL, RunId("b"), "another body", "body", job_s=1)


def test_free_slots_count_as_places_when_nobody_may_wait() -> None:
    empty = Places(most_running=2, most_waiting=0)

    one = admit(empty, RunId("a"), "body", None, job_s=1)
    assert one is not None
    two = admit(one, RunId("b"), "body", None, job_s=1)
    assert two is not None

    assert two.full
    assert start(arrive(arrive(two, RunId("a")), RunId("b")))[1] == ("a", "b")


def test_a_job_that_is_not_on_disk_yet_has_a_place_and_does_not_start() -> None:
    empty = Places(most_running=1, most_waiting=0)

    arriving = admit(empty, RunId("a"), "body", None, job_s=1)

    assert arriving is not None
    assert arriving.full
    assert start(arriving) == (arriving, ())
    assert leave(arriving, RunId("a")) == empty


ids = st.integers(0, 12).map(lambda number: RunId(f"r{number}"))
moves = st.lists(
    st.tuples(st.sampled_from(["submit", "arrive", "start", "leave"]), ids), max_size=80
)


@given(moves, st.integers(1, 3), st.integers(0, 4))
def test_bounds_hold_and_jobs_start_in_the_order_they_came(
    moves: list[tuple[str, RunId]], most_running: int, most_waiting: int
) -> None:
    places = Places(most_running, most_waiting)
    known: dict[RunId, str] = {}
    order: list[RunId] = []
    started: list[RunId] = []
    left: set[RunId] = set()

    for move, run_id in moves:
        if move == "submit":
            full = places.full
            try:
                taken = admit(places, run_id, "body", known.get(run_id), job_s=1)
            except QueueFull:
                assert full
                assert run_id not in known
            else:
                assert (taken is None) == (run_id in known)
                places = taken or places
                known[run_id] = "body"
        elif move == "arrive" and run_id in places.arriving:
            places = arrive(places, run_id)
            order.append(run_id)
        elif move == "start":
            places, now = start(places)
            started += now
        elif run_id in known:
            places = leave(places, run_id)
            left.add(run_id)

        assert len(places.running) <= most_running
        assert len(places.waiting) + len(places.arriving) <= most_waiting + most_running
        assert not places.running & set(places.waiting)
        assert not places.arriving & {*places.running, *places.waiting}
        assert {*places.running, *places.waiting, *places.arriving} | left == set(known)

    assert started == [one for one in order if one in started]
