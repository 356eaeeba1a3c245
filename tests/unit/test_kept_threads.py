"""Threads that stay: they are there for what comes next, and hold nothing of what was."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from kalla_core.kept_threads import kept_threads

PATIENCE_S = 60


class Held:
    """Something that a job had."""


def test_what_comes_next_finds_the_same_threads() -> None:
    first = kept_threads(1, "test-same").submit(threading.get_ident).result(PATIENCE_S)
    then = kept_threads(1, "test-same").submit(threading.get_ident).result(PATIENCE_S)

    assert then == first


@pytest.mark.parametrize("fails", [False, True])
def test_they_hold_nothing_of_what_they_have_done(fails: bool) -> None:
    def work(one: Held) -> Held:
        if fails:
            raise ValueError(one)
        return one

    held = Held()
    seen = weakref.ref(held)
    asked = kept_threads(1, "test-held").submit(work, held)
    if fails:
        assert isinstance(asked.exception(PATIENCE_S), ValueError)
    else:
        assert asked.result(PATIENCE_S) is held

    del asked, held
    # A thread that has told of its work lets go of it before it takes any other.
    kept_threads(1, "test-held").submit(int).result(PATIENCE_S)
    gc.collect()
    assert seen() is None
