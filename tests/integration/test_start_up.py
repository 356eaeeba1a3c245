"""What a coordinator says of how it was started, seen from outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.command import clean_environment
from tests.support.coordinators import COMMAND, coordinator_process


def test_a_folder_in_the_place_of_the_store_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "staging" / "jobs.sqlite").mkdir(parents=True)
    ports = [f"--{name}-port=0" for name in ("http", "grpc", "results")]

    ended = subprocess.run(
        [*COMMAND, "coordinator", *ports, "--staging-path", str(tmp_path / "staging")],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(),
        check=False,
    )

    assert ended.returncode == 3
    assert "jobs.sqlite cannot be opened: Is a directory." in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs as root")
def test_a_service_that_runs_as_root_says_so(tmp_path: Path) -> None:
    with coordinator_process(tmp_path / "staging") as process:
        said = process.log.read_text()

    assert said.count('"runs_as_root"') == 1
