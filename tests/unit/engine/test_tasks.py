"""Several tasks at a time: all results in order, or the first cause, soon, and no thread left."""

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from kalla_core.engine.tasks import Stop, run_all, run_each
from kalla_core.errors import Cancelled, OutOfDisk

PATIENCE_S = 30


def works_until(stop: Stop) -> None:
    """Work as a fragment does, which looks up between its batches."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        stop.check()


def fails_after(started: threading.Event) -> None:
    started.wait(PATIENCE_S)
    raise OutOfDisk("full")


def test_results_come_in_the_order_of_the_tasks() -> None:
    first_may_end = threading.Event()

    def first() -> str:
        first_may_end.wait(PATIENCE_S)
        return "first"

    def second() -> str:
        first_may_end.set()
        return "second"

    assert run_all([first, second], 2, Stop()) == ["first", "second"]


def test_each_result_comes_while_further_tasks_still_run() -> None:
    may_end = threading.Event()

    def second() -> str:
        may_end.wait(PATIENCE_S)
        return "second"

    results = run_each([lambda: "first", second], 2, Stop())

    assert next(results) == "first"
    assert not may_end.is_set()
    may_end.set()
    assert list(results) == ["second"]


def test_who_looks_at_no_more_results_lets_the_tasks_stop() -> None:
    stop = Stop()
    results = run_each([lambda: None, partial(works_until, stop)], 2, stop)

    next(results)
    began = time.monotonic()
    results.close()

    assert time.monotonic() - began < PATIENCE_S / 2
    with pytest.raises(Cancelled):
        stop.check()


def test_no_tasks_have_no_results() -> None:
    assert run_all([], 2, Stop()) == []


def test_no_more_threads_run_than_there_may() -> None:
    running, most = [], []

    def task() -> None:
        running.append(1)
        most.append(len(running))
        running.pop()

    run_all([task] * 50, 3, Stop())

    assert max(most) <= 3


def test_a_failure_stops_the_others_and_is_the_error_that_is_raised() -> None:
    stop, started = Stop(), threading.Event()

    def works() -> None:
        started.set()
        works_until(stop)

    began = time.monotonic()
    with pytest.raises(OutOfDisk, match="full"):
        run_all([works, partial(fails_after, started)], 2, stop)

    assert time.monotonic() - began < PATIENCE_S / 2


def test_what_has_not_begun_when_one_fails_never_does() -> None:
    begun: list[int] = []
    tasks: list[Callable[[], None]] = [partial(fails_after, _set())]

    with pytest.raises(OutOfDisk):
        run_all([*tasks, *(partial(begun.append, n) for n in range(1000))], 1, Stop())

    assert begun == []


def test_what_does_not_look_up_is_not_waited_for() -> None:
    may_end, started = threading.Event(), threading.Event()

    def stubborn() -> None:
        started.set()
        may_end.wait(PATIENCE_S)

    began = time.monotonic()
    with pytest.raises(OutOfDisk):
        run_all([stubborn, partial(fails_after, started)], 2, Stop())
    took = time.monotonic() - began
    may_end.set()

    assert 1 < took < PATIENCE_S / 2


def test_the_cause_is_raised_and_not_what_follows_from_it() -> None:
    stop, started = Stop(), threading.Event()

    def works() -> None:
        started.set()
        works_until(stop)

    with pytest.raises(OutOfDisk):
        run_all([works, works, works, partial(fails_after, started)], 4, stop)


def test_a_run_that_was_stopped_begins_nothing_more() -> None:
    stop, begun = Stop(), []
    stop.set()

    with pytest.raises(Cancelled):
        run_all([lambda: begun.append(1)], 1, stop)

    assert begun == []


def test_a_panic_is_raised_like_any_error() -> None:
    class Panic(BaseException):
        pass

    def panics() -> None:
        raise Panic

    with pytest.raises(Panic):
        run_all([panics], 2, Stop())


def test_no_thread_is_left() -> None:
    before = set(threading.enumerate())
    stop, started = Stop(), threading.Event()

    def works() -> None:
        started.set()
        works_until(stop)

    run_all([lambda: None] * 5, 2, Stop())
    with pytest.raises(OutOfDisk):
        run_all([works, partial(fails_after, started)], 2, stop)

    assert set(threading.enumerate()) == before


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_a_task_that_is_alone_is_run_by_who_asks() -> None:
    asking = threading.current_thread()

    alone = run_all([threading.current_thread], 4, Stop())
    one_by_one = run_all([threading.current_thread] * 2, 1, Stop())

    assert alone == [asking]
    assert one_by_one == [asking, asking]
