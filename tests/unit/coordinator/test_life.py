"""The life of a job: every state meets every event, and stories with late and impossible news."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kalla_coordinator.jobs.life import (
    CANCELLED,
    Action,
    AllowCommit,
    CancelAsked,
    Cancelled,
    CommitAsked,
    Committing,
    Event,
    Failed,
    HandedOver,
    InvalidTransition,
    OweComplete,
    OweError,
    Queued,
    Recovered,
    RefuseCancel,
    RefuseCommit,
    Run,
    Running,
    Started,
    State,
    Stop,
    Succeeded,
    WorkFailed,
    WorkSucceeded,
    status,
    step,
)
from kalla_coordinator.jobs.model import JobError

WHY = JobError("crashed", "The process died.")
NOW, EARLIER, NEVER = 2, 1, 3

STATES: dict[str, State] = {
    "queued": Queued(NOW),
    "running": Running(NOW),
    "stopping": Running(NOW, cancel_asked=True),
    "committing": Committing(NOW),
    "succeeded": Succeeded(NOW),
    "failed": Failed(NOW, WHY),
    "cancelled": Cancelled(NOW, CANCELLED),
}
EVENTS: dict[str, Event] = {
    "started": Started(),
    "cancel": CancelAsked(),
    "commit": CommitAsked(NOW),
    "late commit": CommitAsked(EARLIER),
    "success": WorkSucceeded(NOW),
    "late success": WorkSucceeded(EARLIER),
    "failure": WorkFailed(NOW, WHY),
    "late failure": WorkFailed(EARLIER, WHY),
    "handed over": HandedOver(NOW),
    "late handed over": HandedOver(EARLIER),
    "recovered with evidence": Recovered(evidence=True),
    "recovered without": Recovered(evidence=False),
    "commit of no attempt": CommitAsked(NEVER),
    "success of no attempt": WorkSucceeded(NEVER),
    "failure of no attempt": WorkFailed(NEVER, WHY),
    "handed over of no attempt": HandedOver(NEVER),
}
IMPOSSIBLE = None
SAME: tuple[str, ...] = ()

# state -> event -> (next state, *names of actions); what is not listed leaves all as it is.
TABLE: dict[str, dict[str, tuple[State, *tuple[Action, ...]] | None]] = {
    "queued": {
        "started": (Running(NEVER), Run(NEVER)),
        "cancel": (Cancelled(NOW, CANCELLED), OweError(CANCELLED)),
        "commit": (Queued(NOW), RefuseCommit()),
        "late commit": (Queued(NOW), RefuseCommit()),
        "success": IMPOSSIBLE,
        "late success": IMPOSSIBLE,
    },
    "running": {
        "started": IMPOSSIBLE,
        "cancel": (Running(NOW, cancel_asked=True), Stop(NOW)),
        "commit": (Committing(NOW), AllowCommit()),
        "late commit": (Running(NOW), RefuseCommit()),
        "success": IMPOSSIBLE,
        "late success": IMPOSSIBLE,
        "failure": (Failed(NOW, WHY), OweError(WHY)),
        "handed over": (Queued(NOW),),
        "recovered with evidence": (Succeeded(NOW), OweComplete()),
        "recovered without": (Queued(NOW),),
    },
    "stopping": {
        "started": IMPOSSIBLE,
        "commit": (Running(NOW, cancel_asked=True), RefuseCommit()),
        "late commit": (Running(NOW, cancel_asked=True), RefuseCommit()),
        "success": IMPOSSIBLE,
        "late success": IMPOSSIBLE,
        "failure": (Cancelled(NOW, CANCELLED), OweError(CANCELLED)),
        "handed over": (Cancelled(NOW, CANCELLED), OweError(CANCELLED)),
        "recovered with evidence": (Succeeded(NOW), OweComplete()),
        "recovered without": (Cancelled(NOW, CANCELLED), OweError(CANCELLED)),
    },
    "committing": {
        "started": IMPOSSIBLE,
        "cancel": (Committing(NOW), RefuseCancel()),
        "commit": (Committing(NOW), AllowCommit()),
        "late commit": (Committing(NOW), RefuseCommit()),
        "success": (Succeeded(NOW), OweComplete()),
        "late success": IMPOSSIBLE,
        "failure": (Failed(NOW, WHY), OweError(WHY)),
        "recovered with evidence": (Succeeded(NOW), OweComplete()),
        "recovered without": (Queued(NOW),),
    },
    "succeeded": {
        "cancel": (Succeeded(NOW), RefuseCancel()),
        "commit": (Succeeded(NOW), RefuseCommit()),
        "late commit": (Succeeded(NOW), RefuseCommit()),
        "late success": IMPOSSIBLE,
    },
    "failed": {
        "cancel": (Failed(NOW, WHY), RefuseCancel()),
        "commit": (Failed(NOW, WHY), RefuseCommit()),
        "late commit": (Failed(NOW, WHY), RefuseCommit()),
        "success": IMPOSSIBLE,
        "late success": IMPOSSIBLE,
    },
    "cancelled": {
        "cancel": (Cancelled(NOW, CANCELLED), RefuseCancel()),
        "commit": (Cancelled(NOW, CANCELLED), RefuseCommit()),
        "late commit": (Cancelled(NOW, CANCELLED), RefuseCommit()),
        "success": IMPOSSIBLE,
        "late success": IMPOSSIBLE,
    },
}


@pytest.mark.parametrize(("name", "news"), list(product(STATES, EVENTS)))
def test_every_state_knows_what_to_do_with_every_event(name: str, news: str) -> None:
    state, event = STATES[name], EVENTS[news]
    wanted = TABLE[name].get(news, (state,))
    if news.endswith("of no attempt"):
        wanted = IMPOSSIBLE

    if wanted is None:
        with pytest.raises(InvalidTransition):
            step(state, event)
        return
    assert step(state, event) == (wanted[0], tuple(wanted[1:]))


events = st.one_of(
    st.builds(Started),
    st.builds(CancelAsked),
    st.builds(CommitAsked, st.integers(1, 4)),
    st.builds(WorkSucceeded, st.integers(1, 4)),
    st.builds(WorkFailed, st.integers(1, 4), st.just(WHY)),
    st.builds(HandedOver, st.integers(1, 4)),
    st.builds(Recovered, st.booleans()),
)


class Story:
    """What a job lived through, checked at every step.

    Attributes:
        binding: the attempt that was allowed to commit, until it is found that its commit came to
            nothing: by its own failure, or by a start that sees no evidence.
    """

    def __init__(self) -> None:
        self.state: State = Queued()
        self.told: list[Action] = []
        self.attempts: list[int] = []
        self.binding: int | None = None

    def meets(self, event: Event) -> None:
        before = self.state
        try:
            self.state, actions = step(before, event)
        except InvalidTransition:
            return
        self.told += [one for one in actions if isinstance(one, OweComplete | OweError)]
        self.attempts += [one.attempt for one in actions if isinstance(one, Run)]
        if AllowCommit() in actions:
            assert event == CommitAsked(self.state.attempt)
            assert self.state == Committing(self.state.attempt)
            self.binding = self.state.attempt
        if RefuseCancel() in actions:
            assert status(before).final or isinstance(before, Committing)
        if status(before).final:
            assert self.state == before
            assert not {OweComplete, OweError, Run, Stop, AllowCommit} & set(map(type, actions))
        elif self.binding is not None:
            self._keeps_its_word(before, event)
        if isinstance(event, Recovered) and event.evidence and not isinstance(before, Queued):
            assert status(before).final or isinstance(self.state, Succeeded)

    def _keeps_its_word(self, before: State, event: Event) -> None:
        """An attempt that may commit is left only by its end, or because nothing came of it."""
        attempt = self.binding
        if self.state == Committing(attempt or 0):
            return
        match self.state:
            case Succeeded():
                assert event in (WorkSucceeded(attempt or 0), Recovered(evidence=True))
            case Failed():
                assert event == WorkFailed(attempt or 0, WHY)
            case _:
                assert before == Committing(attempt or 0)
                assert event == Recovered(evidence=False)
                assert self.state == Queued(attempt or 0)
        self.binding = None


@given(st.lists(events, max_size=40))
@example([Started(), CommitAsked(1), Recovered(False), CancelAsked(), Recovered(True)])
@example([Started(), CommitAsked(1), Recovered(False), Started(), CancelAsked(), Recovered(True)])
@example([Started(), CancelAsked(), Recovered(False), Recovered(True), Started()])
def test_whatever_comes_in_whatever_order_one_end_is_told_and_told_once(news: list[Event]) -> None:
    story = Story()

    for event in news:
        story.meets(event)

    assert len(story.told) == int(status(story.state).final)
    assert story.attempts == sorted(set(story.attempts))
    assert isinstance(story.state, Committing) == (story.binding is not None)


@given(st.lists(st.builds(CancelAsked) | st.builds(CommitAsked, st.just(1)), min_size=1))
def test_of_a_cancel_and_a_commit_the_first_wins(news: list[Event]) -> None:
    state, _ = step(Queued(), Started())

    for event in news:
        state, _ = step(state, event)

    if isinstance(news[0], CancelAsked):
        assert state == Running(1, cancel_asked=True)
    else:
        assert state == Committing(1)
