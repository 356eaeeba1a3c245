"""Where the command line writes: results to standard output, everything else to standard error.

A reader that goes away (`kalla run … | head`) is no fault of the run: what is still to be said is
dropped, and the exit code stays what it would have been.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import IO, Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from kalla_core.cli.harmless import harmless, harmless_json

LOG_WIDTH = 110
"""Columns of tables and paragraphs where there is no terminal to ask."""


class PipeConsole(Console):
    """A console that falls silent, without ending the process, when nobody reads any more."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; off a terminal, lines do not end in blanks."""
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        lines = captured.get().split("\n")
        write(self.file, "\n".join(line.rstrip() for line in lines))

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does; what stands in data is no command to the terminal."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))

    def on_broken_pipe(self) -> None:
        """Point the stream at nothing; also the interpreter's last flush must not fail."""
        self.quiet = True
        discard(self.file)


def standard_output() -> Console:
    """Return the console for what was asked for."""
    return _console(sys.stdout, stderr=False)


def standard_error() -> Console:
    """Return the console for progress and errors."""
    return _console(sys.stderr, stderr=True)


def print_json(document: Mapping[str, object]) -> None:
    """Write one JSON object to standard output and nothing else."""
    text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
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


def _console(stream: TextIO, *, stderr: bool) -> Console:
    width = None if stream.isatty() else LOG_WIDTH
    return PipeConsole(stderr=stderr, width=width, highlight=False, emoji=False)
