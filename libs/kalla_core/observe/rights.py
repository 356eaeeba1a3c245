"""A word to whoever lets a service run with more rights than it needs."""

from __future__ import annotations

import os

from kalla_core.observe.logs import get_logger


def warn_of_root() -> None:
    """Say so if this process may do everything on its machine, as may whoever gets hold of it."""
    if os.geteuid() == 0:
        get_logger().warning(
            "runs_as_root",
            message="This service may read and write every file of the machine: give it a user of "
            "its own.",
        )
