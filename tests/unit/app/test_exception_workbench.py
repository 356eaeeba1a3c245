"""Following, approving, suspending and ageing exceptions: decisions alone, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_app.exceptions.age import BUCKETS, Severity, buckets_of, days_of, ranks_of, severities_of
from kalla_app.exceptions.heap import Heap, chosen
from kalla_app.exceptions.life import (
    Decision,
    Kind,
    Queue,
    Standing,
    State,
    checked,
    counting,
    observed,
    standing,
)
from kalla_app.exceptions.policy import Policy, policy_json, policy_of
from kalla_core.errors import InvalidSetting, NotAllowed, RecipeInvalid
from kalla_core.moments import micros

AT = datetime(2026, 5, 1, tzinfo=UTC)
TODAY = AT.date()
GONE = Decision("kalla", AT, kind=Kind.GONE)
SEEN = Decision("kalla", AT, kind=Kind.SEEN)
UNDO = Decision("olaf", AT, undo=True)


def decided(who: str = "anna", **fields: object) -> Decision:
    return Decision(who, AT, **fields)  # type: ignore[arg-type]


WRITE_OFF = decided(state=State.WRITTEN_OFF, reason_code="bank_fee")
APPROVE = Decision("olaf", AT, kind=Kind.APPROVED)


def test_a_write_off_that_needs_a_second_person_waits_for_one() -> None:
    asked = checked([], WRITE_OFF, needs_second=True)

    now = standing([asked])

    assert (now.state, now.wanted, now.asked_by) == (State.OPEN, State.WRITTEN_OFF, "anna")
    assert now.queue(TODAY) is Queue.WAITING
    assert standing([asked, checked([asked], APPROVE)]).state is State.WRITTEN_OFF
    assert standing([asked, decided(kind=Kind.RETURNED)]).queue(TODAY) is Queue.OPEN


def test_whoever_asked_cannot_approve() -> None:
    asked = checked([], WRITE_OFF, needs_second=True)

    with pytest.raises(NotAllowed, match="anna"):
        checked([asked], decided(kind=Kind.APPROVED))
    with pytest.raises(InvalidSetting, match="waits"):
        checked([], APPROVE)


def test_what_closes_nothing_for_good_needs_no_second_person() -> None:
    explained = checked([], decided(state=State.EXPLAINED), needs_second=True)

    assert standing([explained]).state is State.EXPLAINED


PEOPLE = st.sampled_from(["anna", "olaf"])
MOVES = st.lists(
    st.builds(
        Decision,
        who=PEOPLE,
        at=st.just(AT),
        state=st.sampled_from([None, *State]),
        reason_code=st.just("other"),
        kind=st.sampled_from([Kind.DECIDED, Kind.APPROVED, Kind.RETURNED]),
        undo=st.booleans(),
    )
    | st.sampled_from([GONE, SEEN]),
    max_size=12,
)


@given(MOVES)
def test_nobody_writes_off_alone_whatever_they_try(moves: list[Decision]) -> None:
    taken: list[Decision] = []
    for move in moves:
        try:
            taken.append(move if move.kind.observed else checked(taken, move, needs_second=True))
        except (InvalidSetting, NotAllowed):
            continue

    now = standing(taken)

    if now.state in (State.WRITTEN_OFF, State.FORCE_CLOSED):
        people = {one.who for one in counting(taken) if one.kind in (Kind.ASKED, Kind.APPROVED)}
        assert people == {"anna", "olaf"}


def test_what_a_later_run_matched_is_closed_by_itself_and_opens_when_it_is_seen_again() -> None:
    now = standing([WRITE_OFF])

    assert observed(now, is_open=True) is None
    assert observed(now, is_open=False) is Kind.GONE
    gone = standing([WRITE_OFF, GONE])
    assert gone.queue(TODAY) is Queue.CLOSED
    assert observed(gone, is_open=False) is None
    assert observed(gone, is_open=True) is Kind.SEEN
    assert standing([decided(owner="anna"), WRITE_OFF, GONE, SEEN]) == Standing(owner="anna")


def test_what_was_closed_for_good_stays_closed_when_it_is_seen_again() -> None:
    closed = decided(state=State.FORCE_CLOSED, reason_code="other")

    assert standing([closed, GONE, SEEN]).queue(TODAY) is Queue.CLOSED


def test_undoing_takes_back_what_people_decided_and_never_what_runs_have_shown() -> None:
    undone = standing([decided(owner="anna"), GONE, UNDO])

    assert undone == Standing(gone=True)
    with pytest.raises(InvalidSetting, match="undo"):
        checked([GONE], UNDO)


def test_what_is_suspended_comes_back_on_its_day() -> None:
    asleep = standing([decided(until="2026-05-03")])

    days = {day: asleep.queue(date(2026, 5, day)) for day in (1, 2, 3)}

    assert days == {1: Queue.SUSPENDED, 2: Queue.SUSPENDED, 3: Queue.OPEN}
    assert standing([decided(until="2026-05-03"), decided(until="")]).queue(TODAY) is Queue.OPEN


@pytest.mark.parametrize("until", ["2026-05-01", "2025-01-01", "soon", "31.12.2026"])
def test_only_a_day_to_come_is_one_to_sleep_until(until: str) -> None:
    with pytest.raises(InvalidSetting, match="until"):
        checked([], decided(until=until))


def test_what_is_closed_cannot_be_suspended() -> None:
    with pytest.raises(InvalidSetting, match="reopen"):
        checked([WRITE_OFF], decided(until="2026-06-01"))


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        *((0, "0-1"), (1, "0-1"), (2, "2-7"), (7, "2-7"), (8, "8-30"), (30, "8-30")),
        *((31, "31-90"), (90, "31-90"), (91, "91+"), (9000, "91+")),
    ],
)
def test_each_age_is_in_one_bucket(days: int, bucket: str) -> None:
    since = np.array([micros(AT - timedelta(days=days, hours=3))])

    assert BUCKETS[buckets_of(days_of(since, AT))[0]] == bucket


def test_severity_is_the_greater_of_age_and_amount_and_exact_at_its_bounds() -> None:
    amounts = pa.array([Decimal("-999.99"), Decimal("1000.00"), Decimal("-100000"), None])

    ranks = ranks_of(amounts)

    assert ranks.tolist() == [0, 1, 3, 0]
    found = severities_of(np.array([0, 0, 0, 31]), ranks)
    assert [Severity(one).word for one in found] == ["low", "medium", "critical", "critical"]


@pytest.mark.parametrize(
    "kind", [pa.decimal32(9, 2), pa.decimal128(38, 37), pa.decimal256(76, 70), pa.decimal64(3, 0)]
)
def test_decimals_of_every_width_have_a_severity(kind: pa.DataType) -> None:
    assert ranks_of(pa.array([Decimal(1), None], kind)).tolist() == [0, 0]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=9), max_size=4),
    st.integers(0, 30),
    st.integers(1, 12),
    st.booleans(),
)
def test_a_page_of_several_heaps_is_what_sorting_all_of_them_gives(
    piles: list[list[tuple[int, int]]], offset: int, limit: int, gravest: bool
) -> None:
    heaps = [
        Heap(
            np.array([one for one, _ in rows], np.int32),
            np.array([one for _, one in rows], np.int8),
            np.zeros(len(rows), np.bool_),
            {},
            {},
        )
        for rows in piles
    ]
    masks = [heap.mask("open", "anna") for heap in heaps]

    found = chosen(heaps, masks, offset, limit, gravest=gravest)

    graded = [
        ((-grade if gravest else 0), -age, number, place)
        for number, rows in enumerate(piles)
        for place, (age, grade) in enumerate(rows)
    ]
    order = [(number, place) for _, _, number, place in sorted(graded)]
    assert found == (order[offset : offset + limit], len(order))


def test_a_policy_is_read_as_it_is_shown_and_says_all_that_is_wrong() -> None:
    policy = Policy(approval=True, left="booked")

    assert policy_of(policy_json(policy)) == policy
    with pytest.raises(RecipeInvalid) as told:
        policy_of({"approval": "yes", "aged_by": {"left": 3}, "more": 1})
    assert {fault.path for fault in told.value.faults} == {"approval", "aged_by.left", "more"}
