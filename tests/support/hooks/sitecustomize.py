"""Imported by every Python process whose PYTHONPATH leads here: lets tests act at exact places.

`STOPS` names a folder in which each file is a place armed by `tests.support.stops`: its name is
`module:function`, which may be a method, and its content is what to do there and from which call
on. Whoever comes there takes it, unless it is for everybody, and says so in a file beside it.

`CLOCK_AHEAD_S` puts the wall clock of the process forward, or back.
"""

import contextlib
import functools
import importlib.abc
import os
import signal
import sys
import time
from pathlib import Path

_FOLDER = os.environ.get("STOPS")
_PLACES = os.environ.get("STOPS_AT", "").split()
_LONGEST_S = 150.0
_STEP_BYTES = 64 << 20


def _reached(place):
    """Do as the file of this place says, if there is one."""
    armed = Path(_FOLDER, place)
    try:
        what, left = armed.read_text().split()
    except (OSError, ValueError):
        return
    if what in ("poison", "gorge"):  # for everybody
        told = Path(_FOLDER, f"{place}.{what}.{os.getpid()}")
        told.touch()
        _poison() if what == "poison" else _gorge()
        return
    mine = Path(_FOLDER, f"{place}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        armed.rename(mine)  # one of those that come at once
    except OSError:
        return
    if int(left) > 1:
        armed.with_suffix(".next").write_text(f"{what} {int(left) - 1}")
        armed.with_suffix(".next").rename(armed)
        mine.unlink()
        return
    here = Path(_FOLDER, f"{place}.here")
    mine.write_text(str(os.getpid()))
    mine.rename(here)
    end = time.monotonic() + _LONGEST_S
    while here.exists() and time.monotonic() < end:
        time.sleep(0.005)


def _poison():
    """Kill the executor whose slot this is: the parent of what it was forked from."""
    os.kill(_parent(_parent(os.getpid())), signal.SIGKILL)
    signal.pause()


def _gorge():
    """Take memory until somebody ends this."""
    held = []
    while True:
        held.append(bytearray(_STEP_BYTES))
        held[-1][::4096] = bytes(b"x" * len(held[-1][::4096]))
        time.sleep(0.01)


def _parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _wrap(module, place):
    path = place.partition(":")[2].split(".")
    owner = functools.reduce(getattr, path[:-1], module)
    inner = vars(owner)[path[-1]]

    @functools.wraps(inner)
    def wrapper(*args, **kwargs):
        _reached(place)
        return inner(*args, **kwargs)

    setattr(owner, path[-1], wrapper)


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps the functions of a module as soon as it is loaded."""

    def find_spec(self, name, path, target=None):
        places = [place for place in _PLACES if place.partition(":")[0] == name]
        if not places:
            return None
        others = (one.find_spec(name, path, target) for one in sys.meta_path if one is not self)
        spec = next(found for found in others if found is not None)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            for place in places:
                _wrap(module, place)

        spec.loader.exec_module = exec_module
        return spec


def _set_clock(seconds):
    """Let everybody in this process see another time than the machine's."""
    import datetime

    with contextlib.suppress(ImportError):
        import pandas  # noqa: F401 - Arrow imports it where it is, and it knows no other datetime

    class Elsewhere(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + datetime.timedelta(seconds=seconds)

    datetime.datetime = Elsewhere
    now = time.time
    time.time = lambda: now() + seconds


if _FOLDER and _PLACES:
    sys.meta_path.insert(0, _Finder())
if "CLOCK_AHEAD_S" in os.environ:
    _set_clock(float(os.environ["CLOCK_AHEAD_S"]))
