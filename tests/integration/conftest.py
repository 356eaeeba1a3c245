from pathlib import Path

import pytest

from tests.support.books import Books, make_books


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return make_books(tmp_path)
