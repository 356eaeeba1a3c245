"""What of the state a model sees. Pure.

Names of sources and columns, types and counts are seen. Values are shapes (`INV-0042` is
`AAA-9999`), and so are literals in SQL, unless a person has allowed values for this conversation;
then there are a few rows. No place of a source is seen, and nothing that looks like a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kalla_app.builder.phases import PHASES
from kalla_app.builder.state import SIDES, State
from kalla_core.mcp.masking import shape, without_values
from kalla_core.observe.secrets import mask_text

Json = dict[str, Any]

MOST_SOURCES = 50
MOST_COLUMNS = 60
MOST_ROWS = 5
_LONGEST = 400
_MOST_SAID = 12
_LITERAL = re.compile(r"'(?:[^']|'')*'")


class Shown:
    """Shows what was found, with values or without."""

    def __init__(self, *, values: bool) -> None:
        self._values = values

    def context(self, state: State) -> Json:
        """Return what a model sees in a phase, by name."""
        names = PHASES[state.phase].context
        return {name: _CONTEXT[name](self, state) for name in names}

    def value(self, value: object) -> Any:
        """Return a value as JSON; a long text is cut."""
        if not self._values:
            return shape(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        return _cut(mask_text(str(value)))

    def said(self, text: object) -> str:
        """Return a sentence of the engine, which may quote values."""
        plain = _cut(mask_text(str(text)))
        return plain if self._values else without_values(plain)

    def sql(self, text: str) -> str:
        """Return match SQL; its literals are values."""
        plain = mask_text(text)
        if self._values:
            return plain
        return _LITERAL.sub(lambda found: f"'{shape(found[0][1:-1])}'", plain)

    def row(self, row: Mapping[str, Any]) -> Json:
        """Return a row, the first columns of a wide one."""
        return {_name(name): self.value(value) for name, value in list(row.items())[:MOST_COLUMNS]}

    def result(self, tool: str, output: Mapping[str, Any]) -> Json:
        """Return what a tool answered a model."""
        match tool:
            case "list_sources":
                return {"sources": _sources(output["sources"])}
            case "get_source_preview" | "load_scoped":
                return self.table(output)
            case "build_recipe":
                return self.tried(output)
            case _:
                return {"shown": True}

    def table(self, seen: Mapping[str, Any]) -> Json:
        """Return columns and a few rows."""
        columns = list(seen["columns"])[:MOST_COLUMNS]
        typed = {_name(one["name"]): one.get("data_type") or one.get("type") for one in columns}
        rows = [
            [self.value(value) for value in list(row)[:MOST_COLUMNS]]
            for row in seen["rows"][:MOST_ROWS]
        ]
        count = seen.get("total_rows", seen.get("row_count"))
        return {"columns": typed, "rows": rows, "row_count": count}

    def tried(self, output: Mapping[str, Any]) -> Json:
        """Return what the engine says of a rule that was written."""
        faults = [
            {"place": one["path"], "fault": self.said(one["message"])} for one in output["faults"]
        ]
        against = [self.judgement(one) for one in output.get("against", ())]
        return {
            "faults": faults[:_MOST_SAID],
            "matched": output["tried"],
            "contradicts": against,
            "offered_to_the_person": output.get("holds", False),
        }

    def judgement(self, one: Mapping[str, Any]) -> Json:
        """Return a judged pair by its keys."""
        keys = {side: [self.value(value) for value in one[side]] for side in SIDES}
        return {**keys, "judgement": one["judgement"]}

    def recipe(self, recipe: Mapping[str, Any]) -> Json:
        """Return the rule of a recipe."""
        passes = [
            {
                "name": self.said(one["name"]),
                "cardinality": one.get("cardinality"),
                "match_sql": self.sql(one["match_sql"]) if "match_sql" in one else None,
            }
            for one in recipe.get("passes", ())
        ]
        keys = {side: list(recipe["sources"][side]["primary_key"]) for side in SIDES}
        return {"passes": passes, "primary_keys": keys}

    def proposal(self, proposal: Mapping[str, Any]) -> Json:
        """Return what inference says."""
        passes = [
            {
                "says": self.said(one["says"]),
                "why": [self.said(why) for why in one["why"][:_MOST_SAID]],
                **{name: one[name] for name in ("pairs", "estimate", "agreed", "disagreed")},
            }
            for one in proposal["passes"]
        ]
        question = proposal["next_question"]
        recipe = proposal["recipe"]
        return {
            "passes": passes,
            "rule": None if recipe is None else self.recipe(recipe),
            "question": question
            and {side: self.row(question[f"{side}_row"]) for side in SIDES}
            | {"why": self.said(question["why"])},
            "near_misses": [self.said(one) for one in proposal.get("near_misses", ())][:_MOST_SAID],
            "matched": proposal.get("tried"),
        }

    def filters(self, filters: Mapping[str, Sequence[Mapping[str, Any]]]) -> Json:
        """Return conditions of both sides."""
        return {
            side: [{**one, "value": self.value(one["value"])} for one in filters[side]]
            for side in SIDES
        }


def _sources(found: Sequence[Mapping[str, Any]]) -> list[Json]:
    return [
        {
            "alias": one["alias"],
            "columns": [_name(name) for name in list(one.get("columns", ()))[:MOST_COLUMNS]],
            "row_count": one["row_count"],
        }
        for one in found[:MOST_SOURCES]
    ]


def _listed(_shown: Shown, state: State) -> Any:
    return None if state.listed is None else _sources(state.listed)


def _chosen(_shown: Shown, state: State) -> Any:
    return dict(zip(SIDES, state.chosen, strict=True)) if state.chosen else None


def _previews(shown: Shown, state: State) -> Any:
    return {alias: shown.table(state.previews[alias]) for alias in state.chosen
            if alias in state.previews}  # fmt: skip


def _filters(shown: Shown, state: State) -> Any:
    return None if state.filters is None else shown.filters(state.filters)


def _judged(_shown: Shown, state: State) -> Any:
    words = [one["judgement"] for one in state.judged]
    return {word: words.count(word) for word in dict.fromkeys(words)}


def _proposal(shown: Shown, state: State) -> Any:
    return shown.proposal(state.proposal) if state.proposal and state.fresh else None


def _recipe(shown: Shown, state: State) -> Any:
    return None if state.recipe is None else shown.recipe(state.recipe)


def _valid(shown: Shown, state: State) -> Any:
    if state.valid is None:
        return None
    faults = [shown.said(one["message"]) for one in state.valid["faults"][:_MOST_SAID]]
    return {"valid": state.valid["valid"], "faults": faults}


def _sample(_shown: Shown, state: State) -> Any:
    found = state.sample
    return found and {"matched": found["tried"], "sample": found["sample"]}


def _saved(_shown: Shown, state: State) -> Any:
    return state.saved


def _run_id(_shown: Shown, state: State) -> Any:
    return state.run_id


def _run(shown: Shown, state: State) -> Any:
    run = state.run
    if run is None:
        return None
    error = run.get("error")
    counts = {name: value for name, value in run.items() if name.endswith("_count")}
    return {"status": run["status"], **counts,
            "error": None if error is None else shown.said(error["message"])}  # fmt: skip


_CONTEXT: dict[str, Callable[[Shown, State], Any]] = {
    "listed": _listed,
    "chosen": _chosen,
    "previews": _previews,
    "filters": _filters,
    "judged": _judged,
    "proposal": _proposal,
    "recipe": _recipe,
    "valid": _valid,
    "sample": _sample,
    "saved": _saved,
    "run_id": _run_id,
    "run": _run,
}


def _name(name: object) -> str:
    return _cut(str(name))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
