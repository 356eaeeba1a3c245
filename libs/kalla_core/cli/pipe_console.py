"""Tables and paragraphs on standard output and standard error, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from kalla_core.cli.console import discard, write
from kalla_core.cli.harmless import harmless

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


def console_of(stream: TextIO, *, stderr: bool) -> Console:
    """Return the console of a standard stream, as wide as its terminal if it is one."""
    width = None if stream.isatty() else LOG_WIDTH
    return PipeConsole(stderr=stderr, width=width, highlight=False, emoji=False)
