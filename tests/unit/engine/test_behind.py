import threading
from collections.abc import Callable

import pytest

from kalla_core.engine.passes.behind import Behind


@pytest.mark.parametrize("beside", [True, False])
def test_what_was_given_is_done_in_order_and_before_the_end(beside: bool) -> None:
    done: list[int] = []

    with Behind(beside=beside) as behind:
        given = [behind.do(lambda n=n: done.append(n) or n * n) for n in range(5)]

    assert done == list(range(5))
    assert [one.result() for one in given] == [0, 1, 4, 9, 16]


def test_a_task_is_done_while_who_gave_it_goes_on() -> None:
    went_on = threading.Event()

    with Behind(beside=True) as behind:
        waits = behind.do(lambda: went_on.wait(timeout=60))
        went_on.set()

    assert waits.result()


def test_what_holds_little_is_given_while_another_is_under_way() -> None:
    all_given = threading.Event()

    with Behind(beside=True) as behind:
        given = [behind.do(lambda: all_given.wait(timeout=60), held_bytes=8) for _ in range(3)]
        all_given.set()

    assert all(one.result() for one in given)


def test_what_holds_much_is_given_once_nothing_else_is_under_way() -> None:
    done: list[int] = []

    with Behind(beside=True) as behind:
        behind.do(lambda: done.append(1), held_bytes=8)
        behind.do(lambda: done.append(2), held_bytes=1 << 40)
        seen = list(done)

    assert seen[:1] == [1]


def test_what_waits_for_a_task_that_fails_is_not_done() -> None:
    done: list[int] = []
    given = threading.Event()

    def fails() -> None:
        given.wait(timeout=60)
        raise ZeroDivisionError

    def two() -> None:
        with Behind(beside=True) as behind:
            behind.do(fails, held_bytes=8)
            behind.do(lambda: done.append(1), held_bytes=8)
            given.set()

    with pytest.raises(ZeroDivisionError):
        two()

    assert not done


def tasks(beside: bool, *some: Callable[[], object]) -> None:
    with Behind(beside=beside) as behind:
        for one in some:
            behind.do(one)


@pytest.mark.parametrize("beside", [True, False])
def test_a_task_that_fails_raises_before_another_is_done(beside: bool) -> None:
    done: list[int] = []

    with pytest.raises(ZeroDivisionError):
        tasks(beside, lambda: 1 // 0, lambda: done.append(1))

    assert not done


def test_the_last_task_that_fails_raises_at_the_end() -> None:
    with pytest.raises(ZeroDivisionError):
        tasks(True, lambda: 1 // 0)


def test_an_error_of_who_gave_tasks_is_the_one_that_is_raised() -> None:
    def interrupted() -> None:
        with Behind(beside=True) as behind:
            behind.do(lambda: 1 // 0)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
