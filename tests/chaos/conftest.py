"""What all faults have in common: the rows and their truth."""

from __future__ import annotations

import pytest

from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset

ROWS = 20_000


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("one_to_one", ROWS, 7, tmp_path_factory.mktemp("data"), "csv")
