"""An exported conversation, told again: every step of Kalla must be the one that follows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kalla_app.builder.events import KALLA, MODEL, Event, Kind
from kalla_app.builder.guide import Call, Follow, Move, Step, Think, next_step
from kalla_app.builder.leading.doors import Refuse
from kalla_app.builder.state import State, after

_OWN = ("number", "kind", "who", "at")


def events_of(exported: Mapping[str, Any]) -> tuple[Event, ...]:
    """Return the events of an exported conversation."""
    return tuple(
        Event(
            one["number"],
            Kind(one["kind"]),
            one["who"],
            datetime.fromisoformat(one["at"]),
            {name: value for name, value in one.items() if name not in _OWN},
        )
        for one in exported["events"]
    )


def replayed(exported: Mapping[str, Any]) -> State:
    """Return what an exported conversation comes to.

    Raises:
        ValueError: a step of Kalla in it does not follow from what was known before.
    """
    state, session_id = State(), exported["session_id"]
    decided = [next_step(state, session_id)]
    for event in events_of(exported):
        # A person may have said something while a call was under way.
        if event.who in (KALLA, MODEL) and event.kind is not Kind.TOLD:
            if not any(_is(step, event) for step in decided):
                raise ValueError(f"event {event.number} does not follow from those before it")
            decided = []
        state = after(state, event)
        decided.append(next_step(state, session_id))
    return state


def _is(step: Step, event: Event) -> bool:
    document = event.document
    match event.kind:
        case Kind.CALLED:
            return step == Call(document["tool"], document["input"], document.get("call"))
        case Kind.MOVED:
            return isinstance(step, Move) and step.phase.word == document["phase"]
        case Kind.THOUGHT:
            return step == Think(document["turn"])
        case Kind.REFUSED:
            return step == Refuse(document["call"], document["tool"], document["message"])
        case _:
            return isinstance(step, Follow) and step.run_id == document["run"]["run_id"]
