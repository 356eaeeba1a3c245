"""What a person's words mean, as an answer to a card that is open. Pure; no model."""

from __future__ import annotations

import re
from typing import Any

from kalla_app.builder.cards import cards
from kalla_app.builder.phases import TITLES, may_go_back
from kalla_app.builder.state import SIDES, Phase, State

_WORD = re.compile(r"[\w-]+")
_YES = {"yes", "y", "ja", "right", "correct", "ok", "okay", "approve", "go", "run", "all"}
_NO = {"no", "n", "nein", "wrong"}
_UNSURE = {"unsure", "u", "maybe", "perhaps", "skip"}
_ENOUGH = {"enough", "stop", "done"}

HELP = (
    "I understand yes, no, unsure and enough, names of sources, and the name of a phase to go "
    "back to. The buttons say the rest."
)


MOST_PLAIN = 4
"""Words that are taken as they stand where a model could be asked what they mean."""


def is_plain(text: str) -> bool:
    """Whether words are few enough to mean just what they say."""
    return len(_WORD.findall(text)) <= MOST_PLAIN


def meaning(state: State, text: str) -> tuple[str, Any] | None:
    """Return the id of an open card and the value that words give it; None if they give none."""
    words = [word.lower() for word in _WORD.findall(text)]
    said = set(words)
    for card in cards(state):
        match card["type"]:
            case "select":
                named = [one["alias"] for one in card["options"] if one["alias"].lower() in said]
                named.sort(key=lambda alias: words.index(alias.lower()))
                if len(named) == len(SIDES):
                    return card["id"], dict(zip(SIDES, named, strict=True))
            case "match_proposal":
                for word, known in _JUDGEMENTS:
                    if said & known:
                        return card["id"], {"judgement": word}
            case "scope" if said & _YES:
                return card["id"], {side: [] for side in SIDES}
            case "approve" | "run" | "retry" | "set_aside" | "confirm" | "rule_summary" if (
                said & _YES and not said & _NO
            ):
                return card["id"], {}
    return None


def goes_back_to(state: State, text: str) -> Phase | None:
    """Return the phase that words want to go back to."""
    said = {word.lower() for word in _WORD.findall(text)}
    if "back" not in said:
        return None
    for phase, title in TITLES.items():
        if said & {phase.word, title.lower()} and may_go_back(state, phase):
            return phase
    return Phase(state.phase - 1) if state.phase > Phase.INTENT else None


_JUDGEMENTS = (("unsure", _UNSURE), ("enough", _ENOUGH), ("no", _NO), ("yes", _YES))
