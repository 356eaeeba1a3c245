"""The process of a run, started before anything else is known of the command.

It loads for longer than this process needs to read the command line, the settings and the recipe.
So the command line is only glanced at here; whoever reads it in earnest says what is wrong with it,
starts a process where none was started here, and leaves one alone that is of no use.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

_COMMANDS = ("run", "diff")
_ELSEWHERE = ("--coordinator", "--help", "-h")


def start_ahead(arguments: Sequence[str]) -> None:
    """Start the process of a run if the command is one on this machine."""
    if not arguments or arguments[0] not in _COMMANDS or _names(arguments, *_ELSEWHERE):
        return
    from kalla_core import machine, units
    from kalla_core.cli.interrupts import before_ending
    from kalla_core.engine.processes.children import RUN, warm_up
    from kalla_core.engine.processes.forked import fork
    from kalla_core.engine.processes.spawned import end_children, environment_within

    limit = _said(arguments, "--memory-limit", "KALLA_MEMORY_LIMIT")
    mode = _said(arguments, "--evidence-mode", "KALLA_EVIDENCE_MODE") or units.PRIVATE_MODE
    try:
        limit_bytes = units.parse_size_bytes(limit) if limit else machine.default_memory_bytes()
        machine.give_new_files(units.parse_mode(mode))
    except ValueError:
        return
    before_ending(end_children)
    warm_up(RUN, environment_within(limit_bytes), fork)
    if os.environ.get("PYDANTIC_DISABLE_PLUGINS") == "__all__":
        load_pydantic()


def load_pydantic() -> None:
    """Load pydantic without what looks for its plugins and compares secrets."""
    from kalla_core.stand_in import stand_in

    with (
        stand_in("importlib.metadata", entry_points=lambda **_: ()),
        stand_in("secrets"),
    ):
        from pydantic import SecretStr, TypeAdapter

        TypeAdapter(dict[str, SecretStr])  # to make the first loads the rest


def _names(arguments: Sequence[str], *flags: str) -> bool:
    return any(one.partition("=")[0] in flags for one in arguments)


def _said(arguments: Sequence[str], flag: str, variable: str) -> str | None:
    """Return the last value of a flag, or else of a variable."""
    found = os.environ.get(variable)
    for one, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = one.partition("=")
        if name == flag:
            found = value or following
    return found
