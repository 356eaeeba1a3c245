"""The first page: what needs attention today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kalla_app.context import App
from kalla_app.exceptions.age import BUCKETS
from kalla_app.exceptions.bench import Ageing
from kalla_app.pages.render import page
from kalla_app.recipes.shelf import Saved
from kalla_app.runs.life import RunStatus
from kalla_app.store.runs import Run
from kalla_core.errors import KallaError

_RECIPES = 12
_TREND = 12
_LATEST = 8


@dataclass(frozen=True, slots=True)
class Card:
    """A recipe with its latest runs, the newest first."""

    saved: Saved
    runs: tuple[Run, ...]

    @property
    def last(self) -> Run | None:
        """The newest run."""
        return self.runs[0] if self.runs else None

    @property
    def trend(self) -> str:
        """Points of a line through the match rates of the runs, 100 wide and 24 high."""
        rates = [rate_of(run) for run in reversed(self.runs)]
        known = [rate for rate in rates if rate is not None]
        if len(known) < 2:
            return ""
        low, high = min(known), max(known)
        spread = (high - low) or 1.0
        step = 100 / (len(known) - 1)
        return " ".join(
            f"{place * step:.1f},{22 - 20 * (rate - low) / spread:.1f}"
            for place, rate in enumerate(known)
        )


def rate_of(run: Run) -> float | None:
    """Return the share of source rows of both sides that are in a match, 0 to 1."""
    counts = run.state.counts
    if counts.total_left is None or counts.total_right is None:
        return None
    total = counts.total_left + counts.total_right
    open_rows = (counts.unmatched_left or 0) + (counts.unmatched_right or 0)
    done = run.state.status is RunStatus.SUCCEEDED
    return (total - open_rows) / total if total and done else None


async def cards(app: App, recipes: Sequence[Saved]) -> list[Card]:
    """Return recipes with their latest runs."""
    found = await app.runs.newest([saved.recipe.recipe_id for saved in recipes], _TREND)
    return [Card(saved, tuple(found[saved.recipe.recipe_id])) for saved in recipes]


async def _ageing(app: App, recipes: Sequence[Card]) -> tuple[Ageing, ...]:
    """Return open rows by age; none where the coordinator that has them does not answer."""
    try:
        return await app.bench.ageing([card.saved.recipe.recipe_id for card in recipes])
    except KallaError:
        return ()  # the page of exceptions says why


def today_pages(app: App) -> APIRouter:
    """Return the first page."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def today(request: Request) -> Response:
        recipes = await cards(app, await app.shelf.page(_RECIPES, None))
        latest, _ = await app.runs.page(_LATEST)
        sources = await app.catalogue.page(1, None)
        return await page(
            app,
            request,
            "today.html",
            cards=recipes,
            runs=latest,
            has_sources=bool(sources),
            ageing=await _ageing(app, recipes),
            buckets=BUCKETS,
        )

    return routes
