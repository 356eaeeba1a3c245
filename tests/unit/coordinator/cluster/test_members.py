from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kalla_coordinator.cluster.members import (
    Action,
    Admit,
    Beat,
    Broke,
    Close,
    Drains,
    Event,
    Gone,
    Joined,
    Members,
    MemberState,
    Passed,
    Patience,
    Refuse,
    Registered,
    Returned,
    StreamId,
    step,
)
from kalla_core.fragments.presence import PROTOCOL, Heartbeat, Hello

START = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = Patience(grace=timedelta(seconds=5), silence=timedelta(seconds=15))


def hello(executor: str = "a", protocol: int = PROTOCOL) -> Hello:
    return Hello(executor, "0.1.0", "10.0.0.1", 50051, 2, 1 << 30, protocol)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def registered(stream: int = 1, seconds: float = 0, executor: str = "a") -> Registered:
    return Registered(hello(executor), StreamId(stream), at(seconds))


def after(*events: Event) -> tuple[Members, tuple[Action, ...]]:
    members, actions = Members(), ()
    for event in events:
        members, actions = step(members, event, PATIENCE)
    return members, actions


def test_an_executor_that_registers_is_let_in_and_is_new() -> None:
    members, actions = after(registered())

    assert actions == (Admit("a", StreamId(1)), Joined(hello()))
    assert members.of["a"].state is MemberState.REGISTERED


def test_an_executor_of_another_protocol_is_told_what_would_be_right() -> None:
    members, (refusal,) = after(Registered(hello(protocol=PROTOCOL + 1), StreamId(1), START))

    assert not members.of
    assert isinstance(refusal, Refuse)
    assert refusal.code == "protocol_mismatch"
    assert "install the same version" in refusal.message


def test_a_blip_loses_nobody() -> None:
    members, actions = after(
        registered(), Broke("a", StreamId(1), at(1)), Passed(at(5)), registered(2, 5.5)
    )

    assert actions == (Admit("a", StreamId(2)), Returned(hello()))
    assert members.of["a"].registered_at == START


def test_a_suspect_is_given_nothing_new() -> None:
    members, actions = after(registered(), Broke("a", StreamId(1), at(1)))

    assert members.of["a"].state is MemberState.SUSPECT
    assert not members.of["a"].open
    assert actions == ()


def test_a_stream_that_stays_broken_beyond_the_grace_loses_the_executor() -> None:
    members, (gone,) = after(registered(), Broke("a", StreamId(1), at(1)), Passed(at(6)))

    assert isinstance(gone, Gone)
    assert "5 seconds" in gone.why
    assert not members.of


def test_an_executor_that_falls_silent_is_lost_and_its_stream_closed() -> None:
    beat = Beat("a", StreamId(1), Heartbeat(slots_busy=1), at(10))

    still, none = after(registered(), beat, Passed(at(24)))
    members, (close, gone) = after(registered(), beat, Passed(at(25)))

    assert still.of["a"].load.slots_busy == 1
    assert none == ()
    assert close == Close(StreamId(1))
    assert isinstance(gone, Gone)
    assert not members.of


def test_one_that_drains_is_given_nothing_and_is_gone_as_soon_as_it_leaves() -> None:
    draining, _ = after(registered(), Drains("a", StreamId(1), at(1)))
    members, (gone,) = after(
        registered(), Drains("a", StreamId(1), at(1)), Broke("a", StreamId(1), at(2))
    )

    assert draining.of["a"].state is MemberState.DRAINING
    assert not draining.of["a"].open
    assert isinstance(gone, Gone)
    assert not members.of


def test_what_an_old_stream_says_is_absorbed_once_a_new_one_took_its_place() -> None:
    members, actions = after(registered(), registered(2, 1), Broke("a", StreamId(1), at(2)))

    assert actions == ()
    assert members.of["a"].state is MemberState.REGISTERED
    assert members.of["a"].stream == StreamId(2)


def test_a_new_stream_closes_the_one_that_looked_open() -> None:
    _, actions = after(registered(), registered(2, 1))

    assert actions == (Close(StreamId(1)), Admit("a", StreamId(2)), Returned(hello()))


events = st.one_of(
    st.builds(registered, st.integers(1, 4), st.just(0.0), st.sampled_from("ab")),
    st.builds(Beat, st.sampled_from("ab"), st.integers(1, 4), st.just(Heartbeat()), st.just(START)),
    st.builds(Drains, st.sampled_from("ab"), st.integers(1, 4), st.just(START)),
    st.builds(Broke, st.sampled_from("ab"), st.integers(1, 4), st.just(START)),
    st.builds(Passed, st.just(START)),
)


@given(st.lists(st.tuples(events, st.integers(0, 8)), max_size=30))
def test_whoever_comes_goes_once_at_most_before_coming_again(
    happening: list[tuple[Event, int]],
) -> None:
    members, now, here = Members(), START, set()

    for event, seconds in happening:
        now += timedelta(seconds=seconds)
        timed = type(event)(**{**_fields(event), "at": now})
        members, actions = step(members, timed, PATIENCE)
        for action in actions:
            if isinstance(action, Joined):
                assert action.hello.executor_id not in here
                here.add(action.hello.executor_id)
            elif isinstance(action, Gone):
                here.remove(action.executor)

        assert set(members.of) == here


def _fields(event: Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__slots__}


def test_an_executor_that_said_it_would_go_is_not_lost_but_gone_as_planned() -> None:
    _, actions = after(
        registered(), Drains("a", StreamId(1), at(1)), Broke("a", StreamId(1), at(2))
    )
    _, silent = after(registered(), Broke("a", StreamId(1), at(1)), Passed(at(9)))

    assert [action.planned for action in actions if isinstance(action, Gone)] == [True]
    assert [action.planned for action in silent if isinstance(action, Gone)] == [False]


def test_nobody_takes_the_id_of_a_member_without_its_secret() -> None:
    mine = replace(hello(), secret=b"mine")
    thief = replace(hello(), secret=b"a guess")
    members, actions = after(
        Registered(mine, StreamId(1), at(0)),
        Broke("a", StreamId(1), at(1)),
        Registered(thief, StreamId(2), at(2)),
    )

    assert [type(action) for action in actions] == [Refuse]
    assert members.of["a"].hello == mine
