"""Processes that belong to another: started again a few times, and ended with it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from kalla_coordinator.fleet import Fleet, Restarts

PATIENT = ("cat",)  # it ends when its standard input does
FAILING = (sys.executable, "-S", "-c", "raise SystemExit(3)")
AT_ONCE = Restarts(most=2, pause_s=0.0)
PATIENCE_S = 60.0


async def becomes(condition: Callable[[], bool]) -> bool:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)
    return True


@pytest.mark.parametrize(
    ("failures", "expected"),
    [((9.0,), 1.0), ((8.0, 9.0), 2.0), ((7.0, 8.0, 9.0), None), ((-95.0, 8.0, 9.0), 2.0)],
)
def test_a_pause_doubles_with_each_failure_until_there_were_too_many(
    failures: tuple[float, ...], expected: float | None
) -> None:
    restarts = Restarts(most=2, within_s=100.0, pause_s=1.0)

    assert restarts.pause(failures, now=10.0) == expected


async def test_one_that_is_killed_is_started_again_in_its_place() -> None:
    fleet = Fleet(PATIENT, 2, AT_ONCE)
    await fleet.start()
    fleet.watch_over()
    first, other = (process.pid for process in fleet.processes)

    os.kill(first, signal.SIGKILL)
    came_back = await becomes(lambda: fleet.processes[0].pid != first)

    assert came_back
    assert fleet.processes[1].pid == other
    await fleet.close()
    assert all(process.returncode is not None for process in fleet.processes)


async def test_one_that_fails_again_and_again_is_given_up() -> None:
    fleet = Fleet(FAILING, 1, AT_ONCE)
    await fleet.start()

    with capture_logs() as said:
        fleet.watch_over()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*fleet._keepers)

    events = [one["event"] for one in said]
    assert events.count("process_restarts") == 2
    assert events.count("process_given_up") == 1
    await fleet.close()


async def test_one_that_is_told_to_end_is_not_started_again() -> None:
    fleet = Fleet(PATIENT, 1, AT_ONCE)
    await fleet.start()
    fleet.watch_over()
    (process,) = fleet.processes
    assert process.stdin is not None

    process.stdin.close()  # what happens to all of them when the one that holds it is killed
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*fleet._keepers)

    assert fleet.processes == (process,)
    assert process.returncode == 0
    await fleet.close()
