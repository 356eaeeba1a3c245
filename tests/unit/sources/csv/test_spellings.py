"""Exports as people have them: the `format` that reads each, and what its bytes tell of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kalla_core.sources.csv import cut
from kalla_core.sources.csv.guess.found import guess
from tests.support.sources import format_rows
from tests.support.spellings import EXPORTS, Export


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files of a few bytes be read in several blocks."""
    monkeypatch.setattr(cut, "BLOCK_BYTES", 16)


def shown(value: object) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_an_export_is_read_exactly_as_its_format_says(
    tmp_path: Path, export: Export, parts: int
) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(export.text.encode(export.encoding))

    rows = format_rows(path, dict(export.found), parts, dict(export.types))

    assert ["|".join(map(shown, row)) for row in rows] == export.rows.split("\n")


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_the_bytes_of_an_export_tell_its_format_or_what_they_do_not_tell(export: Export) -> None:
    found = guess(export.text.encode(export.encoding))

    assert found is not None
    told = {name: said for name, said in export.found.items() if name not in export.only}
    assert dict(found.document()) == told
    days = {name: word for name, word in export.types.items() if word == "date"}
    assert found.types == days
    assert len(found.undecidable) == bool(export.asks)
    assert export.asks in "".join(found.undecidable)


def test_there_are_sixty_exports() -> None:
    assert len({export.name for export in EXPORTS}) >= 60
