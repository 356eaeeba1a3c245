"""Warns of variables of the environment that somebody meant as settings, and that are none."""

from __future__ import annotations

import os

from kalla_core.observe.logs import get_logger
from kalla_core.settings import KINDS
from kalla_core.settings.unknown import unknown_variables


def warn_of_unknown_variables() -> None:
    """Log each `KALLA_…` variable that no setting reads, with the nearest name; never its value."""
    for name, close in unknown_variables(KINDS, os.environ).items():
        hint = "" if close is None else f" Did you mean {close}?"
        get_logger().warning(
            "unknown_variable",
            variable=name,
            nearest=close,
            message=f"No setting reads {name}.{hint}",
        )
