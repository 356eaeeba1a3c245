"""`kalla run --coordinator URL`: a recipe that a coordinator runs, its evidence here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kalla_core.cli.remote import demand_success, follow, with_client
from kalla_core.client import Client
from kalla_core.error_json import fault_of
from kalla_core.errors import KallaError, RecipeInvalid
from kalla_core.evidence.folder import OutputFolder
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.ids import RunId
from kalla_core.observe.logs import get_logger
from kalla_core.recipe.model import Recipe

_CANCEL_PATIENCE_S = 10.0


def reconcile_remotely(
    coordinator: str,
    recipe: Recipe,
    run_id: RunId,
    output: Path,
    *,
    overwrite: bool,
    quiet: bool = False,
    warned: set[str] | None = None,
) -> RunMetadata:
    """Let a coordinator run a recipe, show its progress unless `quiet`, and fetch its evidence.

    Args:
        warned: as of `watching`.

    Raises:
        KallaError: what went wrong; no evidence was left in `output`.
        KeyboardInterrupt: likewise; the job was asked to stop.
    """

    async def action(client: Client) -> RunMetadata:
        await asyncio.to_thread(_demand_free, output, run_id, overwrite)
        _demand_valid(await client.validate(recipe))
        await client.submit(recipe, run_id)
        log.info("run_submitted", recipe_id=recipe.recipe_id, coordinator=coordinator)
        try:
            demand_success(await follow(client, run_id, quiet=quiet, warned=warned))
        except asyncio.CancelledError:
            await _cancel(client, run_id)
            raise
        return await client.fetch(run_id, output, overwrite=overwrite)

    log = get_logger(run_id=run_id)
    try:
        metadata = with_client(coordinator, action)
    except KallaError as error:
        log.info("run_failed", code=error.code)  # the paragraph says the rest
        raise
    log.info("run_completed", strategy=metadata.strategy, matched_count=metadata.matched_count)
    return metadata


def _demand_valid(found: Mapping[str, Any]) -> None:
    if not found["valid"]:
        raise RecipeInvalid([fault_of(fault) for fault in found["faults"]])


def _demand_free(output: Path, run_id: RunId, overwrite: bool) -> None:
    """Find out before the run whether its evidence could be put where it is wanted."""
    with OutputFolder.claim(output, run_id, overwrite):
        pass


async def _cancel(client: Client, run_id: RunId) -> None:
    """Ask the job to stop, also while this process is being stopped itself."""
    with suppress(KallaError, TimeoutError):
        async with asyncio.timeout(_CANCEL_PATIENCE_S):
            await client.cancel(run_id)
