"""The processes of a run together stay about within the memory limit, whatever the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from benchmarks.processes import Memory, run_measured
from tests.support.command import KALLA

MIB = 1 << 20
LIMIT = 512 * MIB
SIZE = 300_000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("one_to_one", SIZE, 7, tmp_path_factory.mktemp("data"), "csv")


def peak_bytes(dataset: Dataset, folder: Path, *flags: str) -> int:
    """Run a data set and return the most memory that its processes had, shared pages once."""
    command = [*KALLA, "run", str(dataset.recipe_path), "--output", str(folder / "out")]
    limits = ["--memory-limit", "512MiB", "--slots", "2", "--json"]

    measured = run_measured([*command, *limits, *flags], folder / "log", Memory.PSS)

    assert measured.exit_code == 0, measured.stderr
    assert json.loads(measured.stdout)["left_record_count"] == SIZE
    assert measured.peak_bytes is not None
    return measured.peak_bytes


def test_a_run_through_the_spool_stays_within_its_limit(dataset: Dataset, tmp_path: Path) -> None:
    peak = peak_bytes(dataset, tmp_path, "--buckets", "16", "--partitions", "8")

    assert peak < LIMIT * 5 // 4


@pytest.mark.full
@pytest.mark.parametrize("partitions", ["1", "32"])
def test_a_run_that_finds_its_own_way_stays_within_its_limit(
    dataset: Dataset, tmp_path: Path, partitions: str
) -> None:
    peak = peak_bytes(dataset, tmp_path, "--partitions", partitions)

    assert peak < LIMIT * 5 // 4
