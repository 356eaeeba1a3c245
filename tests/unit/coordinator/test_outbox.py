"""What is owed arrives, once its receiver takes it; what a receiver does delays nobody else."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from kalla_coordinator.callbacks.delivery import Delivery, address
from kalla_coordinator.callbacks.outbox import Outbox
from kalla_coordinator.callbacks.retry import CallbackRetry
from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.ids import RunId
from tests.support.receiver import Receiver, receiving

SOON = CallbackRetry(first=timedelta(milliseconds=10), longest=timedelta(milliseconds=20))
PATIENCE_S = 60


@dataclass
class Kept:
    """Remembers what is settled and how often something failed."""

    settled: list[Delivery] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def settle(self, delivery: Delivery) -> None:
        self.settled.append(delivery)
        self.news.set()

    async def count_failure(self, delivery: Delivery) -> None:
        self.failures.append(delivery.failures)

    async def until_settled(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.settled) < count:
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def outbox(kept: Kept, policy: CallbackRetry = SOON, **more: bytes) -> AsyncIterator[Outbox]:
    async with Outbox(kept, CoordinatorMetrics(), policy=policy, **more) as made:
        yield made


def delivery(
    receiver: Receiver, run: str = "run", sequence: int = 1, kind: str = "complete"
) -> Delivery:
    return Delivery(
        RunId(run), sequence, address(receiver.url, kind), '{"run_id": "é"}', datetime.now(UTC)
    )


def progress(box: Outbox, receiver: Receiver, sequence: int) -> None:
    one = delivery(receiver, sequence=sequence, kind="progress")
    box.tell(one.run_id, lambda: one)


async def test_a_delivery_is_recognisable_and_signed() -> None:
    kept = Kept()
    async with receiving() as receiver, outbox(kept, secret=b"key") as box:
        box.owe(delivery(receiver))
        await kept.until_settled(1)

    (got,) = receiver.got
    assert (got.path, got.headers["x-kalla-delivery"]) == ("/hook/complete", "run/1")
    wanted = hmac.new(b"key", got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-kalla-signature"] == f"sha256={wanted}"


@pytest.mark.parametrize("status", [500, 302, 404])
async def test_only_2xx_counts_and_every_retry_has_the_same_name(status: int) -> None:
    kept = Kept()
    async with receiving(answers=[status, status, 204]) as receiver, outbox(kept) as box:
        box.owe(delivery(receiver))
        await kept.until_settled(1)

    assert [got.headers["x-kalla-delivery"] for got in receiver.got] == ["run/1"] * 3
    assert kept.failures == [1, 2]


@pytest.mark.parametrize("status", [200, 204])
async def test_one_connection_serves_one_delivery_after_the_other(status: int) -> None:
    kept = Kept()
    async with receiving(answers=[status] * 3) as receiver, outbox(kept) as box:
        for number in range(3):
            box.owe(delivery(receiver, f"run-{number}"))
            await kept.until_settled(number + 1)

        assert (len(receiver.got), receiver.connections) == (3, 1)


async def test_a_receiver_that_hangs_delays_nobody_else() -> None:
    kept = Kept()
    async with receiving(hangs=True) as hanging, receiving() as other, outbox(kept) as box:
        for number in range(20):
            box.owe(delivery(hanging, f"slow-{number}"))
        box.owe(delivery(other, "quick"))
        await kept.until_settled(1)

        assert [one.run_id for one in kept.settled] == ["quick"]
        assert hanging.open <= 4


async def test_a_receiver_that_is_gone_gets_its_callback_when_it_is_back() -> None:
    kept = Kept()
    async with receiving() as receiver:
        pass
    async with outbox(kept) as box:
        box.owe(delivery(receiver))
        async with asyncio.timeout(PATIENCE_S):
            while not kept.failures:
                await asyncio.sleep(0.01)
        async with receiving(port=receiver.port) as back:
            await kept.until_settled(1)

    assert len(back.got) == 1


async def test_a_delivery_that_is_owed_for_too_long_is_given_up() -> None:
    kept = Kept()
    policy = CallbackRetry(give_up_after=timedelta(0))
    async with receiving(answers=[500]) as receiver, outbox(kept, policy) as box:
        box.owe(delivery(receiver))
        await kept.until_settled(1)

    assert len(receiver.got) == 1


async def test_progress_is_the_latest_once_a_second_and_none_comes_after_the_end() -> None:
    kept = Kept()
    async with receiving() as receiver, outbox(kept) as box:
        for number in range(1, 50):
            progress(box, receiver, number)
            await asyncio.sleep(0)
        box.owe(delivery(receiver, sequence=50))
        progress(box, receiver, 51)
        await kept.until_settled(1)

    names = [(got.path.rpartition("/")[2], got.headers["x-kalla-delivery"]) for got in receiver.got]
    assert names[-1] == ("complete", "run/50")
    assert len(names) <= 2


async def test_progress_that_nobody_takes_is_not_tried_again() -> None:
    kept = Kept()
    async with receiving(answers=[500, 200]) as receiver, outbox(kept) as box:
        progress(box, receiver, 1)
        async with asyncio.timeout(PATIENCE_S):
            while not receiver.got:
                await asyncio.sleep(0.01)
        box.owe(delivery(receiver, sequence=2))
        await kept.until_settled(1)

    assert [got.headers["x-kalla-delivery"] for got in receiver.got] == ["run/1", "run/2"]


async def test_what_no_client_could_send_is_tried_again_as_everything_else() -> None:
    kept = Kept()
    policy = CallbackRetry(give_up_after=timedelta(hours=1), first=timedelta(milliseconds=1))
    odd = Delivery(RunId("odd"), 1, "http://host/\ud800", "{}", datetime.now(UTC))
    async with receiving() as receiver, outbox(kept, policy) as box:
        box.owe(odd)
        box.owe(delivery(receiver))
        await kept.until_settled(1)
        async with asyncio.timeout(PATIENCE_S):
            while len(kept.failures) < 2:
                await asyncio.sleep(0.01)

    assert kept.failures[:2] == [1, 2]


def test_the_query_of_a_callback_address_is_kept() -> None:
    assert address("http://app/api/?token=a", "error") == "http://app/api/error?token=a"
