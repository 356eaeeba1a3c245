"""Many runs on executors that freeze, are cut off and return, in imagined time."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.active import ActiveRun
from kalla_coordinator.cluster.attempts import RetryPolicy
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.layout import Room, Shape
from kalla_coordinator.cluster.run_state import FINAL, Setup, begun
from kalla_coordinator.cluster.works import RunName
from kalla_core.errors import Cancelled
from kalla_core.fragments.remote import ScanWork
from kalla_core.matching.query import Side
from kalla_core.matching.strategy import Strategy
from kalla_core.sources.protocol import Part
from tests.support.cluster_time import SILENCE_S, TIMING, ImaginedExecutor, Site, ended, torment
from tests.support.virtual_time import in_virtual_time

MOST_OF_A_RUN_S = 300.0
"""What a run may take at most while executors are away for a while, again and again."""

MOST_OF_A_CALM_RUN_S = 90.0
"""What a run may take once everybody is there: an executor that is silent is lost before."""


def setup() -> Setup:
    scans = tuple(ScanWork(side, Part(n, {}, 100)) for side in Side for n in range(2))
    return Setup(
        extras=(),
        scans=scans,
        shape=Shape(Strategy.COPARTITION, frozenset({Side.RIGHT}), spread=True),
        room=Room(4, 1 << 30),
        buckets=3,
        policy=RetryPolicy(1000, 1000, deaths=1000),
    )


def begin(site: Site, name: RunName) -> ActiveRun:
    return site.dispatcher.begin(name, begun(setup()), site.launch_of(name), lambda: None)


def finish(site: Site, run: ActiveRun) -> None:
    if run.state.phase not in FINAL:
        site.dispatcher.apply(run, e.Stopped(Cancelled("The run was cancelled.")))
    site.dispatcher.end(run)


async def plays(seed: int, cancelled_after: list[float]) -> None:
    random = Random(seed)
    site = Site(Dispatcher(TIMING, b"key"), random)
    executors = [ImaginedExecutor(site, f"executor-{n}") for n in range(2)]
    lives = [asyncio.create_task(one.live()) for one in executors]
    watching = asyncio.create_task(site.dispatcher.watch_over())
    torments = [asyncio.create_task(torment(one, random, 4)) for one in executors]

    for number, seconds in enumerate(cancelled_after):
        run = begin(site, RunName(f"run-{number}", 1))
        await asyncio.wait({run.over}, timeout=min(seconds, MOST_OF_A_RUN_S))
        assert seconds < MOST_OF_A_RUN_S or run.over.done(), "it makes no progress"
        finish(site, run)
        assert not site.dispatcher.occupied, "nobody runs, and something is occupied"
    await asyncio.gather(*torments)
    last = begin(site, RunName("run-last", 1))
    async with asyncio.timeout(MOST_OF_A_CALM_RUN_S):
        assert await last.over == e.Written()
    finish(site, last)

    assert not site.dispatcher.occupied
    await ended(watching, *lives)


MOST_OF_A_SEVERED_RUN_S = 3 * SILENCE_S + MOST_OF_A_CALM_RUN_S
"""What a run may take at most while executors cannot reach each other for good."""


async def severed(seed: int, pairs: list[tuple[int, int]]) -> list[float]:
    """Play two runs, one after the other, with these pairs cut for good; what each took."""
    random = Random(seed)
    site = Site(Dispatcher(TIMING, b"key"), random)
    executors = [ImaginedExecutor(site, f"executor-{n}") for n in range(4)]
    site.apart |= {frozenset({f"executor-{a}", f"executor-{b}"}) for a, b in pairs}
    lives = [asyncio.create_task(one.live()) for one in executors]
    watching = asyncio.create_task(site.dispatcher.watch_over())
    await asyncio.sleep(1.0)

    took = []
    for number in range(2):
        began = asyncio.get_running_loop().time()
        run = begin(site, RunName(f"run-{number}", 1))
        async with asyncio.timeout(MOST_OF_A_SEVERED_RUN_S):
            assert await run.over == e.Written()
        finish(site, run)
        took.append(asyncio.get_running_loop().time() - began)
    assert not site.dispatcher.occupied
    await ended(watching, *lives)
    return took


PAIRS = st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(lambda pair: pair[0] < pair[1])


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), pairs=st.lists(PAIRS, unique=True))
def test_a_run_ends_in_time_whoever_cannot_reach_whom(
    seed: int, pairs: list[tuple[int, int]]
) -> None:
    in_virtual_time(severed(seed, pairs))


def test_with_all_of_them_cut_from_each_other_a_run_is_done_by_one_and_the_next_knows_it() -> None:
    every = [(a, b) for a in range(4) for b in range(a + 1, 4)]

    first, second = in_virtual_time(severed(1, every))

    assert first >= SILENCE_S
    assert second < SILENCE_S


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    cancelled_after=st.lists(st.one_of(st.floats(0.0, 12.0), st.just(MOST_OF_A_RUN_S)), max_size=5),
)
def test_a_job_that_can_run_ends_in_time_whoever_froze_or_was_cut_off_before(
    seed: int, cancelled_after: list[float]
) -> None:
    in_virtual_time(plays(seed, cancelled_after))
