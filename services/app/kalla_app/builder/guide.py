"""What is to be done next. Pure.

What a phase needs comes first, whether a model leads or not; then what a model wants, as far as it
may; then a model's next thought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kalla_app.builder.cards import plain_cards
from kalla_app.builder.leading.doors import Refuse, through
from kalla_app.builder.phases import allowed, following
from kalla_app.builder.state import SIDES, Phase, State

SCOPED_ROWS = 20


@dataclass(frozen=True, slots=True)
class Call:
    """Call a tool; `call` is the id of the call of a model that asked for it."""

    tool: str
    input: Mapping[str, Any] = field(default_factory=dict)
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Go on to the next phase."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Follow:
    """Wait for the end of a run."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Wait for a person."""


@dataclass(frozen=True, slots=True)
class Think:
    """Let the model think, in the turn that began with this event."""

    turn: int


Step = Call | Move | Follow | Rest | Refuse | Think


def next_step(state: State, session_id: str) -> Step:
    """Return what a conversation needs now; its calls are of tools that are allowed."""
    coming = following(state)
    if coming is not None:
        return Move(coming)
    wanted = _wanted(state, session_id)
    if isinstance(wanted, Call):
        if wanted.tool in allowed(state):
            return wanted
        wanted = Rest()
    return _led(state) or wanted


def _led(state: State) -> Step | None:
    """Return what a model has to do, or what it wants."""
    if state.led.pending:
        first = state.led.pending[0]
        let = through(state, first)
        return let if isinstance(let, Refuse) else Call(let.tool, let.input, first["id"])
    return Think(state.led.turn) if state.led.turn else None


def _wanted(state: State, session_id: str) -> Step:
    if plain_cards(state):
        return Rest()
    match state.phase:
        case Phase.GREETING:
            return Call("list_sources")
        case Phase.INTENT:
            return _look(state)
        case Phase.SCOPING:
            return _load(state)
        case Phase.DEMONSTRATION:
            return Call("propose_match", _sources(state)) if not state.fresh else Rest()
        case Phase.INFERENCE:
            return Call("infer_rules", _sources(state)) if not state.fresh else _build(state)
        case Phase.VALIDATION:
            return _prove(state)
        case Phase.EXECUTION:
            return _run(state, session_id)


def _look(state: State) -> Step:
    if state.listed is None:
        return Call("list_sources")
    unseen = [alias for alias in state.chosen if alias not in state.previews]
    return Call("get_source_preview", {"alias": unseen[0]}) if unseen else Rest()


def _load(state: State) -> Step:
    filters = state.filters or {}
    for side, alias in zip(SIDES, state.chosen, strict=True):
        if side not in state.loaded:
            asked = {"side": side, "alias": alias, "limit": SCOPED_ROWS}
            return Call("load_scoped", {**asked, "conditions": list(filters[side])})
    return Rest()


def _sources(state: State) -> dict[str, Any]:
    return {
        "left": state.chosen[0],
        "right": state.chosen[1],
        "filters": dict(state.filters or {}),
        "judged": list(state.judged),
    }


def _build(state: State) -> Step:
    proposal = state.proposal or {}
    if state.recipe is not None or proposal["recipe"] is None:
        return Rest()
    return Call("build_recipe", {"recipe": proposal["recipe"], "passes": proposal["passes"]})


def _prove(state: State) -> Step:
    recipe = state.recipe or {}
    if state.valid is None:
        return Call("validate_recipe", {"recipe": recipe})
    if state.sample is None:
        return Call("run_sample", {"recipe": recipe, "judged": list(state.judged)})
    if not state.approved:
        return Rest()
    named = {**recipe, "name": state.name}
    return Call("save_recipe", {"recipe": named, "recipe_id": state.known_as})


def _run(state: State, session_id: str) -> Step:
    if not state.wanted:
        return Rest()
    if state.run_id is not None:
        return Follow(state.run_id) if state.run is None else Rest()
    saved = state.saved or {}
    asked = {"recipe_id": saved["recipe_id"], "recipe_version": saved["version"]}
    # Named by the conversation: asked for again after a restart, it is the same run.
    return Call("run_full", {**asked, "run_id": f"{session_id}-{state.wanted}"})
