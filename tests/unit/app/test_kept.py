"""What was read of evidence is kept in memory, and never more of it than there is room for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_app.errors import NotFound
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.kept import Kept
from kalla_app.evidence.pages import RowPages
from kalla_app.runs.life import RunState
from kalla_app.store.runs import Run

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RUN = Run("r", "books", 1, "Books", RunState(), "anna", NOW, NOW, NOW)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60), st.booleans()), max_size=60),
    st.integers(0, 100),
)
def test_what_is_kept_is_what_was_kept_last_and_fits(
    steps: list[tuple[int, int, bool]], most: int
) -> None:
    kept, last = Kept[int](most), dict[int, int]()

    for key, size, keeps in steps:
        if keeps:
            kept.keep(key, size, size)
            if size <= most:
                last[key] = size
        else:
            found = kept.find(key)
            assert found is None or found == last[key]

    assert sum(size for key, size in last.items() if kept.find(key) is not None) <= most


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    kept = Kept[str](30)
    for name in ("a", "b", "c"):
        kept.keep(name, name, 10)
    kept.find("a")

    kept.keep("d", "d", 10)
    kept.keep("too large", "", 31)

    assert [name for name in ("a", "b", "c", "d", "too large") if kept.find(name)] == [
        "a",
        "c",
        "d",
    ]


class Place:
    """Where the evidence of a run lies: in the folder of its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def folder(self, run: Run) -> Path:
        return self._folder / run.run_id


def evidence(folder: Path, reasons: list[str]) -> None:
    folder.mkdir()
    keys = [f"{folder.name}-{number}" for number in range(len(reasons))]
    table = pa.table({"record_key": keys, "rejection_reason": reasons})
    pq.write_table(table, folder / "unmatched_left.parquet")
    files = [{"name": "unmatched_left.parquet"}]
    (folder / "metadata.json").write_text(json.dumps({"run_id": folder.name, "files": files}))


@pytest.fixture
def pages(tmp_path: Path) -> RowPages:
    evidence(tmp_path / "r", ["no_match", "no_match", "ambiguous"])
    evidence(tmp_path / "s", ["no_match"])
    return RowPages(Place(tmp_path), tmp_path / "beside")  # type: ignore[arg-type]


async def test_a_page_is_read_once_and_each_selection_of_each_run_is_another(
    pages: RowPages, tmp_path: Path
) -> None:
    asked = [
        (RUN, Asked("unmatched_left"), 0, 10),
        (RUN, Asked("unmatched_left"), 1, 10),
        (RUN, Asked("unmatched_left"), 0, 2),
        (RUN, Asked("unmatched_left", "ambig"), 0, 10),
        (RUN, Asked("unmatched_left", sort="-record_key"), 0, 10),
        (replace(RUN, run_id="s"), Asked("unmatched_left"), 0, 10),
    ]
    first = [await pages.page(*one) for one in asked]
    for run in ("r", "s"):
        (tmp_path / run / "unmatched_left.parquet").unlink()

    again = [await pages.page(*one) for one in asked]

    assert [page.places for page in first] == [(0, 1, 2), (1, 2), (0, 1), (2,), (2, 1, 0), (0,)]
    assert all(one is other for one, other in zip(first, again, strict=True))


async def test_reasons_and_sets_are_told_of_each_run_for_itself(pages: RowPages) -> None:
    other = replace(RUN, run_id="s")

    for _ in range(2):
        assert await pages.reasons(RUN, "unmatched_left") == {"no_match": 2, "ambiguous": 1}
        assert await pages.reasons(other, "unmatched_left") == {"no_match": 1}
        assert await pages.open_sets(RUN, "left") == ("unmatched_left",)
        assert await pages.rests(RUN) == {}
        with pytest.raises(NotFound, match="suggested"):
            await pages.reasons(RUN, "suggested")


def test_what_somebody_asks_for_counts_as_much_as_it_takes() -> None:
    long = "\N{SNOWMAN}" * 5000

    for asked in (Asked("s", q=long), Asked("s", reasons=(long,)), Asked("s", keys=("a", long)),
                  Asked("s", without=(long,))):  # fmt: skip
        assert asked.bytes >= len(long.encode())
