"""Sends what is owed until it is taken, and progress as it can.

Each receiver (scheme, host and port) has a few senders of its own, so one that hangs or is gone
delays nobody else's. What fails waits, by the retry policy, without holding a sender up. Of one
run nothing is sent side by side, and no progress once its end is owed.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import httpx

from kalla_coordinator.callbacks.delivery import Delivery
from kalla_coordinator.callbacks.retry import CallbackRetry
from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.errors import StoreUnavailable
from kalla_core.ids import RunId
from kalla_core.observe.logs import get_logger
from kalla_core.observe.tracing import HEADER, span
from kalla_core.serving.clock import SteadyClock

_CONNECT_S = 5.0
_WHOLE_S = 10.0
_SENDERS = 4
_PROGRESS_INTERVAL_S = 1.0
_IDLE_S = 30.0
_SHORT_BODY_BYTES = 1 << 16


class Kept(Protocol):
    """Where what is owed is kept."""

    async def settle(self, delivery: Delivery) -> None:
        """Forget a delivery."""
        ...

    async def count_failure(self, delivery: Delivery) -> None:
        """Keep how often it failed."""
        ...


@dataclass
class _Receiver:
    """What is owed to one receiver: (when, number, delivery), the next one first."""

    waiting: list[tuple[float, int, Delivery]] = field(default_factory=list)
    senders: set[asyncio.Task[None]] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class _Told:
    """Progress of one run: what is to be told next, once a second."""

    latest: Callable[[], Delivery] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Outbox:
    """Asyncio, one event loop; an async context, which ends all tries when it is left.

    Args:
        secret: signs the bodies.
        chance: a source of chance, for tests; `clock` likewise.
    """

    def __init__(
        self,
        kept: Kept,
        metrics: CoordinatorMetrics,
        secret: bytes | None = None,
        policy: CallbackRetry = CallbackRetry(),  # noqa: B008 - frozen
        chance: Callable[[], float] = random.random,
        clock: SteadyClock | None = None,
    ) -> None:
        self._kept = kept
        self._metrics = metrics
        self._secret = secret
        self._policy = policy
        self._chance = chance
        self._clock = clock or SteadyClock()
        self._numbers = itertools.count()
        self._receivers: dict[tuple[str, str], _Receiver] = {}
        self._told: dict[RunId, _Told] = {}
        self._log = get_logger()
        self._resources = AsyncExitStack()
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Outbox:
        timeout = httpx.Timeout(_WHOLE_S, connect=_CONNECT_S)
        client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)
        self._client = await self._resources.enter_async_context(client)
        return self

    async def __aexit__(self, *_error: object) -> None:
        tasks = [task for receiver in self._receivers.values() for task in receiver.senders]
        tasks += [told.task for told in self._told.values() if told.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._resources.aclose()

    def owe(self, delivery: Delivery) -> None:
        """Send what is kept already, as soon as its receiver can take it; returns at once."""
        self._metrics.callbacks_owed.inc()
        self._told.setdefault(delivery.run_id, _Told()).over.set()
        self._wait(delivery, 0.0)

    def tell(self, run_id: RunId, progress: Callable[[], Delivery]) -> None:
        """Send progress, at most once a second per run, only the latest; returns at once.

        Args:
            progress: makes it, once it is to be sent: most reports never are.
        """
        told = self._told.setdefault(run_id, _Told())
        if told.over.is_set():
            return
        told.latest = progress
        if told.task is None:
            told.task = asyncio.create_task(self._tell(told), name="callback-progress")

    def forget(self, run_id: RunId) -> None:
        """Tell no more progress of a run that ended, or is handed over, and owes nothing."""
        told = self._told.pop(run_id, None)
        if told is not None:
            told.over.set()

    def _wait(self, delivery: Delivery, wait_s: float) -> None:
        receiver = self._receivers.setdefault(delivery.receiver, _Receiver())
        due = asyncio.get_running_loop().time() + wait_s
        heapq.heappush(receiver.waiting, (due, next(self._numbers), delivery))
        receiver.news.set()
        if len(receiver.senders) < min(_SENDERS, len(receiver.waiting)):
            task = asyncio.create_task(self._send_all(receiver), name="callback-sender")
            receiver.senders.add(task)
            task.add_done_callback(receiver.senders.discard)

    async def _send_all(self, receiver: _Receiver) -> None:
        """Be one sender; ends when there has been nothing to send for a while."""
        loop = asyncio.get_running_loop()
        while True:
            receiver.news.clear()
            wait_s = receiver.waiting[0][0] - loop.time() if receiver.waiting else _IDLE_S
            if receiver.waiting and wait_s <= 0:
                _, _, delivery = heapq.heappop(receiver.waiting)
                await self._send(delivery)
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await receiver.news.wait()
            except TimeoutError:
                if not receiver.waiting:
                    self._let_go(receiver)
                    return

    def _let_go(self, idle: _Receiver) -> None:
        """End this sender of a receiver, at once: what is owed from now on starts another one."""
        ending = asyncio.current_task()
        if ending is not None:
            idle.senders.discard(ending)
        if not idle.senders:  # nobody sends there any more, so there is nothing to know of it
            kept = {who: one for who, one in self._receivers.items() if one is not idle}
            self._receivers = kept

    async def _send(self, delivery: Delivery) -> None:
        told = self._told.get(delivery.run_id)
        if told is not None and told.task is not None:
            await asyncio.wait([told.task])  # bounded by the timeout of its request
        problem = await self._post(delivery)
        if problem is None:
            await self._settle(delivery)
            return
        failed = replace(delivery, failures=delivery.failures + 1)
        log = self._log.bind(run_id=delivery.run_id, url=delivery.url, cause=problem)
        if self._policy.gives_up(self._clock.now() - delivery.owed_since):
            log.error("callback_given_up", failures=failed.failures)
            self._metrics.callbacks.labels("given_up").inc()
            await self._settle(delivery)
            return
        wait = self._policy.wait(failed.failures, self._chance())
        log.warning("callback_failed", failures=failed.failures, wait_s=wait.total_seconds())
        with suppress(StoreUnavailable):  # it is tried again all the same
            await self._kept.count_failure(failed)
        self._wait(failed, wait.total_seconds())

    async def _settle(self, delivery: Delivery) -> None:
        self._told.pop(delivery.run_id, None)
        self._metrics.callbacks_owed.dec()
        try:
            await self._kept.settle(delivery)
        except StoreUnavailable:  # it will be sent again after a restart, recognisable
            self._log.warning("callback_not_settled", run_id=delivery.run_id)

    async def _tell(self, told: _Told) -> None:
        while told.latest is not None and not told.over.is_set():
            progress, told.latest = told.latest, None
            await self._post(progress())
            with suppress(TimeoutError):
                await asyncio.wait_for(told.over.wait(), _PROGRESS_INTERVAL_S)
        told.task = None

    async def _post(self, delivery: Delivery) -> str | None:
        """Send a body once; None if it was taken, else why not."""
        if self._client is None:
            raise RuntimeError("the outbox is not open")
        try:
            async with asyncio.timeout(_WHOLE_S):
                answer = await self._sent(self._client, delivery)
        except Exception as error:  # whatever it is, the delivery is owed still, and tried again
            self._metrics.callbacks.labels("unreachable").inc()
            return type(error).__name__
        finally:
            self._client.cookies.clear()  # a receiver leaves nothing here
        if answer.is_success:
            self._metrics.callbacks.labels("taken").inc()
            return None
        self._metrics.callbacks.labels("refused").inc()
        return f"HTTP {answer.status_code}"

    async def _sent(self, client: httpx.AsyncClient, delivery: Delivery) -> httpx.Response:
        with span("kalla.callback", delivery.trace, run_id=delivery.run_id) as sending:
            headers = delivery.headers(self._secret)
            if sending.trace:
                headers[HEADER] = sending.trace
            content = delivery.body.encode()
            async with client.stream(
                "POST", delivery.url, content=content, headers=headers
            ) as answer:
                await _read_briefly(answer)
            sending.attributes["status"] = answer.status_code
        return answer


async def _read_briefly(answer: httpx.Response) -> None:
    """Take in a short body, so that the connection can be used again; of a long one, nothing."""
    size = answer.headers.get("content-length", "")
    empty = answer.status_code == httpx.codes.NO_CONTENT  # which says nothing of a length
    if empty or (size.isdecimal() and int(size) <= _SHORT_BODY_BYTES):
        async for _ in answer.aiter_raw():  # not unpacked, which may make it long
            pass
