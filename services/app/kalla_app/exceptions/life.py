"""What an exception is after each decision. Pure.

    open → explained | matched_by_hand | written_off | ignored | force_closed → open
    open → (asked, where a second person must approve) → approved: closed, or returned: open
    any state → gone when a run no longer leaves the row open → open when a later one does again,
    unless it was force-closed

Whoever decides may also give it an owner and a note at any time. Undoing takes back the latest
decision that still counts, and is a decision itself: nothing is ever taken out of the list. What
runs have shown cannot be undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from kalla_core.errors import InvalidSetting, NotAllowed


class State(StrEnum):
    """What became of an exception."""

    OPEN = "open"
    EXPLAINED = "explained"
    MATCHED = "matched_by_hand"
    WRITTEN_OFF = "written_off"
    IGNORED = "ignored"
    FORCE_CLOSED = "force_closed"

    @property
    def closed(self) -> bool:
        """Whether nobody needs to look at it any more."""
        return self is not State.OPEN


class Kind(StrEnum):
    """What a decision does."""

    DECIDED = "decided"
    ASKED = "asked"
    APPROVED = "approved"
    RETURNED = "returned"
    GONE = "gone"
    SEEN = "seen"

    @property
    def observed(self) -> bool:
        """Whether a run has shown it, rather than somebody decided it."""
        return self in (Kind.GONE, Kind.SEEN)


class Queue(StrEnum):
    """Where an exception waits for somebody."""

    OPEN = "open"
    WAITING = "waiting"
    SUSPENDED = "suspended"
    CLOSED = "closed"


REASON_CODES = (
    "timing",
    "bank_fee",
    "rounding",
    "currency",
    "duplicate",
    "data_entry",
    "missing_document",
    "dispute",
    "other",
)
"""Why somebody decided so; those that must have one are closed by hand."""

_NEED_A_REASON = (State.WRITTEN_OFF, State.IGNORED, State.FORCE_CLOSED)
_NEED_A_SECOND = (State.WRITTEN_OFF, State.FORCE_CLOSED)


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided; a field that is None leaves things as they were.

    Attributes:
        group: rows that were matched by hand have one in common.
        undo: takes back the latest decision that still counts, instead.
        until: ISO date up to which it sleeps; empty wakes it.
    """

    who: str
    at: datetime
    state: State | None = None
    owner: str | None = None
    reason_code: str | None = None
    note: str | None = None
    group: str | None = None
    undo: bool = False
    until: str | None = None
    kind: Kind = Kind.DECIDED


@dataclass(frozen=True, slots=True)
class Standing:
    """An exception as it stands; texts are empty where there is none.

    Attributes:
        until: ISO date up to which it sleeps.
        wanted: what it becomes when somebody other than `asked_by` approves.
        gone: the latest run has not left it open.
    """

    state: State = State.OPEN
    owner: str = ""
    reason_code: str = ""
    note: str = ""
    group: str = ""
    until: str = ""
    wanted: State | None = None
    asked_by: str = ""
    gone: bool = False

    def queue(self, today: date) -> Queue:
        """Return where it waits on a day."""
        if self.gone or self.state.closed:
            return Queue.CLOSED
        if self.wanted is not None:
            return Queue.WAITING
        return Queue.SUSPENDED if self.until > today.isoformat() else Queue.OPEN


def standing(decisions: Sequence[Decision]) -> Standing:
    """Return what an exception is after its decisions, in order."""
    now = Standing()
    for decision in counting(decisions):
        now = _after(now, decision)
    return now


