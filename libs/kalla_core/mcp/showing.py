"""What tools show of what was found: bounded, without secrets, and masked where it has to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kalla_core.answers.why.words import because
from kalla_core.errors import KallaError, RecipeInvalid
from kalla_core.inspection.asked import SIDES
from kalla_core.jobs.document import job_document
from kalla_core.jobs.model import Job
from kalla_core.mcp.documents import Looked, Run
from kalla_core.mcp.masking import shape, without_values
from kalla_core.observe.secrets import mask, mask_text

LONGEST_TEXT = 400
MOST_COLUMNS = 60
MOST_FAULTS = 20
_KEPT = frozenset(
    ["side", "source", "status", "rejection_reason", "attempted_rules", "condition", "unit",
     "rule_name", "confidence", "pass", "candidates", "more", "asked",
     "part", "alike", "computed"]
)  # fmt: skip
_SENTENCES = frozenset(
    ["told", "reason_detail", "smallest_change", "values", "match_note", "match_id", "taken_by",
     "tied", "ranks", "match_group", "tie", "match_key"]
)  # fmt: skip
_OF_THE_ENGINE = frozenset(["rule_name", "rejection_reason", "confidence", "attempted_rules"])
_CHOSEN = "rows chosen so that partners stay together"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Showing:
    """How values are shown.

    Attributes:
        values: whether they are, or only their shapes.
    """

    values: bool

    def row(self, row: Mapping[str, Any]) -> Json:
        """Return a row; only the first columns of a wide one, and long texts cut."""
        few = dict(list(row.items())[:MOST_COLUMNS])
        return {
            name: cut(value) if self.values or name in _OF_THE_ENGINE else shape(value)
            for name, value in few.items()
        }

    def pair(self, pair: Mapping[str, Any]) -> Json:
        """Return a pair: the rows of both sides, and what the engine says of it."""
        sides = {name: self.row(pair[name] or {}) for name in ("left_row", "right_row")}
        return {**self.row({k: v for k, v in pair.items() if k not in sides}), **sides}

    def said(self, sentences: Sequence[str]) -> list[str]:
        """Return sentences that may quote values."""
        masked = [cut(mask_text(one)) for one in sentences[:MOST_FAULTS]]
        return masked if self.values else [without_values(one) for one in masked]

    def error(self, error: KallaError) -> str:
        """Return an error as a sentence, or as a few."""
        if isinstance(error, RecipeInvalid) and error.faults:
            told = [f"{one.path}: {one.message}" for one in error.faults[:MOST_FAULTS]]
            more = len(error.faults) - len(told)
            text = "\n".join([*told, *([f"And {more} faults more."] if more > 0 else [])])
        else:
            text = str(error)
        text = mask_text(text)[: 10 * LONGEST_TEXT]
        return text if self.values or not _of_data(error.code) else without_values(text)

    def run(self, job: Job) -> Run:
        """Return a run as it now is."""
        document = job_document(job)
        passes = [self.figures(one) for one in document["passes"]]
        error = None
        if job.error is not None:
            text = cut(mask_text(job.error.message))
            hide = not self.values and _of_data(job.error.code)
            error = without_values(text) if hide else text
        return Run(
            run_id=job.run_id, recipe_id=job.recipe_id, status=job.status.value, stage=job.stage,
            progress=document["progress"], ended=job.status.final, counts=document["counts"],
            passes=passes, warnings=self.said(job.warnings), error=error,
            output_path=mask_text(job.output_path),
        )  # fmt: skip

    def figures(self, figures: Mapping[str, Any]) -> Json:
        """Return what a pass did; sums of amounts are values as well."""
        if self.values:
            return dict(figures)
        return {k: v for k, v in figures.items() if k not in ("amounts", "notes")}

    def fate(self, fate: Mapping[str, Any]) -> Json:
        """Return what became of a row: all of it, or without what tells values."""
        if self.values:
            return dict(_cut_inside(fate))
        found: Json = _masked(fate)
        reasons = [one["rejection_reason"] for one in fate["unmatched"]]
        found["told"] = [f"Unmatched: {because(one)}." for one in dict.fromkeys(reasons)] or [
            f"Matched by {rule}."
            for rule in dict.fromkeys(one["rule_name"] for one in fate["matches"])
        ]
        return found


def looked(sample: Mapping[str, Any], aliases: Sequence[str]) -> tuple[Looked, Looked]:
    """Return how much of both sources was looked at."""
    left, right = (
        Looked(
            alias=alias, rows=one["of"], looked_at=one["rows"],
            how="all rows" if one["rows"] == one["of"] else _CHOSEN,
            undecidable=one.get("undecidable", []),
        )
        for alias, one in zip(aliases, (sample[side] for side in SIDES), strict=True)
    )  # fmt: skip
    return left, right


def recipe_shown(recipe: Mapping[str, Any]) -> Json:
    """Return a recipe without secrets."""
    shown = mask(recipe)
    return dict(shown) if isinstance(shown, Mapping) else {}


def cut(value: Any) -> Any:
    """Return a value fit for an answer: what JSON knows, and not too long."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _of_data(code: str) -> bool:
    """Whether an error may quote what a source holds."""
    return not code.startswith(("invalid_", "unknown_", "forbidden_", "sides_", "types_", "not_"))


def _cut_inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _cut_inside(item) for name, item in list(value.items())[:200]}
    if isinstance(value, list | tuple):
        return [_cut_inside(item) for item in value[:MOST_COLUMNS]]
    return cut(value)


def _masked(value: Any, name: str = "") -> Any:
    if name in _KEPT:
        return _cut_inside(value)
    if isinstance(value, Mapping):
        inside = {str(n): item for n, item in value.items() if n not in _SENTENCES}
        if name in ("row", "columns"):
            return shape(dict(list(value.items())[:MOST_COLUMNS]))
        return {n: _masked(item, n) for n, item in inside.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, name) for item in value[:MOST_COLUMNS]]
    return shape(value)
