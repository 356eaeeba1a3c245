"""The `kalla` command as a process of its own, and what it leaves on the disk."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

KALLA = (sys.executable, "-m", "kalla_core.cli")
PATIENCE_S = 120


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, object]]:
        """The lines of JSON on standard error."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    @property
    def paragraph(self) -> str:
        """What standard error says to people."""
        return "\n".join(line for line in self.err.splitlines() if not line.startswith("{"))


def kalla(
    *arguments: str | Path,
    cwd: Path,
    limits: Callable[[], None] | None = None,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Run a command to its end; `limits` is called in the process before it starts."""
    done = subprocess.run(
        [*KALLA, *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        preexec_fn=limits,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def clean_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment without settings that would change a run, and with `more`."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KALLA_", "RUST_LOG", "COLUMNS"))
    }
    return {**own, **(more or {})}


def names_below(folder: Path) -> set[str]:
    """Return every file and folder below `folder`, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def write_csv(path: Path, header: str, rows: Sequence[str]) -> None:
    """Write lines of CSV."""
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
