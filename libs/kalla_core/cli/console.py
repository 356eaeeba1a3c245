"""Where the command line writes: results to standard output, everything else to standard error.

A reader that goes away (`kalla run … | head`) is no fault of the run: what is still to be said is
dropped, and the exit code stays what it would have been.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING

from kalla_core.cli.harmless import harmless, harmless_json

if TYPE_CHECKING:
    from rich.console import Console


def standard_output() -> Console:
    """Return the console for what was asked for."""
    from kalla_core.cli.pipe_console import console_of  # programs ask for JSON, and need no rich

    return console_of(sys.stdout, stderr=False)


def standard_error() -> Console:
    """Return the console for progress and errors."""
    from kalla_core.cli.pipe_console import console_of

    return console_of(sys.stderr, stderr=True)


def print_json(document: Mapping[str, object]) -> None:
    """Write one JSON object to standard output and nothing else."""
    from kalla_core.json_text import json_text

    text = json_text(document, indent=2, ascii_only=False)
    write_line(sys.stdout, harmless_json(text))


def write_line(stream: IO[str], text: str) -> None:
    """Write a line at once, as a terminal may have it; a reader that has gone is ignored."""
    write(stream, harmless(text) + "\n")


def write(stream: IO[str], text: str) -> None:
    """Write text at once; a reader that has gone is ignored.

    Raises:
        OSError: standard output takes no more. What standard error does not take is only told:
            the run that it tells of, and its exit code, do not depend on it.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        discard(stream)
    except OSError:
        if stream is not sys.stderr:
            raise


def discard(stream: object) -> None:
    """Let a stream lead nowhere from now on."""
    if not hasattr(stream, "fileno"):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
