"""How far a run has come, as it tells whoever watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class Stage(StrEnum):
    """The stages of a run, in their order; also the names in callbacks and metadata.json."""

    STAGING = "staging"
    MATCHING = "matching"
    WRITING_RESULTS = "writing_results"


@dataclass(frozen=True, slots=True)
class Progress:
    """One report; totals are None while nobody knows them.

    Attributes:
        source: alias of the source that is being read, in `staging`; name of the pass that looks
            for matches, in `matching`, None of a plain join.
        rows_done: source rows read (`staging`), or rows of both sides joined (`matching`).
        matched_rows: rows of matched so far.
        spooled_rows, spooled_bytes: that this source left in the spool, in `staging`.
        spilled_bytes: on disk beside the spool, at most; in the last report of a run.
        warnings: sentences about what lies ahead, in `matching`.
    """

    stage: Stage
    source: str | None = None
    rows_done: int = 0
    rows_total: int | None = None
    bytes_done: int = 0
    bytes_total: int | None = None
    fragments_done: int = 0
    fragments_total: int = 0
    matched_rows: int = 0
    spooled_rows: int = 0
    spooled_bytes: int = 0
    spilled_bytes: int = 0
    warnings: tuple[str, ...] = ()


OnProgress = Callable[[Progress], None]


class ProgressCounter:
    """Adds up what several threads report of one stage (and one source) and passes it on."""

    def __init__(self, first: Progress, on_progress: OnProgress) -> None:
        self._now = first
        self._on_progress = on_progress
        self._lock = threading.Lock()
        on_progress(first)

    def spooled(self, rows: int, size: int) -> None:
        """Tell what lies in the spool; safe from any thread."""
        with self._lock:
            self._now = replace(self._now, spooled_rows=rows, spooled_bytes=size)
            self._on_progress(self._now)

    def add(self, *, rows: int = 0, size: int = 0, fragments: int = 0, matched: int = 0) -> None:
        """Count rows, bytes, finished fragments and matched rows; safe from any thread."""
        with self._lock:
            now = self._now
            self._now = replace(
                now,
                rows_done=now.rows_done + rows,
                bytes_done=now.bytes_done + size,
                fragments_done=now.fragments_done + fragments,
                matched_rows=now.matched_rows + matched,
            )
            self._on_progress(self._now)

    @property
    def now(self) -> Progress:
        """The sums so far."""
        return self._now
