"""What tests start does not outlive them, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import clean_environment
from tests.support.processes import ends_soon, has_ended
from tests.support.real_cluster import until
from tests.support.tether import NAMES, tethered_to

PATIENCE_S = 120

SMALL = """
import os, signal, subprocess, sys
from pathlib import Path
from tests.support.real_cluster import real_cluster
from tests.support.s3 import s3_server
from tests.support.tether import NAMES

def test_that_never_ends(tmp_path):
    s3_server()
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
    subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
    frozen = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    frozen.send_signal(signal.SIGSTOP)
    with real_cluster(tmp_path):
        Path(os.environ["TOLD"]).write_text(os.environ[NAMES])
        signal.pause()
"""


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.full)]
)
def test_a_test_run_that_is_killed_leaves_no_process_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "test_small.py").write_text(SMALL)
    told = tmp_path / "told"
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    running = subprocess.Popen(
        [*command, "-s", str(tmp_path / "test_small.py"), f"--basetemp={tmp_path / 'made'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=clean_environment({"TOLD": str(told)}),
    )
    with running:
        try:
            assert until(lambda: told.exists() and told.read_text(), PATIENCE_S)
            name = told.read_text().split()[-1]
            begun = tethered_to(name)
        finally:
            running.send_signal(number)

    assert len(begun) >= 7  # S3, two that hear nothing, a coordinator and its executors
    assert os.environ[NAMES].split()[-1] in told.read_text().split()
    assert all(ends_soon(pid) for pid in begun)
    assert until(lambda: not [pid for pid in tethered_to(name) if not has_ended(pid)], 20)
