"""What a run needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kalla_core.engine.budget import Budget
from kalla_core.recipe.model import Recipe
from kalla_core.sources.protocol import EVERYTHING, SourceAccess


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a run needs to know.

    Attributes:
        staging: existing, empty folder for the evidence.
        spool: existing, empty folder for what is thrown away.
        access: what sources may be.
    """

    recipe: Recipe
    started_at: datetime
    staging: Path
    spool: Path
    budget: Budget
    access: SourceAccess = EVERYTHING
