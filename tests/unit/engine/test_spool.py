"""What goes into a spool comes out by bucket, in the order of the source."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.engine.spool.spool import Spool, SpoolFile, SpoolWriter
from kalla_core.errors import EngineFailure

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


def _batch(ids: list[int]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(ids, pa.int64()), [f"row {i}" for i in ids]], schema=SCHEMA)


def _write(
    path: Path, batches: list[list[int]], buckets: int, run_bytes: int = 1 << 20
) -> SpoolFile:
    writer = SpoolWriter(path, SCHEMA, buckets, run_bytes).open()
    for ids in batches:
        writer.append([_batch(ids)], np.array(ids, dtype=np.int64) % buckets)
    return writer.finish()


def _ids(spool: Spool, buckets: list[int]) -> list[int]:
    return [i for batch in spool.read(buckets) for i in batch.column("id").to_pylist()]


@given(
    st.lists(st.lists(st.integers(0, 10_000), min_size=1, max_size=40), max_size=8),
    st.integers(1, 300),
    st.sampled_from([1, 500, 1 << 20]),
)
@settings(max_examples=60, deadline=None)
def test_a_bucket_has_its_rows_in_the_order_they_came(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[int]],
    buckets: int,
    run_bytes: int,
) -> None:
    path = tmp_path_factory.mktemp("spool") / "a.spool"

    spool = Spool(SCHEMA, (_write(path, batches, buckets, run_bytes),))

    came = [i for ids in batches for i in ids]
    for bucket in {i % buckets for i in came}:
        assert _ids(spool, [bucket]) == [i for i in came if i % buckets == bucket]


def test_files_are_read_in_the_order_of_the_parts(tmp_path: Path) -> None:
    first = _write(tmp_path / "0", [[4, 2]], buckets=2)
    second = _write(tmp_path / "1", [[8, 6]], buckets=2)

    ids = _ids(Spool(SCHEMA, (first, second)), [0])

    assert ids == [4, 2, 8, 6]


def test_the_index_counts_rows_and_bytes_per_bucket(tmp_path: Path) -> None:
    spool = Spool(SCHEMA, (_write(tmp_path / "a", [[0, 1, 3], [5, 2]], buckets=4),))

    rows, sizes = spool.bucket_rows(4), spool.bucket_bytes(4)

    assert rows.tolist() == [1, 2, 1, 1]
    assert sizes.sum() >= 5 * 8


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    file = _write(tmp_path / "a", [[1, 2, 3]], buckets=1)
    data = bytearray(file.path.read_bytes())
    data[len(data) // 2] ^= 1
    file.path.write_bytes(data)

    with pytest.raises(EngineFailure, match="damaged"):
        list(Spool(SCHEMA, (file,)).read([0]))


def test_blocks_that_changed_places_are_noticed(tmp_path: Path) -> None:
    file = _write(tmp_path / "a", [list(range(4096))], buckets=1)
    data = file.path.read_bytes()
    first, second = data[8192:12288], data[12288:16384]
    file.path.write_bytes(data[:8192] + second + first + data[16384:])

    with pytest.raises(EngineFailure, match="damaged"):
        list(Spool(SCHEMA, (file,)).read([0]))


def test_a_discarded_file_is_gone(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path / "a", SCHEMA, 1, 1).open()
    writer.append([_batch([1])], np.zeros(1, dtype=np.int64))

    writer.discard()

    assert list(tmp_path.iterdir()) == []
