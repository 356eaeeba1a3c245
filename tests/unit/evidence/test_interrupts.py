"""A request to end that has to wait for a step."""

from __future__ import annotations

import signal

import pytest

from kalla_core.evidence.interrupts import uninterrupted


def test_an_interrupt_that_waited_for_a_step_tells_what_the_step_has_done() -> None:
    with pytest.raises(KeyboardInterrupt) as stop, uninterrupted("it is there."):
        signal.raise_signal(signal.SIGINT)

    assert stop.value.__notes__ == ["it is there."]


def fail_when_interrupted() -> None:
    with uninterrupted("it is there."):
        signal.raise_signal(signal.SIGINT)
        raise OSError


def test_an_interrupt_that_waited_for_a_step_which_failed_tells_nothing() -> None:
    with pytest.raises(KeyboardInterrupt) as stop:
        fail_when_interrupted()

    assert not hasattr(stop.value, "__notes__")
