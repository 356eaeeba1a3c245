"""Processes beside the first of an app are waited for while they may begin, and no longer."""

import os
import sys
from pathlib import Path

import pytest

from kalla_app import workers
from kalla_core.errors import InvalidSetting
from tests.support.processes import children_of


@pytest.mark.parametrize(
    ("does", "said"), [("exec sleep 60", "not ready within 0.5"), ("exit 3", "ended with 3")]
)
async def test_a_worker_that_does_not_begin_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    interpreter.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setattr(workers, "_BEGIN_S", 0.5 if "sleep" in does else 30.0)
    before = set(children_of(os.getpid()))

    with pytest.raises(InvalidSetting, match=said):
        await workers._begun(b"a request")

    assert set(children_of(os.getpid())) <= before
