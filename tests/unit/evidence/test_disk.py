"""Files that are hashed as they are written, and brought to disk while they grow."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from kalla_core.errors import OutOfDisk
from kalla_core.evidence import disk
from kalla_core.evidence.disk import HashedFile


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_SYNCED_AT_ONCE_BYTES", 1024)


def test_a_file_that_grows_is_synced_before_its_end_and_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def syncing(number: int) -> None:
        synced.append(os.fstat(number).st_size)
        fsync(number)

    monkeypatch.setattr(os, "fsync", syncing)
    file = HashedFile(tmp_path / "file", b"head")

    for _ in range(4):
        file.write(bytes(1024))
    sha256 = file.finish()

    content = b"head" + bytes(4 * 1024)
    assert (tmp_path / "file").read_bytes() == content
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert len(synced) >= 2
    assert synced[-1] == len(content)


def test_what_goes_wrong_while_a_file_is_synced_beside_is_told_by_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, failed = os.fsync, []

    def failing(number: int) -> None:
        if failed:
            fsync(number)
            return
        failed.append(number)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    file = HashedFile(tmp_path / "file")
    file.write(bytes(2048))

    with pytest.raises(OutOfDisk):
        file.finish()


def test_a_file_that_is_let_go_of_while_it_is_synced_can_be_let_go_of_again(tmp_path: Path) -> None:
    file = HashedFile(tmp_path / "file")
    file.write(bytes(2048))

    file.abandon()
    file.abandon()

    assert (tmp_path / "file").stat().st_size == 2048