def counting(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return the decisions that still count: without those that were undone."""
    kept: list[Decision] = []
    for decision in decisions:
        if not decision.undo:
            kept.append(decision)
            continue
        last = _last(kept)
        if last is not None:
            del kept[last]
    return tuple(kept)


def latest(decisions: Sequence[Decision]) -> Decision | None:
    """Return what would be undone next; None if there is nothing."""
    kept = counting(decisions)
    last = _last(kept)
    return None if last is None else kept[last]


def observed(now: Standing, *, is_open: bool) -> Kind | None:
    """Return what a run shows of an exception, by whether it left the row open; None if nothing."""
    if is_open == now.gone:
        return Kind.SEEN if is_open else Kind.GONE
    return None


def checked(
    before: Sequence[Decision], decision: Decision, *, needs_second: bool = False
) -> Decision:
    """Return a decision as it can be taken: where a second person must agree, as a question.

    Raises:
        InvalidSetting: it decides nothing, lacks a reason, or there is nothing to undo or approve.
        NotAllowed: whoever asked wants to approve.
    """
    if decision.undo:
        if latest(before) is None:
            raise InvalidSetting("There is no decision to undo.")
        return decision
    now = standing(before)
    if decision.kind in (Kind.APPROVED, Kind.RETURNED):
        if now.wanted is None:
            raise InvalidSetting("Nothing waits for approval here.")
        if decision.kind is Kind.APPROVED and decision.who == now.asked_by:
            raise NotAllowed(f"{decision.who} has asked for this; somebody else must approve it.")
        return decision
    if decision.reason_code and decision.reason_code not in REASON_CODES:
        known = ", ".join(REASON_CODES)
        raise InvalidSetting(f"There is no reason {decision.reason_code!r}; there are {known}.")
    parts = (decision.state, decision.owner, decision.note, decision.reason_code, decision.until)
    if all(part is None for part in parts):
        raise InvalidSetting("Say what was decided: state, owner, note, reason_code or until.")
    if decision.until:
        _demand_sleep(now, decision)
    after = _after(now, decision)
    if decision.state in _NEED_A_REASON and not after.reason_code:
        raise InvalidSetting(f"What is {after.state.value} needs a reason_code.")
    if needs_second and decision.state in _NEED_A_SECOND:
        return replace(decision, kind=Kind.ASKED)
    return decision


def _demand_sleep(now: Standing, decision: Decision) -> None:
    try:
        until = date.fromisoformat(decision.until or "")
    except ValueError as error:
        raise InvalidSetting(f"until is a date like 2026-12-31, not {decision.until!r}.") from error
    if until <= decision.at.date():
        raise InvalidSetting(f"until is a day to come; {until} is none.")
    closed = now.state.closed if decision.state is None else decision.state.closed
    if closed:
        raise InvalidSetting("What is closed cannot be suspended; reopen it first.")


def _last(kept: Sequence[Decision]) -> int | None:
    places = (place for place in reversed(range(len(kept))) if not kept[place].kind.observed)
    return next(places, None)


def _after(now: Standing, decision: Decision) -> Standing:
    match decision.kind:
        case Kind.GONE:
            return replace(now, gone=True, wanted=None, asked_by="")
        case Kind.SEEN:
            if now.state is State.FORCE_CLOSED:
                return replace(now, gone=False)
            return Standing(owner=now.owner, note=now.note)
        case Kind.ASKED:
            asked = _noted(replace(now, until=""), decision)
            return replace(asked, wanted=decision.state, asked_by=decision.who)
        case Kind.APPROVED:
            state = now.wanted or now.state
            closed = replace(now, state=state, group="", wanted=None, asked_by="")
            return _noted(closed, decision)
        case Kind.RETURNED:
            return _noted(replace(now, wanted=None, asked_by=""), decision)
        case Kind.DECIDED:
            return _noted(_moved(now, decision), decision)


def _moved(now: Standing, decision: Decision) -> Standing:
    if decision.state is None:
        return now
    # Another state is another group, or none; an open one needs no reason either.
    return replace(
        now,
        state=decision.state,
        group=decision.group or "",
        reason_code="" if decision.state is State.OPEN else now.reason_code,
        until="",
        wanted=None,
        asked_by="",
    )


def _noted(now: Standing, decision: Decision) -> Standing:
    given = {
        name: getattr(decision, name)
        for name in ("owner", "note", "reason_code", "until")
        if getattr(decision, name) is not None
    }
    return replace(now, **given)
