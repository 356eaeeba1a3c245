"""What a person can answer now, and what answers must look like. Pure.

Cards follow from the state, so whoever looks at a conversation sees the same ones. A card's id says
what it asks about: an answer to a card that is no longer there comes too late, and is refused.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from kalla_app.builder.phases import MOST_QUESTIONS, allowed
from kalla_app.builder.state import SIDES, Phase, State
from kalla_app.errors import Conflict
from kalla_core.errors import Fault, RecipeInvalid

Json = dict[str, Any]

JUDGEMENTS = ("yes", "no", "unsure", "enough")


def cards(state: State) -> tuple[Json, ...]:
    """Return the cards that are open, the one to answer first first; none while Kalla works.

    A card has `id`, `type`, and what it shows. What a model suggests comes first, and does nothing
    until a person takes it over.
    """
    plain = plain_cards(state)
    return (*_offered(state), *_confirm(state, plain), *plain)


def plain_cards(state: State) -> tuple[Json, ...]:
    """Return the cards there are without a model."""
    broken = [tool for tool in state.failures if tool not in allowed(state)]
    if broken:
        return (_card("retry", f"retry-{state.number}", tools=broken, problem=state.problem),)
    match state.phase:
        case Phase.GREETING:
            return ()
        case Phase.INTENT:
            return _sources(state)
        case Phase.SCOPING:
            return _scope(state)
        case Phase.DEMONSTRATION | Phase.INFERENCE:
            return _rules(state)
        case Phase.VALIDATION:
            return _verdict(state)
        case Phase.EXECUTION:
            return () if state.wanted else (_card("run", "run", saved=state.saved),)


def answer(state: State, card_id: object, value: object) -> Json:
    """Return the document of the event that an answer is.

    Raises:
        Conflict: there is no such card, or no more.
        RecipeInvalid: a value that the card does not take.
    """
    found = next((one for one in cards(state) if one["id"] == card_id), None)
    if found is None:
        raise Conflict("This has been answered already, or the conversation is elsewhere by now.")
    kind = found["type"]
    if kind == "confirm":
        return {"card": found["of"], "type": found["kind"], "value": found["value"]}
    return {"card": card_id, "type": kind, "value": _CHECKS.get(kind, _nothing)(found, value)}


def _card(kind: str, card_id: str, /, **shown: Any) -> Json:
    return {"id": card_id, "type": kind, **shown}


def _confirm(state: State, plain: Sequence[Json]) -> tuple[Json, ...]:
    """Return the card of an answer that a model suggests, while what it answers is open."""
    found = state.led.suggested
    if found is None or found["card"] not in {one["id"] for one in plain}:
        return ()
    said = {"of": found["card"], "kind": found["type"], "value": found["value"]}
    return (_card("confirm", f"confirm-{found['card']}-{_mark(found['value'])}", **said),)


def _mark(value: object) -> str:
    """Return what tells one value from another: whoever confirms confirms what was seen."""
    return f"{zlib.crc32(json.dumps(value, sort_keys=True).encode()):08x}"


def _offered(state: State) -> tuple[Json, ...]:
    """Return the card of a rule that a model offers, while it holds for all that was judged."""
    found = state.led.offered
    if found is None or state.approved or found["judged"] != list(state.judged):
        return ()
    if found["recipe"] == state.recipe:
        return ()
    now = (state.sample or state.proposal or {}).get("tried")
    shown = {"recipe": found["recipe"], "tried": found["tried"], "instead": now}
    return (_card("rule_summary", f"rule-{_mark(found['recipe'])}", **shown),)


def _sources(state: State) -> tuple[Json, ...]:
    if state.chosen or state.listed is None:
        return ()
    upload = _card("upload_request", f"upload-{len(state.listed)}")
    if len(state.listed) < len(SIDES):
        return (upload,)
    return (_card("select", "sources", options=list(state.listed)), upload)


def _scope(state: State) -> tuple[Json, ...]:
    if state.filters is not None:
        return ()
    columns = {
        side: state.previews[alias]["columns"]
        for side, alias in zip(SIDES, state.chosen, strict=True)
    }
    return (_card("scope", "scope", columns=columns, problem=state.problem),)


def _rules(state: State) -> tuple[Json, ...]:
    if not state.fresh:
        return ()
    question = state.question
    if question is not None and not state.settled and len(state.judged) < MOST_QUESTIONS:
        number = len(state.judged) + 1
        return (
            _card(
                "match_proposal", f"pair-{number}", question=question,
                of_at_most=MOST_QUESTIONS, pair_number=number,
            ),
        )  # fmt: skip
    if state.contradictions:
        return tuple(
            _card("set_aside", f"aside-{state.number}-{place}", pair=one)
            for place, one in enumerate(state.contradictions)
        )
    stuck = state.proposal is not None and state.proposal["recipe"] is None
    return (_card("stuck", "stuck", tried=_tried(state)),) if stuck else ()


def _tried(state: State) -> list[str]:
    proposal = state.proposal or {}
    said = [*proposal.get("near_misses", ()), *proposal.get("left_out", ())]
    return said or ["No columns of both sides have values in common."]


def _verdict(state: State) -> tuple[Json, ...]:
    if state.valid is not None and not state.valid["valid"]:
        return (_card("stuck", "faults", tried=[one["message"] for one in state.valid["faults"]]),)
    if state.sample is None or state.approved:
        return ()
    if state.sample["faults"]:
        tried = [one["message"] for one in state.sample["faults"]]
        return (_card("stuck", "sample-faults", tried=tried),)
    name = state.name or (state.recipe or {})["name"]
    return (_card("approve", "approve", sample=state.sample, name=name),)


def _wrong(message: str) -> RecipeInvalid:
    return RecipeInvalid([Fault("wrong_value", "value", message)], "answer")


def _nothing(_card: Json, _value: object) -> None:
    return None


def _chosen(card: Json, value: object) -> Json:
    known = {one["alias"] for one in card["options"]}
    given = {side: value.get(side) for side in SIDES} if isinstance(value, Mapping) else {}
    if len(given) < len(SIDES) or not set(given.values()) <= known:
        raise _wrong("Choose one of the sources for each side.")
    if given["left"] == given["right"]:
        raise _wrong("Choose two sources: one with itself agrees always.")
    return given


def _conditions(card: Json, value: object) -> Json:
    given = value if isinstance(value, Mapping) else {}
    made: Json = {}
    for side in SIDES:
        some = given.get(side, [])
        if not isinstance(some, Sequence) or isinstance(some, str):
            raise _wrong("Conditions are a list of filters for each side.")
        names = {one["name"] for one in card["columns"][side]}
        for one in some:
            if not isinstance(one, Mapping) or set(one) != {"column", "op", "value"}:
                raise _wrong('A condition is {"column", "op", "value"}.')
            if one["column"] not in names:
                raise _wrong(f"There is no column {one['column']} at the {side}.")
        made[side] = [dict(one) for one in some]
    return made


def _judgement(card: Json, value: object) -> Json:
    word = value.get("judgement") if isinstance(value, Mapping) else value
    if word not in JUDGEMENTS:
        raise _wrong("Say yes, no, unsure, or enough.")
    question = card["question"]
    return {"left": question["left"], "right": question["right"], "judgement": word}


def _pair(card: Json, _value: object) -> Json:
    return {side: card["pair"][side] for side in SIDES}


def _rule(card: Json, _value: object) -> Json:
    return {"recipe": card["recipe"]}


def _named(card: Json, value: object) -> Json:
    name = value.get("name") if isinstance(value, Mapping) else None
    name = card["name"] if name is None else name
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
        raise _wrong(f"A name is a text of 1 to {_LONGEST_NAME} characters.")
    return {"name": name.strip()}


_LONGEST_NAME = 200
_CHECKS = {
    "select": _chosen,
    "scope": _conditions,
    "match_proposal": _judgement,
    "set_aside": _pair,
    "rule_summary": _rule,
    "approve": _named,
}
