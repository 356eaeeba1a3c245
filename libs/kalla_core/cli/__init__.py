"""The `kalla` command.

`app` declares the commands and their flags, and imports little, so that `--help` and `--version`
answer at once; what a command does is in the module of its name. Results go to standard output,
progress and errors to standard error (`console`, `progress`, `failures`).
"""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from kalla_core.cli.app import app

        app(prog_name="kalla")
    except KeyboardInterrupt:  # before or after a command, which says so itself
        sys.exit(_INTERRUPTED)
