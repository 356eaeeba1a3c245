"""What a command takes from, and sets for, the process it runs in."""

from __future__ import annotations

import os
import sys

from kalla_core import machine, units
from kalla_core.cli.console import write_line
from kalla_core.cli.interrupts import before_ending
from kalla_core.errors import InvalidSetting

EVIDENCE_MODE = "KALLA_EVIDENCE_MODE"
_PREFIX = "KALLA_"


def keep_evidence_private(flag: str | None) -> None:
    """Give what this process and its children write the mode that flag or variable ask for.

    Reads the one setting by itself: a child that is started ahead has to have it too, and loading
    all of them would hold that up.

    Raises:
        InvalidSetting: it is no mode.
    """
    text = flag or os.environ.get(EVIDENCE_MODE) or units.PRIVATE_MODE
    try:
        machine.give_new_files(units.parse_mode(text))
    except ValueError as error:
        origin = "--evidence-mode" if flag else EVIDENCE_MODE
        raise InvalidSetting(f'{origin} cannot be "{text}": {error}.', settings=[origin]) from None


def start_run_ahead(memory_limit: str | None, *, may_fork: bool) -> None:
    """Start the process of a run before this one needs it, unless `start_ahead` has.

    Both load at the same time what they need.

    Raises:
        InvalidSetting: the limit, or what the environment says of it, makes no sense.
    """
    from kalla_core.engine.processes.children import RUN, warm_up
    from kalla_core.engine.processes.forked import fork
    from kalla_core.engine.processes.spawned import end_children, environment_within, spawn
    from kalla_core.settings import load_settings

    limit_bytes = load_settings(memory_limit_bytes=memory_limit).memory_limit_bytes
    before_ending(end_children)
    warm_up(RUN, environment_within(limit_bytes), fork if may_fork else spawn)


def warn_of_unknown_variables() -> None:
    """Say which `KALLA_…` variables no setting reads, with the nearest name; never a value."""
    if not any(name.startswith(_PREFIX) for name in os.environ):
        return  # nearly always, and then no setting needs to be imported
    from kalla_core.settings import KINDS
    from kalla_core.settings.unknown import unknown_variables

    for name, close in unknown_variables(KINDS, os.environ).items():
        hint = "" if close is None else f" Did you mean {close}?"
        write_line(sys.stderr, f"Warning (unknown_variable): no setting reads {name}.{hint}")
