import atexit
import gc
import inspect
import os
import signal
from collections.abc import Generator

import pytest

from tests.support.chance import in_profile
from tests.support.tether import tether

tether()

# Tests start hundreds of processes; where the environment forbids to keep what was compiled, each
# would compile all of Kalla anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that starts this in the background (`nohup make test &`) has Ctrl-C and SIGHUP ignored;
# so would be every process that a test starts to interrupt it. A program that is started takes
# the default again where there was a handler, also one that does nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_configure(config: pytest.Config) -> None:
    """Set how often things are tried, before any test says how often it is."""
    in_profile(short=_is_short(config))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look through what was collected for garbage neither now nor later: all of it stays.

    A worker holds some million objects of modules and tests, and a test that wants to know what
    became of its own looks through all that are not frozen.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        atexit.register(gc.unfreeze)  # for modules that count what is left of theirs at the end


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """Make no items of a long suite where none of it will run; most of all tests are of these."""
    if not _is_short(collector.config):
        return None
    marks = getattr(obj, "pytestmark", ()) if inspect.isroutine(obj) else ()
    return [] if any(mark.name == "full" for mark in marks) else None


def _is_short(config: pytest.Config) -> bool:
    return str(config.option.markexpr) == "not full"
