from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kalla_coordinator.cluster.attempts import FragmentKey, StageName
from kalla_coordinator.cluster.placement import Ready, Seat, Wish, assign


def join(number: int, weight: int = 1, **fields: object) -> Ready:
    return Ready(FragmentKey(StageName.JOIN, number), weight, **fields)  # type: ignore[arg-type]


def wish(job: str, *ready: Ready, busy: int = 0) -> Wish:
    return Wish(job, busy, ready)


def test_a_fragment_goes_where_most_of_its_bytes_are() -> None:
    near = join(0, local_bytes={"a": 10, "b": 30})

    (grant,) = assign([Seat("a", 4, 4), Seat("b", 4, 1)], [wish("run", near)])

    assert grant.executor == "b"


def test_a_fragment_whose_bytes_are_nowhere_goes_to_the_idlest() -> None:
    (grant,) = assign([Seat("a", 4, 1), Seat("b", 2, 2)], [wish("run", join(0))])

    assert grant.executor == "b"


def test_fragments_without_a_place_of_their_own_are_spread() -> None:
    grants = assign([Seat("a", 2, 2), Seat("b", 2, 2)], [wish("run", *map(join, range(4)))])

    assert Counter(grant.executor for grant in grants) == {"a": 2, "b": 2}


def test_jobs_take_turns_the_one_with_fewest_slots_first() -> None:
    first = wish("first", *map(join, range(4)), busy=2)
    second = wish("second", *map(join, range(4)))

    grants = assign([Seat("a", 4, 4)], [first, second])

    assert [grant.job for grant in grants] == ["second", "second", "first", "second"]


def test_a_fragment_keeps_away_from_where_it_failed_while_there_are_others() -> None:
    burnt = join(0, avoided=frozenset({"a"}))

    waiting = assign([Seat("a", 1, 1), Seat("b", 1, 0)], [wish("run", burnt)])
    (alone,) = assign([Seat("a", 1, 1)], [wish("run", burnt)])

    assert waiting == ()
    assert alone.executor == "a"


def test_a_fragment_that_cannot_start_holds_nobody_up() -> None:
    proof = join(0, allowed=frozenset({"b"}))

    (grant,) = assign([Seat("a", 1, 1), Seat("b", 1, 0)], [wish("run", proof, join(1))])

    assert grant.key.number == 1


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), max_size=5),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=4),
)
def test_slots_are_given_out_while_there_is_work_and_none_twice(
    executors: list[tuple[int, int]], jobs: list[tuple[int, int]]
) -> None:
    seats = [Seat(f"e{n}", slots, min(free, slots)) for n, (slots, free) in enumerate(executors)]
    wishes = [wish(f"j{n}", *map(join, range(c)), busy=b) for n, (b, c) in enumerate(jobs)]

    grants = assign(seats, wishes)

    given_out = Counter(grant.executor for grant in grants)
    assert all(given_out[seat.executor] <= seat.free for seat in seats)
    assert len({(grant.job, grant.key) for grant in grants}) == len(grants)
    wanted, free = sum(count for _, count in jobs), sum(seat.free for seat in seats)
    assert len(grants) == min(wanted, free)
