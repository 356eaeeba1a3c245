from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.recipe.model import Filter, FilterOp
from kalla_core.sources.parquet.uuids import uuid_texts
from tests.support.sources import file_spec, read_rows, read_table, types_of

KEYS = [None if n % 5 == 3 else UUID(int=n * 0x1234567890ABCDEF1234567) for n in range(50)]


def keys() -> pa.Array:
    return pa.array([None if key is None else key.bytes for key in KEYS], pa.uuid())


@pytest.mark.parametrize("with_arrow_schema", [True, False])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_uuid_is_the_text_that_people_write(
    tmp_path: Path, parts: int, with_arrow_schema: bool
) -> None:
    path = tmp_path / "in.parquet"
    table = pa.table({"id": keys(), "n": range(50)})
    pq.write_table(table, path, row_group_size=9, store_schema=with_arrow_schema)

    assert types_of(path)["id"] == pa.string()
    assert [row[0] for row in read_rows(path, parts=parts)] == [
        None if key is None else str(key) for key in KEYS
    ]


def test_a_filter_on_a_uuid_keeps_its_row(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"id": keys()}), path, row_group_size=9)

    spec = file_spec(path, filters=[Filter("id", FilterOp.EQ, str(KEYS[21]))])

    assert read_table(spec).to_pylist() == [{"id": str(KEYS[21])}]


def test_files_with_uuids_as_text_and_as_bytes_are_one_source(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": keys()}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"id": ["x"]}), tmp_path / "2.parquet")

    assert read_rows(tmp_path)[-1] == ("x",)


def test_slices_of_uuids_are_those_of_their_texts() -> None:
    stored = keys().storage

    assert uuid_texts(stored.slice(3, 20)).equals(uuid_texts(stored).slice(3, 20))
    assert len(uuid_texts(stored.slice(0, 0))) == 0
