"""`kallad` as a child: a service that ends when its standard input does.

For whoever starts services of its own and must not leave them behind, not even when it is killed:
the other end of the pipe is closed then, whatever happened.
"""

from __future__ import annotations

import os
import signal
import threading

from kalla_core.cli import kallad

_PATIENCE_S = 5.0


def main() -> None:
    """Run `kallad` with the arguments of this process until it ends, or standard input does."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    kallad.main()


def _end_with_input() -> None:
    """Ask this process to end, then to hurry, then no more: there is nobody to work for."""
    # Not through sys.stdin: Python aborts at its end while a thread still waits inside of that.
    while os.read(0, 4096):
        continue
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        os.kill(os.getpid(), number)
        threading.Event().wait(_PATIENCE_S)
