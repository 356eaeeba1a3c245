"""What the cluster counts, for whoever shows metrics."""

from __future__ import annotations

from typing import Protocol

from kalla_core.fragments.outcome import Outcome


class Counting(Protocol):
    """Takes what happens to fragments; all on the event loop, and returning at once."""

    def fragment_ended(self, stage: str, outcome: Outcome) -> None:
        """Count an attempt that ended, the first time that this is told."""
        ...

    def fragment_lost(self, stage: str) -> None:
        """Count an attempt that nobody works on any more: its executor is gone or forgot it."""
        ...

    def fragment_retried(self, stage: str, cause: str) -> None:
        """Count another attempt at a fragment.

        Args:
            cause: why the one before does not count, a `Cause` or `output_lost`.
        """
        ...

    def run_retried(self, cause: str) -> None:
        """Count a run that starts over, with sources pinned anew.

        Args:
            cause: the code of the error.
        """
        ...


class NoCounts:
    """Counts nothing."""

    def fragment_ended(self, stage: str, outcome: Outcome) -> None:
        """Ignore it."""

    def fragment_lost(self, stage: str) -> None:
        """Ignore it."""

    def fragment_retried(self, stage: str, cause: str) -> None:
        """Ignore it."""

    def run_retried(self, cause: str) -> None:
        """Ignore it."""
