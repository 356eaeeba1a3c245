"""What all routes and pages stand on, made once by `app`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from kalla_app.access.people import Known
from kalla_app.builder.service import Builder
from kalla_app.evidence.closest import ClosestRows
from kalla_app.evidence.pages import RowPages
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.spreads import Spreads
from kalla_app.exceptions.bench import Bench
from kalla_app.exceptions.book import ExceptionBook
from kalla_app.metrics import AppMetrics
from kalla_app.recipes.shelf import Shelf
from kalla_app.runs.dispatch import Dispatcher
from kalla_app.runs.service import RunService
from kalla_app.runs.shares import Shares
from kalla_app.runs.watch import Watches
from kalla_app.sources.catalogue import Catalogue
from kalla_app.store.database import Database
from kalla_app.store.sessions import Sessions
from kalla_app.uploads.dock import Dock
from kalla_core.client.client import Client


@dataclass(frozen=True, slots=True)
class App:
    """The parts of an app that runs.

    Attributes:
        people: who may come in; nobody is asked without any.
        callback_secret: verifies callbacks; None if they are not to be believed.
        secure: whether browsers reach us over TLS.
        closing: set when the app stops, so that streams end.
    """

    database: Database
    sessions: Sessions
    client: Client
    catalogue: Catalogue
    shelf: Shelf
    runs: RunService
    evidence: EvidencePlace
    rows: RowPages
    closest: ClosestRows
    spreads: Spreads
    dock: Dock
    exceptions: ExceptionBook
    bench: Bench
    builder: Builder
    dispatcher: Dispatcher
    watches: Watches
    shares: Shares
    metrics: AppMetrics
    people: tuple[Known, ...]
    callback_secret: bytes | None
    secure: bool
    closing: asyncio.Event
