from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_app.exceptions.life import (
    REASON_CODES,
    Decision,
    Standing,
    State,
    checked,
    counting,
    standing,
)
from kalla_core.errors import InvalidSetting

AT = datetime(2026, 5, 1, tzinfo=UTC)
DECISIONS = st.builds(
    Decision,
    who=st.just("anna"),
    at=st.just(AT),
    state=st.none() | st.sampled_from(State),
    owner=st.none() | st.sampled_from(["anna", ""]),
    reason_code=st.none() | st.sampled_from(REASON_CODES),
    note=st.none() | st.text(max_size=5),
)
UNDO = Decision("olaf", AT, undo=True)


def decided(**fields: object) -> Decision:
    return Decision("anna", AT, **fields)  # type: ignore[arg-type]


@given(st.lists(DECISIONS), DECISIONS)
def test_undoing_a_decision_leaves_what_was_there_before(
    before: list[Decision], decision: Decision
) -> None:
    assert standing([*before, decision, UNDO]) == standing(before)


@given(st.lists(DECISIONS | st.just(UNDO)))
def test_undoing_all_that_counts_is_as_if_nobody_had_decided(all_of: list[Decision]) -> None:
    undone = [UNDO] * len(counting(all_of))

    assert standing([*all_of, *undone]) == Standing()
    with pytest.raises(InvalidSetting, match="undo"):
        checked([*all_of, *undone], UNDO)


def test_what_is_not_decided_stays_as_it_was() -> None:
    now = standing(
        [
            decided(owner="anna"),
            decided(state=State.WRITTEN_OFF, reason_code="bank_fee"),
            decided(note="asked the bank"),
        ]
    )

    assert now == Standing(State.WRITTEN_OFF, "anna", "bank_fee", "asked the bank")


def test_a_row_that_is_reopened_is_in_no_group_and_needs_no_reason() -> None:
    matched = decided(state=State.MATCHED, group="g", reason_code="timing")

    assert standing([matched, decided(state=State.OPEN)]) == Standing()


@pytest.mark.parametrize("state", [State.WRITTEN_OFF, State.IGNORED])
def test_what_is_given_up_needs_a_reason(state: State) -> None:
    with pytest.raises(InvalidSetting, match="reason_code"):
        checked([], decided(state=state))
    assert checked([decided(reason_code="dispute")], decided(state=state))
    assert checked([], decided(state=state, reason_code="dispute"))


def test_a_decision_that_decides_nothing_or_for_no_known_reason_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="Say what"):
        checked([], decided())
    with pytest.raises(InvalidSetting, match="timing"):
        checked([], decided(reason_code="just because"))
