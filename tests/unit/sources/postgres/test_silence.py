"""Waits for a server: what ends them, and what becomes of calls that are left to themselves."""

from __future__ import annotations

import threading
import time

import pytest

from kalla_core.errors import SourceUnavailable
from kalla_core.sources.postgres.silence import PARTING_S, Patience, Waiter

WITHIN_S = 10


def patience(silent: str | None, longest_s: float = 0.05) -> Patience:
    return Patience("`db`", 0.02, longest_s, lambda: silent)


def test_a_wait_brings_what_the_call_returns_or_raises() -> None:
    waiter = Waiter(patience("nobody is there"))

    found = waiter.wait(lambda: 7, "a number")
    with pytest.raises(ZeroDivisionError):
        waiter.wait(lambda: 1 // 0, "a number")
    waiter.end()

    assert found == 7


def test_a_wait_goes_on_while_the_server_is_there() -> None:
    came, asked = threading.Event(), []

    def silent() -> str | None:
        asked.append(1)
        if len(asked) == 3:
            came.set()
        return None

    waiter = Waiter(Patience("`db`", 0.02, WITHIN_S, silent))
    found = waiter.wait(lambda: came.wait(WITHIN_S), "an answer")
    waiter.end()

    assert found is True
    assert len(asked) >= 3


@pytest.mark.parametrize(
    ("silent", "why"),
    [("nobody is there", "nobody is there"), (None, "gives no query of its own so much time")],
)
def test_a_wait_ends_where_the_server_is_gone_and_after_the_longest_time_in_any_case(
    silent: str | None, why: str
) -> None:
    never = threading.Event()
    waiter = Waiter(patience(silent))

    with pytest.raises(SourceUnavailable, match=f"`db` fell silent.*waiting for rows; .*{why}"):
        waiter.wait(never.wait, "rows")
    never.set()
    waiter.end()


def test_what_is_closed_after_a_call_in_vain_is_not_waited_for_and_follows_the_call() -> None:
    comes_back, closed = threading.Event(), threading.Event()
    waiter = Waiter(patience("nobody is there"))
    with pytest.raises(SourceUnavailable):
        waiter.wait(comes_back.wait, "rows")

    began = time.monotonic()
    waiter.part(closed.set)
    waiter.end()
    took = time.monotonic() - began
    closed_too_soon = closed.is_set()
    comes_back.set()

    assert took < PARTING_S
    assert not closed_too_soon
    assert closed.wait(WITHIN_S)
