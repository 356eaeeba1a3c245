"""What a model has to do with a conversation: its turn, its calls, what it suggests. Pure.

A model takes a turn when a person has said something, or when a phase begins. It thinks, calls
tools, thinks again, and ends the turn by saying something without a call. Whatever a person does
meanwhile ends the turn: what it still wanted is then not done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kalla_app.builder.events import KALLA, MODEL, Event, Kind

Json = dict[str, Any]

SUGGEST = "suggest_answer"
OF_THE_MODEL = ("values", "stop")
"""Answers of a person that are to no card: whether values are shown to the model; that it stops."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a model has used up: tokens it read and wrote, calls of it, seconds."""

    tokens: int = 0
    calls: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Led:
    """What is known of a model in a conversation.

    Attributes:
        values: whether a person allowed it to see values, rather than their shapes.
        turn: the event that gave it its turn; 0 where it has none.
        thoughts: how often it has thought in this turn.
        pending: its calls that were not carried out yet, each with `id`, `tool` and `input`.
        wrong: how often each tool failed or was refused in this turn.
        suggested: `card`, `type` and `value` of an answer that a person may take over.
        offered: a rule of it that the engine tried, `recipe` and what `run_sample` says of it.
        used: in the whole conversation.
        silent: its last thought failed, so it speaks only when it is spoken to.
    """

    values: bool = False
    turn: int = 0
    thoughts: int = 0
    pending: tuple[Json, ...] = ()
    wrong: Mapping[str, int] = field(default_factory=dict)
    suggested: Json | None = None
    offered: Json | None = None
    used: Used = Used()
    silent: bool = False


def led_after(led: Led, event: Event) -> Led:
    """Return what is known of a model after one more event."""
    document = event.document
    if event.who not in (KALLA, MODEL):
        return _heard(led, event)
    match event.kind:
        case Kind.MOVED:
            led = replace(led, suggested=None, offered=None)
            speaks = document.get("turn") and not led.turn and not led.silent
            return _begun(led, event.number) if speaks else led
        case Kind.THOUGHT:
            return _thought(led, document)
        case Kind.CALLED | Kind.REFUSED if not _is_pending(led, document.get("call")):
            return led  # of the guide, or somebody was heard meanwhile
        case Kind.CALLED:
            return _called(led, document)
        case Kind.REFUSED:
            return _wrong(_without(led, document["call"]), document["tool"])
        case _:
            return led


def _heard(led: Led, event: Event) -> Led:
    """Return what is left after a person said or did something."""
    document = event.document
    if event.kind is Kind.SAID and document.get("turn"):
        return _begun(replace(led, silent=False), event.number)
    if event.kind is Kind.ANSWERED and document["type"] == "values":
        return replace(led, values=bool(document["value"]))
    led = replace(led, turn=0, pending=())
    if event.kind is Kind.ANSWERED and document["type"] in ("stop", "upload_request", "retry"):
        return led
    kept = led.offered if event.kind is Kind.SAID else None
    return replace(led, suggested=None, offered=kept)


def _begun(led: Led, number: int) -> Led:
    return replace(led, turn=number, thoughts=0, pending=(), wrong={})


def _thought(led: Led, document: Mapping[str, Any]) -> Led:
    used = Used(
        led.used.tokens + document["tokens_in"] + document["tokens_out"],
        led.used.calls + 1,
        round(led.used.seconds + document["seconds"], 3),
    )
    led = replace(led, used=used)
    if document["turn"] != led.turn:
        return led  # somebody was heard meanwhile
    if document["error"] is not None:
        return replace(led, turn=0, pending=(), silent=True)
    pending = tuple(document["calls"])
    return replace(led, thoughts=led.thoughts + 1, pending=pending, turn=led.turn if pending else 0)


def _called(led: Led, document: Mapping[str, Any]) -> Led:
    led = _without(led, document["call"])
    if document["error"] is not None:
        return _wrong(led, document["tool"])
    output = document["output"]
    match document["tool"]:
        case "suggest_answer":
            return replace(led, suggested=dict(document["input"]))
        case "build_recipe" if output["holds"]:
            return replace(led, offered={**output, "judged": document["input"]["judged"]})
        case "build_recipe":
            return _wrong(led, "build_recipe")
        case _:
            return led


def _is_pending(led: Led, call: object) -> bool:
    return any(one["id"] == call for one in led.pending)


def _without(led: Led, call: str) -> Led:
    return replace(led, pending=tuple(one for one in led.pending if one["id"] != call))


def _wrong(led: Led, tool: str) -> Led:
    return replace(led, wrong={**led.wrong, tool: led.wrong.get(tool, 0) + 1})
