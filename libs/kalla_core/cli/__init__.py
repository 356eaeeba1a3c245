"""The `kalla` command.

`app` declares the commands and their flags, and imports little, so that `--help` and `--version`
answer at once; what a command does is in the module of its name. Results go to standard output,
progress and errors to standard error (`console`, `progress`, `failures`).
"""

from __future__ import annotations

import gc
import os
import sys
from functools import partial
from typing import NoReturn

INTERRUPTED = 130
_LESS_OFTEN = 10


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    from kalla_core.later import make_methods_later
    from kalla_core.stand_in import stand_in

    make_methods_later()
    with stand_in("ipaddress"):  # for addresses in brackets, which are written seldom
        import urllib.parse  # noqa: F401
    from kalla_core.cli.interrupts import heed

    _collect_seldom()
    _open_closed_streams()
    heed()
    from kalla_core.cli.leaving import leaving

    leaving(_kalla, INTERRUPTED)


def _kalla() -> None:
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for them takes long
    from kalla_core.cli.ahead import start_ahead

    start_ahead(sys.argv[1:])
    from kalla_core.cli import app

    app.may_fork = True
    app.app(prog_name="kalla")


def _collect_seldom() -> None:
    """Look for garbage less often: what is loaded is much to look through, and leaves nothing.

    Forks, which hold rows, do as usual.
    """
    most, *others = gc.get_threshold()
    os.register_at_fork(after_in_child=partial(gc.set_threshold, most, *others))
    gc.set_threshold(_LESS_OFTEN * most, *others)


def _open_closed_streams() -> None:
    """Let the streams that the caller closed (`2>&-`) lead nowhere, rather than be missing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for good
