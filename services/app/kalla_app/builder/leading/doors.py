"""What a call of a model does, if anything. Pure.

The tools of a phase are its only doors, and each takes in what it knows and nothing else: a model
can look at sources, suggest an answer that a person takes over or not, and offer a rule that the
engine tries. It cannot judge a pair, approve, save or run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kalla_app.builder.cards import answer, cards
from kalla_app.builder.led import SUGGEST
from kalla_app.builder.phases import MOST_TRIES, allowed
from kalla_app.builder.recipe import id_of
from kalla_app.builder.state import SIDES, Phase, State
from kalla_app.errors import Conflict
from kalla_core.errors import RecipeInvalid
from kalla_core.recipe.passes import Cardinality

Json = dict[str, Any]

MOST_RULES = MOST_TRIES + 1
"""Rules that may fail in a turn: the first, and two after its faults were told."""
_MOST_PASSES = 8
_LONGEST_SQL = 8_000
_LONGEST_NAME = 80
_TRIED_ROWS = 5
_SUGGESTED = ("select", "scope", "approve")
"""Cards whose answer may be suggested. Judging pairs and starting runs is not among them."""


@dataclass(frozen=True, slots=True)
class Let:
    """A call that is carried out, with an input of ours."""

    tool: str
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refuse:
    """A call that is not; the message is for the model."""

    call: str
    tool: str
    message: str


class _Refused(Exception):
    """Why a call is not carried out."""


def open_doors(state: State) -> tuple[str, ...]:
    """Return the tools that a model may call now."""
    names = [one for one in allowed(state) if one in _DOORS]
    if state.phase is Phase.VALIDATION and not state.approved:
        names.append("build_recipe")  # a rule may be changed until somebody has approved it
    if any(one["type"] in _SUGGESTED for one in cards(state)):
        names.append(SUGGEST)
    wrong = state.led.wrong
    return tuple(one for one in names if wrong.get(one, 0) < _most(one))


def through(state: State, call: Mapping[str, Any]) -> Let | Refuse:
    """Return what becomes of a call of a model."""
    tool, asked = str(call["tool"]), call["input"]
    doors = open_doors(state)
    if tool not in doors:
        there = ", ".join(doors) or "none"
        message = f"{tool[:_LONGEST_NAME]} is no tool here now. There are: {there}."
        return Refuse(call["id"], tool[:_LONGEST_NAME], message)
    try:
        if not isinstance(asked, Mapping):
            raise _Refused("An input is an object.")
        return Let(tool, _DOORS[tool](state, asked))
    except _Refused as error:
        return Refuse(call["id"], tool, str(error))
    except (Conflict, RecipeInvalid) as error:
        return Refuse(call["id"], tool, error.message)


def _most(tool: str) -> int:
    return MOST_RULES if tool == "build_recipe" else MOST_TRIES


def _only(asked: Mapping[str, Any], *names: str) -> None:
    unknown = [str(one)[:_LONGEST_NAME] for one in asked if one not in names]
    if unknown:
        raise _Refused(f"There is no field {', '.join(sorted(unknown))}.")


def _nothing(_state: State, asked: Mapping[str, Any]) -> Json:
    _only(asked)
    return {}


def _alias(state: State, asked: Mapping[str, Any]) -> str:
    known = [one["alias"] for one in state.listed or ()]
    alias = asked.get("alias")
    if alias not in known:
        raise _Refused(f"No source is called so. There are: {', '.join(known[:50])}.")
    return str(alias)


def _preview(state: State, asked: Mapping[str, Any]) -> Json:
    _only(asked, "alias")
    return {"alias": _alias(state, asked)}


def _scoped(state: State, asked: Mapping[str, Any]) -> Json:
    _only(asked, "side", "conditions")
    side, conditions = asked.get("side"), asked.get("conditions", [])
    if side not in SIDES:
        raise _Refused("A side is left or right.")
    if state.filters is not None:
        raise _Refused("The rows are settled; a person can go back to them.")
    value = dict.fromkeys(SIDES, ()) | {side: conditions}
    made = answer(state, "scope", value)["value"][side]
    alias = state.chosen[SIDES.index(side)]
    return {"side": side, "alias": alias, "limit": _TRIED_ROWS, "conditions": made}


def _suggestion(state: State, asked: Mapping[str, Any]) -> Json:
    _only(asked, "card_id", "value")
    ids = {one["id"]: one["type"] for one in cards(state) if one["type"] in _SUGGESTED}
    card = asked.get("card_id")
    if card not in ids:
        raise _Refused(f"A suggestion is for one of the cards {', '.join(ids)}.")
    return answer(state, card, asked.get("value"))


def _rule(state: State, asked: Mapping[str, Any]) -> Json:
    _only(asked, "passes")
    proposal = state.proposal
    if proposal is None or not state.fresh:
        raise _Refused("Nothing is known yet that a rule could be held against.")
    passes = asked.get("passes")
    if not isinstance(passes, Sequence) or isinstance(passes, str) or not passes:
        raise _Refused("`passes` is a list of passes, the strictest first.")
    if len(passes) > _MOST_PASSES:
        raise _Refused(f"A rule has at most {_MOST_PASSES} passes.")
    base = state.recipe or proposal["recipe"] or _blank(state)
    known = {one["name"]: one for one in base.get("passes", ())}
    made = [_pass(one, known) for one in passes]
    names = [one["name"] for one in made]
    if len(set(names)) < len(names):
        raise _Refused("Passes have names of their own.")
    recipe = {name: value for name, value in base.items() if name not in _OF_THE_RULE}
    recipe["description"] = "Written by a model, tried by the engine, taken over by a person."
    return {"recipe": {**recipe, "passes": made}, "judged": list(state.judged)}


_OF_THE_RULE = ("passes", "match_sql", "match_description")


def _pass(one: object, known: Mapping[str, Json]) -> Json:
    if not isinstance(one, Mapping):
        raise _Refused("A pass is an object with `keep`, or with `name` and `match_sql`.")
    if "keep" in one:
        _only(one, "keep")
        if one["keep"] not in known:
            raise _Refused(f"There is no pass to keep but {', '.join(known) or 'none'}.")
        return known[one["keep"]]
    _only(one, "name", "match_sql", "cardinality")
    name, sql = one.get("name"), one.get("match_sql")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise _Refused(f"The name of a pass has 1 to {_LONGEST_NAME} signs.")
    if not isinstance(sql, str) or not 0 < len(sql.strip()) <= _LONGEST_SQL:
        raise _Refused(f"`match_sql` is a text of at most {_LONGEST_SQL} signs.")
    made: Json = {"name": name.strip(), "match_sql": sql.strip()}
    if "cardinality" in one:
        if one["cardinality"] not in _CARDINALITIES:
            raise _Refused(f"A cardinality is one of {', '.join(_CARDINALITIES)}.")
        made["cardinality"] = one["cardinality"]
    return made


_CARDINALITIES = tuple(one.value for one in Cardinality)


def _blank(state: State) -> Json:
    """Return a recipe of the chosen sources without a rule."""
    keys = (state.proposal or {})["primary_keys"]
    left, right = (
        {
            "alias": alias,
            "primary_key": keys[side],
            **({"filters": found} if (found := list((state.filters or {})[side])) else {}),
        }
        for side, alias in zip(SIDES, state.chosen, strict=True)
    )
    names = " and ".join(state.chosen)
    return {"recipe_id": id_of(names), "name": names, "sources": {"left": left, "right": right}}


_DOORS: dict[str, Callable[[State, Mapping[str, Any]], Json]] = {
    "list_sources": _nothing,
    "get_source_preview": _preview,
    "load_scoped": _scoped,
    "build_recipe": _rule,
    SUGGEST: _suggestion,
}
