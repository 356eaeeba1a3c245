"""Many runs on executors that freeze, are cut off and return, in imagined time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.active import ActiveRun
from kalla_coordinator.cluster.attempts import FragmentRetry
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.layout import Room, Shape
from kalla_coordinator.cluster.occupancy import run_of
from kalla_coordinator.cluster.run_state import FINAL, Setup, begun
from kalla_coordinator.cluster.works import RunName
from kalla_core.errors import Cancelled
from kalla_core.fragments.remote import ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.sources.protocol import Part
from tests.support.chance import often
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
        policy=FragmentRetry(1000, 1000, deaths=1000),
    )


def begin(site: Site, name: RunName) -> ActiveRun:
    return site.dispatcher.begin(name, begun(setup()), site.launch_of(name), lambda: None)


def finish(site: Site, run: ActiveRun) -> None:
    if run.state.phase not in FINAL:
        site.dispatcher.apply(run, e.Stopped(Cancelled("The run was cancelled.")))
    site.dispatcher.end(run)


async def plays(seed: int, cancelled_after: list[float], deaths: int = 0) -> None:
    random = Random(seed)
    site = Site(Dispatcher(TIMING, b"key"), random)
    executors = [ImaginedExecutor(site, f"executor-{n}") for n in range(2)]
    lives = [asyncio.create_task(one.live()) for one in executors]
    watching = asyncio.create_task(site.dispatcher.watch_over())
    torments = [asyncio.create_task(torment(one, random, 4)) for one in executors]
    torments.append(asyncio.create_task(die_and_be_born(site, lives, random, deaths)))
    known: set[RunName] = set()
    checking = asyncio.create_task(only_known_runs_have_slots(site, known))

    for number, seconds in enumerate(cancelled_after):
        run = begin(site, RunName(f"run-{number}", 1))
        known.add(run.name)
        await asyncio.wait({run.over}, timeout=min(seconds, MOST_OF_A_RUN_S))
        assert seconds < MOST_OF_A_RUN_S or run.over.done(), "it makes no progress"
        finish(site, run)
        known.discard(run.name)
        assert not site.dispatcher.occupied, "nobody runs, and something is occupied"
    await asyncio.gather(*torments)
    last = begin(site, RunName("run-last", 1))
    known.add(last.name)
    async with asyncio.timeout(MOST_OF_A_CALM_RUN_S):
        assert await last.over == e.Written()
    finish(site, last)

    assert not site.dispatcher.occupied
    assert not checking.done(), checking.exception()
    await ended(watching, checking, *lives)


async def only_known_runs_have_slots(site: Site, known: set[RunName]) -> None:
    """Look again and again that nothing is occupied for a run that is over."""
    while True:
        await asyncio.sleep(0.1)
        assert {run_of(attempt) for attempt in site.dispatcher.occupied} <= known


async def die_and_be_born(
    site: Site, lives: list[asyncio.Task[None]], random: Random, times: int
) -> None:
    """Let one executor die for good and another come, so many times; one is there throughout."""
    for number in range(times):
        await asyncio.sleep(random.uniform(0.5, 15.0))
        await ended(lives.pop())
        born = ImaginedExecutor(site, f"executor-born-{number}")
        lives.append(asyncio.create_task(born.live()))


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


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    cancelled_after=st.lists(st.floats(0.0, 12.0), max_size=6),
    deaths=st.integers(1, 4),
)
def test_no_run_that_is_over_has_a_slot_whoever_died_and_was_born_and_the_next_comes_to_its_end(
    seed: int, cancelled_after: list[float], deaths: int
) -> None:
    in_virtual_time(plays(seed, cancelled_after, deaths))


@pytest.mark.full
@settings(max_examples=often(300), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    cancelled_after=st.lists(st.floats(0.0, 12.0), max_size=20),
    deaths=st.integers(0, 15),
)
def test_nor_after_a_long_time_with_everything_going_wrong(
    seed: int, cancelled_after: list[float], deaths: int
) -> None:
    in_virtual_time(plays(seed, cancelled_after, deaths))


def test_a_run_cancelled_while_its_executor_is_frozen_leaves_no_slot_behind() -> None:
    async def played() -> tuple[int, int]:
        site = Site(Dispatcher(TIMING, b"key"), Random(1))
        executor = ImaginedExecutor(site, "executor-0")
        life = asyncio.create_task(executor.live())
        run = begin(site, RunName("run-0", 1))
        await asyncio.sleep(1.0)
        before = len(site.dispatcher.occupied)
        freezing = asyncio.create_task(executor.freeze(3.0))
        await asyncio.sleep(1.0)
        finish(site, run)
        await freezing
        after = len(site.dispatcher.occupied)
        last = begin(site, RunName("run-1", 1))
        async with asyncio.timeout(MOST_OF_A_CALM_RUN_S):
            await last.over
        finish(site, last)
        await ended(life)
        return before, after

    before, after = in_virtual_time(played())

    assert before > 0
    assert after == 0
