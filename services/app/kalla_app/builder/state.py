"""What a conversation has come to: its events, folded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from kalla_app.builder.events import KALLA, MODEL, Event, Kind
from kalla_app.builder.led import OF_THE_MODEL, Led, led_after

Json = dict[str, Any]
SIDES = ("left", "right")


class Phase(IntEnum):
    """Where a conversation is; each follows the one before."""

    GREETING = 0
    INTENT = 1
    SCOPING = 2
    DEMONSTRATION = 3
    INFERENCE = 4
    VALIDATION = 5
    EXECUTION = 6

    @property
    def word(self) -> str:
        """As events and pages have it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class State:
    """What is known.

    Attributes:
        person: who was heard last.
        number: of the last event.
        listed: the sources there are, None until somebody has looked.
        chosen: aliases, left and right; empty until chosen.
        previews: of sources, by alias.
        filters: of both sides, None until they are settled.
        loaded: rows of the scope, by side.
        judged: pairs that a person judged, as the coordinator takes them.
        proposal: what inference said last, and `judged_then` what it was told.
        settled: no further pair is to be judged.
        recipe: that was built, None until then; `taken` whether a person took it from a model,
            after the engine had held it against every judgement.
        valid: what validation said of it.
        sample: the engine's run of it on samples.
        approved: whether a person has approved that run.
        name: what the recipe is to be called.
        saved: `recipe_id` and `version` of what was approved.
        known_as: the id that the recipe was saved under last, to be saved under again.
        wanted: the event that asked for a run in full; 0 until then.
        run_id: of the full run; `run` how that ended.
        problem: what went wrong last, in words; None once something else happened.
        failures: how often each tool failed in this phase since a person was heard.
        led: what a model has to do with it.
    """

    phase: Phase = Phase.GREETING
    person: str = KALLA
    number: int = 0
    listed: tuple[Json, ...] | None = None
    chosen: tuple[str, ...] = ()
    previews: Mapping[str, Json] = field(default_factory=dict)
    filters: Mapping[str, Sequence[Json]] | None = None
    loaded: Mapping[str, Json] = field(default_factory=dict)
    judged: tuple[Json, ...] = ()
    proposal: Json | None = None
    judged_then: tuple[Json, ...] | None = None
    settled: bool = False
    recipe: Json | None = None
    taken: bool = False
    valid: Json | None = None
    sample: Json | None = None
    approved: bool = False
    name: str = ""
    saved: Json | None = None
    known_as: str | None = None
    wanted: int = 0
    run_id: str | None = None
    run: Json | None = None
    problem: str | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    led: Led = field(default_factory=Led)

    @property
    def fresh(self) -> bool:
        """Whether inference knows all that was judged."""
        return self.proposal is not None and self.judged_then == self.judged

    @property
    def question(self) -> Json | None:
        """The pair to judge next; None where no answer would change anything, or none is known."""
        return self.proposal["next_question"] if self.proposal and self.fresh else None

    @property
    def contradictions(self) -> tuple[Json, ...]:
        """Judged pairs that the engine, by the rule proposed last, has otherwise."""
        if self.taken:
            return ()
        trial = (self.proposal or {}).get("trial") if self.fresh else None
        return () if trial is None else tuple(one for one in trial["judged"] if not one["holds"])


def fold(events: Iterable[Event]) -> State:
    """Return what events have led to."""
    state = State()
    for event in events:
        state = after(state, event)
    return state


def after(state: State, event: Event) -> State:
    """Return what a conversation has come to after one more event."""
    state = replace(state, number=event.number, led=led_after(state.led, event))
    if event.kind is Kind.ANSWERED and event.document["type"] in OF_THE_MODEL:
        return state
    if event.who not in (KALLA, MODEL):
        state = replace(state, person=event.who, failures={}, problem=None)
    match event.kind:
        case Kind.SAID | Kind.TOLD | Kind.THOUGHT | Kind.REFUSED:
            return state
        case Kind.ANSWERED:
            return _answered(state, event.document)
        case Kind.CALLED if event.document.get("call"):
            return _looked(state, event.document)
        case Kind.CALLED:
            return _called(state, event.document)
        case Kind.MOVED:
            return _moved(state, event.document)
        case Kind.ENDED:
            return replace(state, run=dict(event.document["run"]))


