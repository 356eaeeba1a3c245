"""The file of what joins tell of rows in no pair."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kalla_core.engine.joins.told import Windows, telling
from kalla_core.errors import OutOfDisk
from kalla_core.matching.sql.query import Side


def test_a_join_that_fails_leaves_neither_the_file_nor_its_descriptor(tmp_path: Path) -> None:
    path, before = tmp_path / "told", len(os.listdir("/proc/self/fd"))

    def fails() -> None:
        with telling(path, Windows([(Side.LEFT, 0, 10)])):
            assert path.exists()
            raise OutOfDisk("full")

    with pytest.raises(OutOfDisk, match="full"):
        fails()

    assert not path.exists()
    assert len(os.listdir("/proc/self/fd")) == before
