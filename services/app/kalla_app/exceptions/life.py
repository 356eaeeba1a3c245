"""What an exception is after each decision. Pure.

    open → explained | matched_by_hand | written_off | ignored → open (reopened, or undone)

Whoever decides may also give it an owner and a note at any time. Undoing takes back the latest
decision that still counts, and is a decision itself: nothing is ever taken out of the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kalla_core.errors import InvalidSetting


class State(StrEnum):
    """What became of an exception."""

    OPEN = "open"
    EXPLAINED = "explained"
    MATCHED = "matched_by_hand"
    WRITTEN_OFF = "written_off"
    IGNORED = "ignored"

    @property
    def closed(self) -> bool:
        """Whether nobody needs to look at it any more."""
        return self is not State.OPEN


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

_NEED_A_REASON = (State.WRITTEN_OFF, State.IGNORED)


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided; a field that is None leaves things as they were.

    Attributes:
        group: rows that were matched by hand have one in common.
        undo: takes back the latest decision that still counts, instead.
    """

    who: str
    at: datetime
    state: State | None = None
    owner: str | None = None
    reason_code: str | None = None
    note: str | None = None
    group: str | None = None
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """An exception as it stands; owner and reason are empty where there is none."""

    state: State = State.OPEN
    owner: str = ""
    reason_code: str = ""
    note: str = ""
    group: str = ""


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
        elif kept:
            kept.pop()
    return tuple(kept)


def checked(before: Sequence[Decision], decision: Decision) -> Decision:
    """Return a decision that can be taken.

    Raises:
        InvalidSetting: it decides nothing, lacks a reason, or there is nothing to undo.
    """
    if decision.undo:
        if not counting(before):
            raise InvalidSetting("There is no decision to undo.")
        return decision
    if decision.reason_code and decision.reason_code not in REASON_CODES:
        known = ", ".join(REASON_CODES)
        raise InvalidSetting(f"There is no reason {decision.reason_code!r}; there are {known}.")
    parts = (decision.state, decision.owner, decision.note, decision.reason_code)
    if all(part is None for part in parts):
        raise InvalidSetting("Say what was decided: state, owner, note or reason_code.")
    after = _after(standing(before), decision)
    if decision.state in _NEED_A_REASON and not after.reason_code:
        raise InvalidSetting(f"What is {after.state.value} needs a reason_code.")
    return decision


def _after(now: Standing, decision: Decision) -> Standing:
    if decision.state is not None:
        # Another state is another group, or none; an open one needs no reason either.
        reason = "" if decision.state is State.OPEN else now.reason_code
        now = replace(now, state=decision.state, group=decision.group or "", reason_code=reason)
    if decision.owner is not None:
        now = replace(now, owner=decision.owner)
    if decision.note is not None:
        now = replace(now, note=decision.note)
    if decision.reason_code is not None:
        now = replace(now, reason_code=decision.reason_code)
    return now
