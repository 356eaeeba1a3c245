"""Asking a process of its own to look at a recipe or a source; blocks until it has answered."""

from __future__ import annotations

import sys
from typing import Any

from kalla_core.engine.processes.children import Child, Limits
from kalla_core.error_json import error
from kalla_core.errors import Crashed, DeadlineExceeded, OutOfMemory
from kalla_core.inspection.request import Inspection, to_json

INSPECT = (sys.executable, "-m", "kalla_core.inspection.child")
"""The command of a process that carries out one inspection."""


def ask(child: Child, inspection: Inspection, limits: Limits) -> dict[str, Any]:
    """Let a process made by `running(INSPECT, limits)` answer; return what it found, as JSON.

    Raises:
        KallaError: as `child.answer`; `OutOfMemory` and `DeadlineExceeded` when it was stopped.
    """
    try:
        for said in child.ask(to_json(inspection)):
            if said["event"] == "done":
                return dict(said["answer"])
            raise error(said)
    except OutOfMemory as stopped:
        raise OutOfMemory(
            f"This takes more than the {limits.memory_bytes >> 20} MiB that looking at a recipe or "
            "a source may take, and was stopped. Large constants in the match SQL do that."
        ) from stopped
    except DeadlineExceeded as stopped:
        seconds = 0 if limits.timeout is None else limits.timeout.total_seconds()
        raise DeadlineExceeded(
            f"This took longer than the {seconds:g} seconds that looking at a recipe or a source "
            "may take, and was stopped. A source that does not answer does that."
        ) from stopped
    raise Crashed("The process that was to look ended without an answer.")
