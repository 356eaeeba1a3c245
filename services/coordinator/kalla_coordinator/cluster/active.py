"""A run attempt that the dispatcher works on, and what of it must wait for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import FragmentKey, Try
from kalla_coordinator.cluster.placement import Wish
from kalla_coordinator.cluster.progress import Reports
from kalla_coordinator.cluster.run_state import RunState, may_run_on, ready
from kalla_coordinator.cluster.works import RunName
from kalla_core.fragments.remote import Launch

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0

LaunchOf = Callable[[RunState, Try, Mapping[str, tuple[str, int]]], Launch]


@dataclass(eq=False)
class ActiveRun:
    """A run attempt; times are those of the loop's clock, in seconds.

    Attributes:
        launch_of: what is sent for an attempt.
        changed: called after every change, on the loop.
        over: done with the action that ends the run attempt.
        executors: that took a fragment, in the order in which they first did.
        paused: until when fragments that failed for a moment are not tried again.
    """

    name: RunName
    state: RunState
    launch_of: LaunchOf
    changed: Callable[[], None]
    over: asyncio.Future[e.Action]
    reports: Reports = field(default_factory=Reports)
    executors: list[str] = field(default_factory=list)
    paused: dict[FragmentKey, float] = field(default_factory=dict)

    def pause(self, key: FragmentKey, now: float) -> float:
        """Let some time pass before a fragment is tried again; return how much."""
        failures = self.state.fragments[key].failures if key in self.state.fragments else 0
        pause = min(_FIRST_PAUSE_S * 2.0**failures, _LONGEST_PAUSE_S)
        self.paused[key] = now + pause
        return pause

    def wish(self, job: str, now: float) -> Wish:
        """Return what it could do now; `job` is what grants are to call it."""
        self.paused = {key: until for key, until in self.paused.items() if until > now}
        able = ready(self.state, but=self.paused)
        return Wish(job, self.state.busy, able, may_run_on(self.state))
