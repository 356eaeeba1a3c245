"""Memory for results that are being read, shared by all streams: what does not fit waits its turn.

For any thread: the event loop awaits its turn (`wait_for_turn`), threads block (`ask`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress

from kalla_core.errors import ResultsBusy
from kalla_core.units import format_bytes

PATIENCE_S = 30.0
_TURN_S = 5.0
"""Threads that many streams share wait for one another; they must not wait for long."""
_SMALLEST_BYTES = 64 << 20
_LARGEST_BYTES = 1 << 30
_SHARE = 16


def results_bytes(memory_limit_bytes: int) -> int:
    """Return what results may take: a sixteenth of the memory limit, 64 MiB to 1 GiB."""
    return max(_SMALLEST_BYTES, min(_LARGEST_BYTES, memory_limit_bytes // _SHARE))


class Claim:
    """Memory that a stream may use until it is released; to release it twice does nothing.

    Not for several threads at a time.
    """

    def __init__(self, budget: Budget, claimed_bytes: int) -> None:
        self.bytes = self._claimed_bytes = claimed_bytes
        self._budget: Budget | None = budget
        self._exceeds = False

    def may_take(self, most_bytes: int) -> None:
        """Return once the stream may use so much: beyond its claim only one may at a time. Blocks.

        Raises:
            ResultsBusy: another has used more than it claimed all the while.
        """
        if self._budget is None or self._exceeds or most_bytes <= self._claimed_bytes:
            return
        self._budget._let_exceed()
        self._exceeds = True

    def count(self, used_bytes: int) -> None:
        """Count what is used, where it is more than was claimed: others wait the longer."""
        budget = self._budget
        if budget is None:
            return
        used_bytes = max(used_bytes, self._claimed_bytes)
        less, self.bytes = self.bytes - used_bytes, used_bytes
        if less:
            budget._give_back(less)
        if used_bytes == self._claimed_bytes:
            self._keep_to_it(budget)

    def release(self) -> None:
        """Let others use it."""
        budget, self._budget = self._budget, None
        if budget is not None:
            budget._give_back(self.bytes)
            self._keep_to_it(budget)

    def _keep_to_it(self, budget: Budget) -> None:
        exceeded, self._exceeds = self._exceeds, False
        if exceeded:
            budget._exceeding.release()


class Budget:
    """Bytes that are claimed in the order they were asked for."""

    def __init__(self, total_bytes: int, patience_s: float = PATIENCE_S) -> None:
        self._total = self._free = total_bytes
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, Future[Claim]]] = deque()
        self._exceeding = threading.Semaphore(1)

    def ask(self, wanted_bytes: int) -> Claim:
        """Return a claim, waiting for it. Blocks.

        Args:
            wanted_bytes: more than the whole budget counts as all of it.

        Raises:
            ResultsBusy: others have not let go in time.
        """
        asked = self._line_up(wanted_bytes)
        try:
            return asked.result(self._patience_s)
        except FutureTimeout:
            return self._given_up(asked)

    async def wait_for_turn(self, wanted_bytes: int) -> Claim:
        """Return a claim, as `ask` does, on an event loop."""
        asked = self._line_up(wanted_bytes)
        turn = asyncio.wrap_future(asked)
        try:
            return await asyncio.wait_for(asyncio.shield(turn), self._patience_s)
        except TimeoutError:
            return self._given_up(asked)
        except asyncio.CancelledError:
            with suppress(ResultsBusy):
                self._given_up(asked).release()
            raise

    def _line_up(self, wanted_bytes: int) -> Future[Claim]:
        asked: Future[Claim] = Future()
        with self._lock:
            self._waiting.append((min(wanted_bytes, self._total), asked))
        self._go_on()
        return asked

    def _given_up(self, asked: Future[Claim]) -> Claim:
        """Return a claim that came in the very last moment."""
        if not asked.cancel():
            return asked.result()
        self._go_on()
        raise self._busy(f"take up the {format_bytes(self._total)} there are for them")

    def _let_exceed(self) -> None:
        if not self._exceeding.acquire(timeout=min(self._patience_s, _TURN_S)):
            raise self._busy("have rows of very different width, and take more than was planned")

    def _busy(self, how: str) -> ResultsBusy:
        return ResultsBusy(f"The results that are being read {how}; try again later.")

    def _give_back(self, claimed_bytes: int) -> None:
        with self._lock:
            self._free += claimed_bytes
        self._go_on()

    def _go_on(self) -> None:
        """Let those go on whose turn it is; nobody overtakes, so nobody waits for ever."""
        with self._lock:
            while self._waiting:
                wanted, asked = self._waiting[0]
                if not asked.cancelled() and wanted > self._free:
                    return
                self._waiting.popleft()
                if asked.set_running_or_notify_cancel():
                    self._free -= wanted
                    asked.set_result(Claim(self, wanted))
