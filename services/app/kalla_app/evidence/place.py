"""The folder that a run's evidence lies in.

Where the coordinator's output is on this machine too, it is that one. Else it is fetched once,
checked by its SHA-256 sums, and kept below the data path until nobody looks at it any more.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

from kalla_app.evidence.copies import Copies
from kalla_app.runs.life import RunStatus
from kalla_app.store.runs import Run
from kalla_core.client.client import Client
from kalla_core.errors import JobEnded, OutputExists
from kalla_core.evidence.names import METADATA
from kalla_core.ids import RunId
from kalla_core.observe.logs import get_logger
from kalla_core.serving.clock import settled

_MOST_KNOWN = 4096
_SWEEP_INTERVAL_S = 3600.0
_BELIEVED = timedelta(seconds=1)
"""How long a folder that was there is taken to be there."""


class EvidencePlace:
    """Asyncio."""

    def __init__(self, client: Client, copies: Copies) -> None:
        self._client = client
        self._copies = copies
        self._known: dict[str, tuple[Path, datetime]] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def folder(self, run: Run) -> Path:
        """Return a folder with the complete evidence of a run.

        Raises:
            JobEnded: it has none, or not yet.
            EvidenceGone: it is no longer there.
            KallaError: the coordinator does not answer.
        """
        if run.state.status is not RunStatus.SUCCEEDED:
            raise JobEnded(f"The run is {run.state.status.value}: it has no evidence.")
        known, until = self._known.get(run.run_id, (None, None))
        if known is not None and until is not None and self._copies.now() < until:
            return known
        if known is None or not await asyncio.to_thread(self._is_used, known):
            known = await self._found(run)
            await asyncio.to_thread(self._copies.use, known)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[run.run_id] = known, self._copies.now() + _BELIEVED
        return known  # what is complete never changes

    async def is_here(self, run: Run) -> bool:
        """Whether the evidence of a run is on this machine already."""
        places = (run.state.output_path, str(self._copies.of(run.run_id)))
        for place in places:
            if place is not None and await asyncio.to_thread(_is_of, Path(place), run.run_id):
                return True
        return False

    async def keep_swept(self, retention: timedelta) -> None:
        """Remove copies that nobody has looked at for so long, every hour, until cancelled."""
        clock = await settled()
        while True:
            count = await asyncio.to_thread(self._copies.sweep, clock.now() - retention)
            if count:
                get_logger().info("evidence_copies_removed", count=count)
            await asyncio.sleep(_SWEEP_INTERVAL_S)

    def _is_used(self, folder: Path) -> bool:
        """Note that somebody looks into a folder; False if it is not there any more."""
        if not (folder / METADATA).exists():
            return False
        self._copies.use(folder)
        return True

    async def _found(self, run: Run) -> Path:
        if run.state.output_path is not None:
            own = Path(run.state.output_path)
            if await asyncio.to_thread(_is_of, own, run.run_id):
                return own
        kept = self._copies.of(run.run_id)
        async with self._turns[run.run_id]:
            if not await asyncio.to_thread(_is_of, kept, run.run_id):
                await asyncio.to_thread(kept.parent.mkdir, parents=True, exist_ok=True)
                try:
                    await self._client.fetch(RunId(run.run_id), kept)
                except OutputExists:  # another app on this folder was quicker
                    if not await asyncio.to_thread(_is_of, kept, run.run_id):
                        raise
        return kept


def _is_of(folder: Path, run_id: str) -> bool:
    try:
        metadata = json.loads((folder / METADATA).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(metadata, dict) and metadata.get("run_id") == run_id