def _answered(state: State, document: Mapping[str, Any]) -> State:
    value = document["value"]
    match document["type"]:
        case "select":
            return replace(state, chosen=(value["left"], value["right"]))
        case "upload_request":
            return replace(state, listed=None)
        case "scope":
            return replace(state, filters={side: list(value[side]) for side in SIDES}, loaded={})
        case "match_proposal":
            if value["judgement"] == "enough":
                return replace(state, settled=True)
            pair = {name: value[name] for name in ("left", "right", "judgement")}
            return replace(state, judged=(*state.judged, pair))
        case "set_aside":
            return replace(state, judged=_without(state.judged, value))
        case "approve":
            return replace(state, approved=True, name=value["name"])
        case "rule_summary":
            return replace(state, recipe=value["recipe"], taken=True, valid=None, sample=None)
        case "run":
            return replace(state, wanted=state.number)
        case _:
            return state  # `retry`: that somebody was heard is all


def _without(judged: Sequence[Json], value: Mapping[str, Any]) -> tuple[Json, ...]:
    """Return judged pairs, one of them as unsure."""
    return tuple(
        {**one, "judgement": "unsure"}
        if (one["left"], one["right"]) == (value["left"], value["right"])
        else one
        for one in judged
    )


def _looked(state: State, document: Mapping[str, Any]) -> State:
    """Return what a call of a model found out; it looks, and decides nothing."""
    if document["error"] is None and document["tool"] in ("list_sources", "get_source_preview"):
        return _found(state, document)
    return state


def _called(state: State, document: Mapping[str, Any]) -> State:
    tool = document["tool"]
    if document["error"] is not None:
        counted = {**state.failures, tool: state.failures.get(tool, 0) + 1}
        state = replace(state, failures=counted, problem=document["error"]["message"])
        wrong = tool == "load_scoped" and not document["error"]["retryable"]
        return replace(state, filters=None, loaded={}) if wrong else state
    return _found(replace(state, problem=None), document)


def _found(state: State, document: Mapping[str, Any]) -> State:
    tool, asked, output = document["tool"], document["input"], document["output"]
    match tool:
        case "list_sources":
            return replace(state, listed=tuple(output["sources"]))
        case "get_source_preview":
            return replace(state, previews={**state.previews, asked["alias"]: output})
        case "load_scoped":
            same = state.filters is not None and asked["conditions"] == list(
                state.filters[asked["side"]]
            )
            return replace(state, loaded={**state.loaded, asked["side"]: output}) if same else state
        case "propose_match" | "infer_rules" if _of_these(state, asked):
            return replace(state, proposal=output, judged_then=tuple(asked["judged"]))
        case "build_recipe" if state.phase >= Phase.INFERENCE:
            return replace(state, recipe=output["recipe"], taken=False, valid=None, sample=None)
        case "validate_recipe" if asked["recipe"] == state.recipe:
            return replace(state, valid=output)
        case "run_sample" if asked["recipe"] == state.recipe:
            return replace(state, sample=output)
        case "save_recipe":
            return replace(state, saved=output, known_as=output["recipe_id"])
        case "run_full":
            return replace(state, run_id=output["run_id"])
        case _:
            return state  # also where the person has gone elsewhere meanwhile


def _of_these(state: State, asked: Mapping[str, Any]) -> bool:
    """Whether inference was asked about what is chosen now."""
    return (asked["left"], asked["right"]) == state.chosen and asked["filters"] == state.filters


def _moved(state: State, document: Mapping[str, Any]) -> State:
    phase = Phase[document["phase"].upper()]
    state = replace(state, phase=phase, failures={}, problem=None)
    return forgotten(state, phase) if document["back"] else state


def forgotten(state: State, phase: Phase) -> State:
    """Return a state without what a phase and those behind it have found out.

    So whoever goes back to the demonstration judges pairs anew. A recipe that was saved stays
    saved, and is saved as its next version.
    """
    nothing = State()
    names: list[str] = []
    if phase <= Phase.INTENT:
        names += ["listed", "chosen", "previews", "known_as", "name"]
    if phase <= Phase.SCOPING:
        names += ["filters", "loaded"]
    if phase <= Phase.DEMONSTRATION:
        names += ["judged", "proposal", "judged_then", "settled"]
    if phase <= Phase.INFERENCE:
        names += ["recipe", "taken"]
    if phase <= Phase.VALIDATION:
        names += ["valid", "sample", "approved", "saved"]
    names += ["wanted", "run_id", "run"]
    return replace(state, **{name: getattr(nothing, name) for name in names})
