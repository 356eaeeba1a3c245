"""A service that is tied to whoever started it."""

from __future__ import annotations

import subprocess
import sys

from tests.support.command import clean_environment

TIED = (sys.executable, "-c", "from kalla_core.cli.tied import main; main()")


def test_a_tied_service_that_ends_by_itself_ends_well() -> None:
    process = subprocess.Popen(
        [*TIED, "--help"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    with process:
        assert process.stderr is not None
        said = process.stderr.read()
        code = process.wait(timeout=60)

    assert (code, said) == (0, b"")
