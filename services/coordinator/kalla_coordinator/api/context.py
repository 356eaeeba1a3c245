"""What all routes and servers stand on, made once by `serve`."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from kalla_coordinator.api.auth import Tokens
from kalla_coordinator.api.budget import Budget
from kalla_coordinator.api.inspector import Inspector
from kalla_coordinator.jobs.service import JobService
from kalla_core.errors import InvalidSetting, JobNotFound
from kalla_core.ids import RunId, parse_run_id


@dataclass(frozen=True, slots=True)
class Api:
    """What the APIs need.

    Attributes:
        readers: threads that read evidence.
        budget: memory for results, over HTTP and Flight together.
        closing: set when the service stops, so that streams end.
        heartbeat_s: silence after which a stream of events shows that it lives.
    """

    service: JobService
    inspector: Inspector
    tokens: Tokens
    registry: CollectorRegistry
    readers: Executor
    budget: Budget
    closing: asyncio.Event
    heartbeat_s: float


def known_id(text: str) -> RunId:
    """Return a run id that somebody asks for.

    Raises:
        JobNotFound: no job can have it.
    """
    try:
        return parse_run_id(text)
    except InvalidSetting as error:
        raise JobNotFound(f"There is no job of this id: {error.message}") from error
