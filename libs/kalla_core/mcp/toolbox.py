"""What each tool does: arguments in, an answer out, or a `KallaError`."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from kalla_core.client import Client
from kalla_core.error_json import fault_of
from kalla_core.errors import InvalidFilter, InvalidSetting, RecipeInvalid
from kalla_core.ids import RunId, parse_run_id
from kalla_core.inspection.asked import SIDES, named
from kalla_core.mcp import documents as d
from kalla_core.mcp.reach import Reach
from kalla_core.mcp.showing import Showing, looked, recipe_shown
from kalla_core.recipe.spoken.filters import said_filters
from kalla_core.recipe.spoken.rules import Table, said_rule
from kalla_core.recipe.uris import type_of

Json = dict[str, Any]
_MOST_QUESTIONS = 1000
_CANCEL_PATIENCE_S = 5.0
_INFERRED = ("uri", "types", "filters", "format")
"""What inference takes of a source."""


@dataclass(slots=True)
class Toolbox:
    """The tools, on one coordinator. Asyncio.

    Attributes:
        reach: what sources may be named.
        showing: how values are shown.
    """

    kalla: Client
    reach: Reach
    showing: Showing
    _questions: OrderedDict[str, Json] = field(default_factory=OrderedDict)

    async def detect_field_mappings(self, left: d.Source, right: d.Source) -> d.FieldMappings:
        """Return the columns of two sources that go together."""
        answer = await self._inferred(left, right, [])
        first, second = looked(answer["sample"], self._named(left, right))
        return d.FieldMappings(
            mappings=[d.Mapping(**one) for one in answer["mappings"][:200]],
            left=first, right=second,
        )  # fmt: skip

    async def parse_nl_filter(
        self, text: str, source: d.Source | None, columns: Mapping[str, str] | None, today: str
    ) -> d.Filters:
        """Return the filters that a sentence says, of a source or of columns that are told."""
        if (source is None) == (columns is None):
            raise InvalidSetting("Give either `source` or `columns`.")
        known = columns if source is None else await self._columns(source)
        try:
            day = date.fromisoformat(today)
        except ValueError:
            raise InvalidFilter(f"`{today}` is no day of the calendar.") from None
        found = said_filters(text, known or {}, day)
        return d.Filters(filters=[d.SaidFilter(**one.document, says=one.says) for one in found])

    async def nl_to_sql(self, text: str, left: d.Source, right: d.Source) -> d.Rule:
        """Return the match SQL that a sentence says."""
        columns = await asyncio.gather(self._columns(left), self._columns(right))
        aliases = self._named(left, right)
        first, second = (Table(a, c) for a, c in zip(aliases, columns, strict=True))
        found = said_rule(text, first, second)
        return d.Rule(match_sql=found.sql, says=list(found.says))

    async def infer_rules(
        self, left: d.Source, right: d.Source, judged: Sequence[d.Judged]
    ) -> d.Rules:
        """Infer a recipe of two sources, and what to ask next."""
        answers = [self._judged(one) for one in judged]
        answer = await self._inferred(left, right, answers)
        first, second = looked(answer["sample"], self._named(left, right))
        recipe, checked = answer["recipe"], None
        if recipe is not None:
            checked = await self.kalla.validate(recipe)
        return d.Rules(
            recipe=None if recipe is None else recipe_shown(recipe),
            valid=checked is not None and bool(checked["valid"]),
            faults=[] if checked is None else self._faults(checked),
            primary_keys=answer["primary_keys"],
            passes=[d.Pass(**{n: one[n] for n in d.Pass.model_fields}) for one in answer["passes"]],
            next_question=self._question(answer["next_question"]),
            near_misses=answer["near_misses"], left_out=answer["left_out"],
            left=first, right=second,
        )  # fmt: skip

    async def build_recipe(
        self, left: d.Source, right: d.Source, match_sql: str | None,
        passes: Sequence[Json] | None, name: str,
    ) -> d.Built:  # fmt: skip
        """Put a recipe together, and hold it against its sources."""
        if (match_sql is None) == (passes is None):
            raise InvalidSetting("Give either `match_sql` or `passes`.")
        aliases = self._named(left, right)
        sources = {
            side: self._document(one) | {"alias": alias}
            for side, one, alias in zip(SIDES, (left, right), aliases, strict=True)
        }
        missing = [side for side in SIDES if not sources[side].get("primary_key")]
        if missing:
            keys = await self._primary_keys(left, right)
            for side in missing:
                sources[side]["primary_key"] = keys[side]
        rule = {"passes": list(passes or ())} if match_sql is None else {"match_sql": match_sql}
        recipe = {"recipe_id": "-".join(aliases), "name": name, "sources": sources, **rule}
        checked = await self.kalla.validate(recipe)
        return d.Built(
            recipe=recipe_shown(recipe), valid=checked["valid"], faults=self._faults(checked),
            warnings=self.showing.said(checked["warnings"]),
        )  # fmt: skip

    async def validate_recipe(self, recipe: Json) -> d.Validation:
        """Hold a recipe against its sources."""
        checked = await self.kalla.validate(self.reach.recipe(recipe))
        return d.Validation(
            valid=checked["valid"], faults=self._faults(checked),
            warnings=self.showing.said(checked["warnings"]), columns=checked["sources"],
        )  # fmt: skip

    async def preview_match(self, recipe: Json, rows: int) -> d.Tried:
        """Let the engine run a recipe on samples of its sources."""
        whole = self.reach.recipe(recipe)
        found = await self.kalla.try_recipe(whole, rows=rows)
        if found["faults"]:
            raise RecipeInvalid([fault_of(one) for one in found["faults"]])
        seen = looked(found["sample"], [whole["sources"][side]["alias"] for side in SIDES])
        tried, trial = found["tried"], found["trial"]
        first, second = (
            d.Side(alias=one.alias, rows=one.looked_at, matched=tried[f"matched_{side}"],
                   unmatched=tried[f"unmatched_{side}"])
            for side, one in zip(SIDES, seen, strict=True)
        )  # fmt: skip
        left, right = ([self.showing.row(one) for one in trial[f"unmatched_{s}"]] for s in SIDES)
        return d.Tried(
            left=first, right=second, passes=[self.showing.figures(one) for one in trial["passes"]],
            matched_rows=[self.showing.pair(one) for one in trial["matched"]],
            unmatched_left_rows=left, unmatched_right_rows=right, reasons=trial["reasons"],
            warnings=self.showing.said(trial["warnings"]), looked_at=list(seen),
        )  # fmt: skip

    async def run_recipe(self, recipe: Json, run_id: str | None, wait_s: float) -> d.Run:
        """Start a run and wait for its end; a call cancelled while it waits cancels the run."""
        wanted = None if run_id is None else parse_run_id(run_id)
        known = await self.kalla.submit(self.reach.recipe(recipe), wanted)
        try:
            return await self._waited(known, wait_s)
        except asyncio.CancelledError:
            await asyncio.shield(self._cancel(known))
            raise

    async def get_run(self, run_id: str, wait_s: float) -> d.Run:
        """Return a run as it is, once it has ended or the wait is over."""
        return await self._waited(parse_run_id(run_id), wait_s)

    async def explain_row(self, run_id: str, key: Sequence[str], side: str | None) -> d.Explained:
        """Return what became of the rows with a key."""
        answer = await self.kalla.why(parse_run_id(run_id), key, side)
        found = [self.showing.fate(one) for one in answer["found"]]
        return d.Explained(run_id=answer["run_id"], found=found)

    async def _waited(self, run_id: RunId, wait_s: float) -> d.Run:
        job = await self.kalla.get(run_id)
        if wait_s > 0 and not job.status.final:
            try:
                async with asyncio.timeout(wait_s):
                    job = await self.kalla.wait(run_id)
            except TimeoutError:
                job = await self.kalla.get(run_id)
        return self.showing.run(job)

    async def _cancel(self, run_id: RunId) -> None:
        async with asyncio.timeout(_CANCEL_PATIENCE_S):
            await self.kalla.cancel(run_id)

    async def _inferred(
        self, left: d.Source, right: d.Source, judged: Sequence[Json]
    ) -> Json:  # fmt: skip
        """Return what the coordinator infers, from samples of all rows of both sources."""
        sides = [
            {name: value for name, value in self._document(one).items() if name in _INFERRED}
            | {"alias": alias}
            for one, alias in zip((left, right), self._named(left, right), strict=True)
        ]
        return await self.kalla.infer(sides[0], sides[1], judged, rows=1)

    def _named(self, left: d.Source, right: d.Source) -> tuple[str, str]:
        return named([left.model_dump(), right.model_dump()])

    async def _columns(self, source: d.Source) -> dict[str, str]:
        document = self._document(source)
        found = await self.kalla.preview(
            document["uri"], 1, types=document.get("types"), format=document.get("format")
        )
        return {one["name"]: one["type"] for one in found["columns"]}

    async def _primary_keys(self, left: d.Source, right: d.Source) -> dict[str, list[str]]:
        return dict((await self._inferred(left, right, []))["primary_keys"])

    def _document(self, source: d.Source) -> Json:
        uri = self.reach.uri(source.uri)
        return {**source.model_dump(exclude_none=True), "uri": uri, "type": type_of(uri).value}

    def _faults(self, checked: Json) -> list[Json]:
        faults = checked["faults"][:20]
        said = self.showing.said([one["message"] for one in faults])
        return [
            {"code": one["code"], "path": one["path"], "message": message}
            for one, message in zip(faults, said, strict=True)
        ]

    def _question(self, question: Json | None) -> d.Question | None:
        if question is None:
            return None
        pair = secrets.token_urlsafe(9)
        self._questions[pair] = {side: question[side] for side in SIDES}
        while len(self._questions) > _MOST_QUESTIONS:
            self._questions.popitem(last=False)
        return d.Question(
            pair=pair, left_row=self.showing.row(question["left_row"]),
            right_row=self.showing.row(question["right_row"]), why=question["why"],
            rows=question["rows"],
        )  # fmt: skip

    def _judged(self, one: d.Judged) -> Json:
        if one.pair not in self._questions:
            raise InvalidSetting(f"No question asked about the pair `{one.pair[:60]}`.")
        return {**self._questions[one.pair], "judgement": one.judgement}
