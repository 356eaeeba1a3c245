"""Every second of a command is told of once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.profile import shares


def test_the_shares_of_a_profile_add_up_to_the_whole_time(tmp_path: Path) -> None:
    metadata = {
        "started_at": "2026-01-02T03:04:05.500000Z",
        "completed_at": "2026-01-02T03:04:08.000000Z",
        "durations_s": {"staging": 0.75, "matching": 1.25},
    }
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))

    spent = shares(tmp_path, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), seconds=3.25)

    assert spent == pytest.approx(
        {
            "starting the command": 0.5,
            "staging": 0.75,
            "matching": 1.25,
            "in no stage": 0.5,
            "ending the command": 0.25,
        }
    )
    assert sum(spent.values()) == pytest.approx(3.25)
