"""Tools of the recipe builder that answer out of nothing, for conversations without a world."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kalla_app.builder.events import KALLA, Event, Kind
from kalla_app.builder.guide import Call, Follow, Move, Rest, Think, next_step
from kalla_app.builder.leading.doors import Refuse
from kalla_app.builder.state import State, after

Json = dict[str, Any]
SESSION = "c0ffee"
PERSON = "anna"
_AT = datetime(2026, 1, 1, tzinfo=UTC)
RECIPE: Json = {
    "name": "a and b",
    "sources": {
        "left": {"alias": "a", "primary_key": ["id"]},
        "right": {"alias": "b", "primary_key": ["id"]},
    },
    "passes": [{"name": "by id", "match_sql": "SELECT 1 AS one FROM a l JOIN b r ON l.id = r.id"}],
}
_COLUMNS = [{"name": "id", "type": "int64"}, {"name": "ref", "type": "string"}]


PRIVATE = "Zanzibar-4711"
"""What is in a row, and nowhere else."""


class Talk:
    """A conversation in memory; whoever works in it does all that is to be done at once.

    Attributes:
        failing: tools that fail.
    """

    def __init__(self, doubts: int = 4, *, plausible: bool = True, holding: bool = True) -> None:
        self.tools = ToldTools(doubts, plausible=plausible, holding=holding)
        self.failing: set[str] = set()
        self.retryable = True
        self.state = State()
        self.events: list[Event] = []
        self.work()

    def add(self, kind: Kind, document: Mapping[str, Any], who: str = PERSON) -> None:
        """Let something happen."""
        event = Event(len(self.events) + 1, kind, who, _AT, document)
        self.events.append(event)
        self.state = after(self.state, event)

    def work(self) -> None:
        """Do what the guide says until a person is to do something."""
        for _ in range(100):
            step = next_step(self.state, SESSION)
            match step:
                case Rest():
                    return
                case Move(phase):
                    moved = {"phase": phase.word, "from": self.state.phase.word, "back": False}
                    self.add(Kind.MOVED, moved, KALLA)
                case Call(tool, asked, call):
                    named = {} if call is None else {"call": call}
                    self.add(Kind.CALLED, named | self._called(tool, asked), KALLA)
                case Refuse(call, tool, message):
                    refused = {"call": call, "tool": tool, "message": message}
                    self.add(Kind.REFUSED, refused, KALLA)
                case Think():
                    return  # whoever tests says what it thinks
                case Follow(run_id):
                    run = {"run_id": run_id, "status": "succeeded"}
                    self.add(Kind.ENDED, {"run": run}, KALLA)
        raise AssertionError(f"it does not come to rest: {self.state}")

    def _called(self, tool: str, asked: Mapping[str, Any]) -> Json:
        made: Json = {"tool": tool, "input": dict(asked), "seconds": 0.1}
        if tool in self.failing:
            error = {"code": "x", "message": f"{tool} failed", "retryable": self.retryable}
            return {**made, "output": None, "error": error}
        return {**made, "output": self.tools.output(tool, asked), "error": None}


class ToldTools:
    """What tools answer.

    Attributes:
        doubts: pairs that inference asks about before it is sure.
        plausible: whether there is any rule, `holding` whether it agrees with all answers.
    """

    def __init__(self, doubts: int = 4, *, plausible: bool = True, holding: bool = True) -> None:
        self.doubts = doubts
        self.plausible = plausible
        self.holding = holding

    async def call(self, tool: str, asked: Mapping[str, Any], _who: str) -> Json:
        """As `kalla_app.builder.tools.Tools` does."""
        return self.output(tool, asked)

    def output(self, tool: str, asked: Mapping[str, Any]) -> Json:
        match tool:
            case "list_sources":
                return {"sources": [{"alias": one, "row_count": 3} for one in ("a", "b", "c")]}
            case "get_source_preview":
                return {"alias": asked["alias"], "columns": _COLUMNS, "rows": [["1", PRIVATE]]}
            case "load_scoped":
                return {"alias": asked["alias"], "columns": _COLUMNS, "rows": [["1", PRIVATE]]}
            case "propose_match" | "infer_rules":
                return self._proposal(asked["judged"])
            case "build_recipe" if "judged" in asked:
                return self._tried(asked["recipe"])
            case "suggest_answer":
                return {"shown": True}
            case "build_recipe":
                return {"recipe": {**asked["recipe"], "built": True}}
            case "validate_recipe":
                return {"valid": True, "faults": []}
            case "run_sample":
                return {"faults": [], "tried": {}, "trial": {}, "sample": {}}
            case "save_recipe":
                return {"recipe_id": asked["recipe_id"] or "named", "version": 1}
            case "run_full":
                return {"run_id": asked["run_id"]}
        raise AssertionError(f"nobody knows the tool {tool}")

    def _tried(self, recipe: Json) -> Json:
        """Return what the engine says of a rule; its SQL says what that is."""
        sql = " ".join(one.get("match_sql", "") for one in recipe["passes"])
        faults = [{"code": "x", "path": "passes[0].match_sql", "message": "no such column"}]
        holds = "faulty" not in sql and "loose" not in sql
        against = [{"left": [1], "right": [2], "judgement": "no", "holds": False}]
        return {
            "recipe": recipe, "faults": faults if "faulty" in sql else [], "holds": holds,
            "tried": {"matched_left": 2, "matched_right": 2}, "sample": {}, "trial": {},
            "against": against if "loose" in sql else [],
        }  # fmt: skip

    def _proposal(self, judged: list[Json]) -> Json:
        number = len(judged)
        row = {"ref": PRIVATE}
        question = {
            "left": [number], "right": [number], "left_row": row, "right_row": row,
            "why": f"'{PRIVATE}' is in both.",
        }  # fmt: skip
        told = [
            {**one, "matched": True, "holds": self.holding or one["judgement"] == "unsure"}
            for one in judged
        ]
        return {
            "recipe": {**RECIPE, "judged": number} if self.plausible else None,
            "primary_keys": {"left": ["id"], "right": ["id"]},
            "passes": [],
            "next_question": question if number < self.doubts else None,
            "trial": {"judged": told} if self.plausible else None,
        }
