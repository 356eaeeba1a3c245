"""One stream of an executor, as the dispatcher has it."""

from __future__ import annotations

import asyncio

from kalla_coordinator.cluster.members import StreamId
from kalla_core.fragments.presence import ToExecutor


class Line:
    """One stream of an executor: what is to be sent on it, in order; None ends it."""

    def __init__(self, number: StreamId) -> None:
        self.number = number
        self.outbox: asyncio.Queue[ToExecutor | None] = asyncio.Queue()

    def send(self, said: ToExecutor) -> None:
        """Queue something."""
        self.outbox.put_nowait(said)

    def close(self) -> None:
        """End the stream after what is queued."""
        self.outbox.put_nowait(None)
