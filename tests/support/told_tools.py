"""Tools of the recipe builder that answer out of nothing, for conversations without a world."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kalla_app.builder.events import KALLA, Event, Kind
from kalla_app.builder.guide import Call, Follow, Move, Rest, next_step
from kalla_app.builder.state import State, after

Json = dict[str, Any]
SESSION = "c0ffee"
PERSON = "anna"
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_COLUMNS = [{"name": "id", "type": "int64"}, {"name": "ref", "type": "string"}]


class Talk:
    """A conversation in memory; whoever works in it does all that is to be done at once.

    Attributes:
        doubts: pairs that inference asks about before it is sure.
        failing: tools that fail; `plausible` whether there is any rule, `holding` whether it
            agrees with all answers.
    """

    def __init__(self, doubts: int = 4, *, plausible: bool = True, holding: bool = True) -> None:
        self.doubts = doubts
        self.plausible = plausible
        self.holding = holding
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
                case Call(tool, asked):
                    self.add(Kind.CALLED, self._called(tool, asked), KALLA)
                case Follow(run_id):
                    run = {"run_id": run_id, "status": "succeeded"}
                    self.add(Kind.ENDED, {"run": run}, KALLA)
        raise AssertionError(f"it does not come to rest: {self.state}")

    def _called(self, tool: str, asked: Mapping[str, Any]) -> Json:
        made: Json = {"tool": tool, "input": dict(asked), "seconds": 0.1}
        if tool in self.failing:
            error = {"code": "x", "message": f"{tool} failed", "retryable": self.retryable}
            return {**made, "output": None, "error": error}
        return {**made, "output": self._output(tool, asked), "error": None}

    def _output(self, tool: str, asked: Mapping[str, Any]) -> Json:
        match tool:
            case "list_sources":
                return {"sources": [{"alias": one, "row_count": 3} for one in ("a", "b", "c")]}
            case "get_source_preview":
                return {"alias": asked["alias"], "columns": _COLUMNS, "rows": []}
            case "load_scoped":
                return {"alias": asked["alias"], "columns": _COLUMNS, "rows": []}
            case "propose_match" | "infer_rules":
                return self._proposal(asked["judged"])
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

    def _proposal(self, judged: list[Json]) -> Json:
        number = len(judged)
        question = {"left": [number], "right": [number], "left_row": {}, "right_row": {}}
        told = [
            {**one, "matched": True, "holds": self.holding or one["judgement"] == "unsure"}
            for one in judged
        ]
        return {
            "recipe": {"name": "a and b", "judged": number} if self.plausible else None,
            "passes": [],
            "next_question": question if number < self.doubts else None,
            "trial": {"judged": told} if self.plausible else None,
        }
