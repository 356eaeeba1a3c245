"""The demo's Postgres step, from outside: what it shows, and that no server is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import KALLA, clean_environment, kalla
from tests.support.processes import ends_soon

_WIDE = {"COLUMNS": "300"}
_PATIENCE_S = 120.0


def server_folder(said: str) -> Path:
    """Return where a demo's server lives, by the URI that the demo shows."""
    (found,) = set(re.findall(r"host=([^&\s]+)", said))
    return Path(found)


def gone_soon(folder: Path) -> bool:
    """Wait until a folder is gone."""
    waiting = threading.Event()
    for _ in range(int(_PATIENCE_S / 0.05)):
        if not folder.exists():
            return True
        waiting.wait(0.05)
    return False


@contextmanager
def demo_that_has_a_server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """Start a demo; yields it when its server runs, with the server's folder and process id."""
    demo = subprocess.Popen(
        [*KALLA, "demo", str(folder)], env=clean_environment(_WIDE), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert demo.stdout is not None
    watchdog = threading.Timer(_PATIENCE_S, demo.kill)
    watchdog.start()
    try:
        shown = next(line for line in demo.stdout if "host=" in line)
        found = server_folder(shown)
        pid = int((found / "data" / "postmaster.pid").read_text().split()[0])
        yield demo, found, pid
    finally:
        watchdog.cancel()
        demo.kill()
        demo.communicate()


def test_the_demo_reads_a_table_and_its_server_is_gone_at_the_end(tmp_path: Path) -> None:
    outcome = kalla("demo", tmp_path / "demo", cwd=tmp_path, environment=_WIDE)

    evidence = tmp_path / "demo" / "evidence-postgres" / "metadata.json"
    metadata = json.loads(evidence.read_text())
    assert outcome.exit_code == 0, outcome.err
    assert metadata["left_record_count"] == 4_000
    assert metadata["matched_count"] == 3_120
    assert metadata["sources"]["left"]["table"] == "public.invoices"
    assert "give the same matches" in outcome.out
    assert not server_folder(outcome.out).exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_stopped_leaves_no_server(tmp_path: Path, stop: signal.Signals) -> None:
    with demo_that_has_a_server(tmp_path / "demo") as (demo, folder, server):
        # As a terminal does: to the whole group.
        os.killpg(demo.pid, stop)
        demo.wait(_PATIENCE_S)

        assert ends_soon(server)
        assert gone_soon(folder)
