"""Spool files under their final name: whole, or not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.engine.spool.published import NotSpooled, open_published, publish
from kalla_core.engine.spool.spool import Spool, SpoolFile, SpoolWriter
from kalla_core.errors import FetchFailed
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.fetch_fault import FetchFault
from kalla_core.fragments.outcome import failed
from tests.support.arrays import int64s

SCHEMA = pa.schema([("id", pa.int64())])
ATTEMPT = AttemptId("run", 1, "scan", 0, 1)


def written(folder: Path) -> SpoolFile:
    writer = SpoolWriter(folder / "file.writing", SCHEMA, buckets=3, run_bytes=8).open()
    for ids in ([0, 1, 2], [5, 4, 3]):
        writer.append([pa.record_batch([ids], schema=SCHEMA)], int64s(ids) % 3)
    return writer.finish()


def test_a_published_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = written(tmp_path)

    published = publish(file, tmp_path / "file")

    found = open_published(tmp_path / "file")
    assert found == published
    rows = pa.Table.from_batches(Spool(SCHEMA, (found,)).read([2]))
    assert rows.column("id").to_pylist() == [2, 5]
    assert not file.path.exists()


def test_a_file_with_no_rows_can_be_published(tmp_path: Path) -> None:
    empty = SpoolWriter(tmp_path / "w", SCHEMA, 3, 8).open().finish()

    publish(empty, tmp_path / "file")

    assert open_published(tmp_path / "file").segments == ()


@pytest.mark.parametrize("kept", [0, 3, 20, -1, -17, -60])
def test_a_file_that_was_cut_short_is_none(tmp_path: Path, kept: int) -> None:
    publish(written(tmp_path), tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()

    (tmp_path / "file").write_bytes(whole[:kept])

    with pytest.raises(NotSpooled):
        open_published(tmp_path / "file")


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotSpooled, match="No such file"):
        open_published(tmp_path / "file")


def test_a_damaged_message_of_another_process_is_told_with_its_attempt(tmp_path: Path) -> None:
    file = publish(written(tmp_path), tmp_path / "file")
    data = bytearray(file.path.read_bytes())
    data[file.segments[0].length // 2] ^= 1
    file.path.write_bytes(data)
    fault = FetchFault("peer", (ATTEMPT,))

    with pytest.raises(FetchFailed, match="run/1/scan/0-1") as caught:
        list(Spool(SCHEMA, (replace(file, origin=fault),)).read([0]))

    assert failed(caught.value).fetch == fault


def test_a_file_that_went_away_is_told_with_its_attempt(tmp_path: Path) -> None:
    file = publish(written(tmp_path), tmp_path / "file")
    file.path.unlink()

    with pytest.raises(FetchFailed):
        list(Spool(SCHEMA, (replace(file, origin=FetchFault("p", (ATTEMPT,))),)).read([0]))
