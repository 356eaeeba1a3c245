"""Draws the pictures of the README: what the terminal really shows, as SVG."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.support.command import clean_environment

FOLDER = Path(__file__).parents[2] / "docs" / "images"
WIDTH = 112


def terminal() -> str:
    """The summary of the demonstration, on a terminal that is wide enough."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kalla_core.cli"]
        subprocess.run(
            [*command, "demo", folder], env=clean_environment(), capture_output=True, check=True
        )
        recipe = next(Path(folder).rglob("recipe.json"))
        done = subprocess.run(
            [*command, "run", recipe, "--output", "out"],
            cwd=folder,
            env={**clean_environment(), "FORCE_COLOR": "1", "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            check=True,
        )
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ kalla run recipe.json --output out\n"))
    console.print(Text.from_ansi(done.stdout.rstrip()))
    drawn = console.export_svg(title="kalla", theme=MONOKAI)
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # nothing from another host
    return re.sub(r"font-family: Fira Code[^;]*;", "font-family: monospace;", drawn)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "terminal.svg").write_text(terminal(), encoding="utf-8")
