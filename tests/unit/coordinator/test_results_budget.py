"""Memory for results: claimed in turn, waited for with a bound, given back once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from kalla_coordinator.api.budget import Budget, results_bytes
from kalla_core.errors import ResultsBusy
from kalla_core.serving.streams import StreamedResponse, in_threads
from kalla_core.wire.status import http_status, retry_after_s, statuses

MIB = 1 << 20


@pytest.mark.parametrize(
    ("limit", "share"),
    [(512 * MIB, 64 * MIB), (3072 * MIB, 192 * MIB), (1 << 40, 1024 * MIB)],
)
def test_the_budget_grows_with_the_memory_limit_within_bounds(limit: int, share: int) -> None:
    assert results_bytes(limit) == share


def test_what_does_not_fit_is_refused_after_a_while_and_taken_once_there_is_room() -> None:
    budget = Budget(10, patience_s=0.05)
    first, second = budget.ask(6), budget.ask(4)

    with pytest.raises(ResultsBusy, match="try again later") as told:
        budget.ask(1)
    first.release()
    first.release()

    assert (http_status(told.value), statuses(told.value).grpc.name) == (503, "RESOURCE_EXHAUSTED")
    assert retry_after_s(told.value) is not None
    assert budget.ask(6).bytes == 6
    with pytest.raises(ResultsBusy):
        budget.ask(1)
    second.release()
    assert budget.ask(4).bytes == 4


def test_more_than_there_is_waits_for_all_of_it() -> None:
    budget = Budget(10, patience_s=0.05)

    assert budget.ask(99).bytes == 10


async def test_threads_and_the_loop_have_their_turns_in_order() -> None:
    budget, order = Budget(10), list[str]()
    held = budget.ask(10)

    async def on_the_loop(name: str) -> None:
        claim = await budget.wait_for_turn(10)
        order.append(name)
        claim.release()

    def in_a_thread() -> None:
        claim = budget.ask(10)
        order.append("thread")
        claim.release()

    first = asyncio.create_task(on_the_loop("first"))
    gone = asyncio.create_task(on_the_loop("gone"))
    while len(budget._waiting) < 2:
        await asyncio.sleep(0)
    second = asyncio.create_task(asyncio.to_thread(in_a_thread))
    while len(budget._waiting) < 3:
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    held.release()
    await asyncio.gather(first, second)

    assert order == ["first", "thread"]
    assert budget.ask(10).bytes == 10


async def test_an_answer_whose_client_has_gone_before_gives_back_what_it_claimed() -> None:
    budget = Budget(10, patience_s=0.05)
    claim = budget.ask(10)
    with ThreadPoolExecutor(1) as pool:
        stream = await in_threads(pool, iter([b"x"]), claim.release)

        async def gone() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(_: object) -> None:
            await asyncio.get_running_loop().create_future()

        await StreamedResponse(stream, "text/plain")({}, gone, send)  # type: ignore[arg-type]

    assert budget.ask(10).bytes == 10


def test_what_a_stream_takes_beyond_its_claim_makes_others_wait_until_it_takes_less() -> None:
    budget = Budget(10, patience_s=0.05)
    stream = budget.ask(4)

    stream.count(9)
    with pytest.raises(ResultsBusy):
        budget.ask(2)
    stream.count(1)
    other = budget.ask(6)
    stream.count(30)
    stream.release()
    other.release()
    stream.count(30)

    assert budget.ask(10).bytes == 10


def test_only_one_stream_at_a_time_may_take_more_than_it_claimed() -> None:
    budget = Budget(100, patience_s=0.05)
    one, other = budget.ask(4), budget.ask(4)

    one.may_take(30)
    one.count(30)
    other.may_take(4)
    with pytest.raises(ResultsBusy, match="very different width"):
        other.may_take(5)
    one.may_take(30)
    one.count(4)
    other.may_take(5)
    other.release()
    one.may_take(5)

    assert budget.ask(96).bytes == 96
