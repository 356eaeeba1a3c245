"""Why a recipe could not be run: everything that is wrong with it, where a run ends at the first.

A run that succeeds is not looked at twice. Whoever looks is a process of its own, as is the run.
"""

from __future__ import annotations

from datetime import timedelta

from kalla_core.engine.processes.children import Limits, running
from kalla_core.error_json import fault_of
from kalla_core.errors import (
    Cancelled,
    Crashed,
    DeadlineExceeded,
    KallaError,
    OutOfDisk,
    OutOfMemory,
    RecipeInvalid,
)
from kalla_core.machine import memory_bytes
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.write import to_document
from kalla_core.sources.protocol import EVERYTHING, SILENT

_MOST_BYTES = 1 << 30
_PATIENCE = timedelta(seconds=60)
_NOT_THE_RECIPE = (Cancelled, Crashed, DeadlineExceeded, OutOfDisk, OutOfMemory)


def all_faults(recipe: Recipe, error: KallaError) -> RecipeInvalid | None:
    """Return all faults of a recipe whose run ended with an error; None if it has none.

    None as well where they cannot be found out, or what happened was not about the recipe.
    """
    if isinstance(error, _NOT_THE_RECIPE) or SILENT in error.details:
        return None  # a source that fell silent is not waited for once more
    from kalla_core.inspection.ask import INSPECT, ask
    from kalla_core.inspection.request import Inspection, Kind

    inspection = Inspection(Kind.VALIDATE, to_document(recipe), _MOST_BYTES, 1, EVERYTHING)
    limits = Limits(min(_MOST_BYTES, memory_bytes()), _PATIENCE)
    try:
        with running(INSPECT, limits) as child:
            found = ask(child, inspection, limits)
    except KallaError:
        return None
    faults = [fault_of(fault) for fault in found["faults"]]
    return RecipeInvalid(faults) if faults else None
