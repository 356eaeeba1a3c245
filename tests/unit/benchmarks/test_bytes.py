"""The same seed gives the same bytes, in chunks of any size, and files say what rows say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import duck
from benchmarks.generate import Format, PatternName, generate, load
from benchmarks.generate.dataset import build_pattern
from benchmarks.generate.files import csv_lines
from benchmarks.generate.randomness import Randomness, Stream
from benchmarks.shapes import SHAPES

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", PatternName)
def test_csv_bytes_are_those_of_every_machine_and_version(
    name: PatternName, tmp_path: Path
) -> None:
    dataset = generate(name, 1_000, 42, tmp_path, Format.CSV)

    assert {"left": digest(dataset.left), "right": digest(dataset.right)} == GOLDEN[name]


@pytest.mark.parametrize("format_", Format)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    format_: Format, tmp_path: Path
) -> None:
    first, again, other = (
        generate(PatternName.HARD, 2_000, seed, tmp_path / folder, format_)
        for seed, folder in ((1, "first"), (1, "again"), (2, "other"))
    )

    assert digest(first.left) == digest(again.left)
    assert digest(first.right) == digest(again.right)
    assert digest(first.left) != digest(other.left)
    assert digest(first.right) != digest(other.right)


@pytest.mark.parametrize("name", PatternName)
def test_rows_do_not_depend_on_the_chunk_they_are_made_in(name: PatternName) -> None:
    pattern = build_pattern(name, 500, 9)

    whole = pattern.right(0, pattern.right_rows).rows
    pieces = [
        pattern.right(row, min(row + 7, pattern.right_rows)).rows
        for row in range(0, pattern.right_rows, 7)
    ]

    assert pa.Table.from_batches(pieces).combine_chunks() == pa.Table.from_batches([whole])


@pytest.mark.parametrize("name", PatternName)
def test_csv_read_back_with_its_types_is_what_parquet_holds(
    name: PatternName, tmp_path: Path
) -> None:
    as_csv = generate(name, 2_000, 4, tmp_path / "csv", Format.CSV)
    as_parquet = generate(name, 2_000, 4, tmp_path / "parquet", Format.PARQUET)

    for written, kept, columns in (
        (as_csv.left, as_parquet.left, SHAPES[name].left),
        (as_csv.right, as_parquet.right, SHAPES[name].right),
    ):
        source = duck.scan(written, columns)
        with duckdb.connect() as connection:
            read = connection.sql(f"FROM {source}").to_arrow_table()

        assert read.cast(pq.read_schema(kept)).to_pylist() == pq.read_table(kept).to_pylist()


def test_csv_quotes_only_what_needs_it() -> None:
    batch = pa.record_batch(
        {"a": ["x", "", None, 'say "hi"', "1,2", "a\nb", "é"], "b": [1, 2, 3, None, 5, 6, None]}
    )

    lines = bytes(csv_lines(batch)).decode()

    assert lines == 'x,1\n"",2\n,3\n"say ""hi""",\n"1,2",5\n"a\nb",6\né,\n'


def test_a_data_set_is_found_again_in_its_folder(tmp_path: Path) -> None:
    made = generate(PatternName.SPLIT, 40, 1, tmp_path, Format.CSV)

    found = load(tmp_path)

    assert found == made
    assert found.recipe["sources"]["left"]["primary_key"] == ["invoice_id"]
    assert found.recipe["sources"]["right"]["uri"] == "right.csv"


def test_a_folder_without_a_finished_data_set_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 997, 1_000, 65_536])
def test_a_shuffle_is_a_permutation_and_back_undoes_it(size: int) -> None:
    shuffle = Randomness(3).shuffle(Stream.SHUFFLE_LEFT, size)
    places = np.arange(size)

    moved = shuffle.forward(places)

    assert np.array_equal(np.sort(moved), places)
    assert np.array_equal(shuffle.back(moved), places)


def test_numbers_below_a_bound_are_spread_evenly() -> None:
    numbers = Randomness(3).below(Stream.AMOUNT, np.arange(100_000), 10)

    counts = np.bincount(numbers, minlength=10)

    assert len(counts) == 10
    assert counts.min() > 9_600
    assert counts.max() < 10_400


def test_streams_of_one_seed_are_unlike() -> None:
    places = np.arange(10_000)
    draw = Randomness(3)

    same = draw.below(Stream.AMOUNT, places, 10) == draw.below(Stream.CURRENCY, places, 10)

    assert 800 < int(same.sum()) < 1_200
