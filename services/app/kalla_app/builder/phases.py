"""The phases as data: which tools, when one may be entered, when it is done. Pure.

A phase advances by itself as soon as its condition holds, and a person can go back. A tool that
failed twice is taken away until a person was heard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kalla_app.builder.state import SIDES, Phase, State

TITLES = {
    Phase.GREETING: "Hello",
    Phase.INTENT: "Sources",
    Phase.SCOPING: "Rows",
    Phase.DEMONSTRATION: "Examples",
    Phase.INFERENCE: "Rule",
    Phase.VALIDATION: "Check",
    Phase.EXECUTION: "Run",
}
"""What people call the phases."""

MOST_TRIES = 2
MOST_QUESTIONS = 8
LEAST_JUDGED = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds in a phase.

    Attributes:
        tools: that may be called.
        needs: what must hold before.
        done: when it is over.
        context: what of the state whoever leads the conversation is shown.
        says: to a person who comes here.
    """

    tools: tuple[str, ...]
    needs: Callable[[State], bool]
    done: Callable[[State], bool]
    context: tuple[str, ...]
    says: str


def _always(_state: State) -> bool:
    return True


def _listed(state: State) -> bool:
    return state.listed is not None


def _seen(state: State) -> bool:
    return len(state.chosen) == len(SIDES) and all(one in state.previews for one in state.chosen)


def _scoped(state: State) -> bool:
    return _seen(state) and state.filters is not None and all(one in state.loaded for one in SIDES)


def _shown(state: State) -> bool:
    """Whether enough pairs were judged, or no answer would change anything."""
    if not _scoped(state):
        return False
    words = [one["judgement"] for one in state.judged]
    enough = len(words) >= LEAST_JUDGED and {"yes", "no"} <= set(words)
    silent = state.fresh and state.question is None
    return enough or silent or state.settled or len(words) >= MOST_QUESTIONS


def _built(state: State) -> bool:
    """Whether there is a recipe of the engine's that reproduces every judgement."""
    return state.recipe is not None and state.fresh and not state.contradictions


def _approved(state: State) -> bool:
    return _built(state) and state.approved and state.saved is not None


def _ended(state: State) -> bool:
    return state.run is not None


PHASES: dict[Phase, Rules] = {
    Phase.GREETING: Rules(
        ("list_sources", "get_source_preview", "request_file_upload"),
        _always,
        _listed,
        ("listed",),
        "",
    ),
    Phase.INTENT: Rules(
        ("list_sources", "get_source_preview", "request_file_upload"),
        _always,
        _seen,
        ("listed", "chosen", "previews"),
        "Which two sources should agree with each other?",
    ),
    Phase.SCOPING: Rules(
        ("load_scoped", "get_source_preview", "request_file_upload"),
        _seen,
        _scoped,
        ("chosen", "previews", "filters"),
        "Do all rows belong to it, or only some?",
    ),
    Phase.DEMONSTRATION: Rules(
        ("propose_match", "get_source_preview"),
        _scoped,
        _shown,
        ("chosen", "filters", "judged", "proposal"),
        "I look at both, and ask about the pairs whose answer tells me most.",
    ),
    Phase.INFERENCE: Rules(
        ("infer_rules", "build_recipe", "save_recipe", "propose_match"),
        _shown,
        _built,
        ("chosen", "filters", "judged", "proposal", "recipe"),
        "I make a rule that agrees with every answer.",
    ),
    Phase.VALIDATION: Rules(
        ("validate_recipe", "run_sample", "save_recipe"),
        _built,
        _approved,
        ("recipe", "valid", "sample"),
        "I check the recipe against its sources and run it on a sample.",
    ),
    Phase.EXECUTION: Rules(
        ("run_full", "validate_recipe"),
        _approved,
        _ended,
        ("saved", "run_id", "run"),
        "The recipe is saved. Run it on all rows?",
    ),
}


def allowed(state: State) -> tuple[str, ...]:
    """Return the tools that may be called now."""
    tools = PHASES[state.phase].tools
    return tuple(one for one in tools if state.failures.get(one, 0) < MOST_TRIES)


def following(state: State) -> Phase | None:
    """Return the phase that comes now; None where this one goes on, or was the last."""
    if state.phase is Phase.EXECUTION or not PHASES[state.phase].done(state):
        return None
    return Phase(state.phase + 1)


def may_go_back(state: State, phase: Phase) -> bool:
    """Whether a person may go to a phase: those before this one, but for the greeting."""
    return Phase.INTENT <= phase < state.phase
