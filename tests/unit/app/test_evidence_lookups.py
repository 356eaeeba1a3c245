"""What lies beside evidence makes pages quick, and changes nothing of what is on them."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalla_app.errors import NotFound
from kalla_app.evidence import rows as rows_module
from kalla_app.evidence import texts_file
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.lookup_file import make_room, write_lookup
from kalla_app.evidence.order import First, Mask, order_of
from kalla_app.evidence.pages import RowPages
from kalla_app.evidence.rows import RowPage, RowSet, SoFar
from kalla_app.evidence.seek import Seek
from kalla_app.runs.life import RunState, RunStatus
from kalla_app.store.runs import Run
from kalla_core.errors import KallaError, RequestRefused, ResultsBusy
from kalla_core.jobs.model import Counts
from tests.support.evidence import place_in

ROWS = 900
SET = "unmatched_left"
NOW = datetime(2026, 5, 1, tzinfo=UTC)
RUN = Run("r", "books", 1, "Books", RunState(), "anna", NOW, NOW, NOW)
PATIENCE_S = 120
MUCH = 1 << 40

TABLE = pa.table(
    {
        "record_key": [f"INV-{number * 7919 % 10_000:04d}" for number in range(ROWS)],
        "rejection_reason": [["no_match", "key_not_found"][number % 2] for number in range(ROWS)],
        "name": [[None, "Müller", "MEYER", "o'neil"][number % 4] for number in range(ROWS)],
        "memo": [None if number % 7 == 0 else f"Zahlung {number}Ü" for number in range(ROWS)],
        "amount": pa.array(
            [None if number % 50 == 5 else Decimal(number * 37 % 101) for number in range(ROWS)],
            pa.decimal128(12, 2),
        ),
        "rate": pa.array([[None, float("nan"), 1.5, -2.0][n % 4] for n in range(ROWS)]),
        "count": pa.array(range(ROWS), pa.int64()),
        "day": [date(2026, 5, 1) + timedelta(days=number % 30) for number in range(ROWS)],
        "lines": [[number] for number in range(ROWS)],
    }
)


def written(folder: Path) -> Path:
    """Write the rows as two parts of several row groups each."""
    parts = folder / f"{SET}.parquet"
    parts.mkdir(parents=True)
    pq.write_table(TABLE.slice(0, 300), parts / "0.parquet", row_group_size=70)
    pq.write_table(TABLE.slice(300), parts / "1.parquet", row_group_size=130)
    names = [f"{SET}.parquet/{number}.parquet" for number in (0, 1)]
    metadata = {"run_id": "r", "files": [{"name": name} for name in names]}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


@dataclass(frozen=True)
class Ready:
    """Evidence, and all that can lie beside it."""

    folder: Path
    beside: Path

    def page(self, asked: Asked, offset: int, limit: int, *, quick: bool) -> list[object]:
        mask = Seek(self.folder, asked, self.beside).run() if quick else None
        with RowSet(self.folder, SET, self.beside if quick else None) as rows:
            found = rows.page(asked, offset, limit, mask)
            return [found.total, found.places, str(found.rows.to_pylist())]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    folder = tmp_path_factory.mktemp("lookups")
    made = Ready(written(folder / "run"), folder / "beside" / "r")
    for column in (None, "amount", "rate", "memo", "day"):
        write_lookup(made.folder, SET, made.beside, column, MUCH)
    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    q=st.sampled_from(
        ["", "inv-7", "MÜLL", "ü", "5", "1.00", "05-1", "meyer", "zahlung 1", "x\x1f"]
    ),
    sort=st.sampled_from([None, "amount", "-amount", "rate", "-rate", "-memo", "day", "count"]),
    reasons=st.sampled_from([(), ("no_match",), ("no_match", "key_not_found"), ("other",)]),
    keys=st.sampled_from([None, None, ("INV-0000", "INV-7919", "nobody")]),
    without=st.sampled_from([(), ("INV-0000", "INV-7919")]),
    offset=st.integers(0, ROWS),
    limit=st.integers(1, 200),
)
def test_a_page_is_the_same_with_what_lies_beside_evidence_and_without(
    ready: Ready,
    q: str,
    sort: str | None,
    reasons: tuple[str, ...],
    keys: tuple[str, ...] | None,
    without: tuple[str, ...],
    offset: int,
    limit: int,
) -> None:
    asked = Asked(SET, q, reasons, sort, keys, without)

    slow = ready.page(asked, offset, limit, quick=False)
    quick = ready.page(asked, offset, limit, quick=True)

    assert quick == slow


@pytest.mark.parametrize("finds", ["the C library", "Python"])
def test_every_row_is_found_however_often_it_holds_a_text(
    ready: Ready, finds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if finds == "Python":
        monkeypatch.setattr(texts_file, "_FIND", texts_file._found_by_python)
    monkeypatch.setattr(texts_file, "_SEVERAL", 40)  # from there on each row is looked at

    for q in ("a", "zahlung", "99", "nobody has this"):
        asked = Asked(SET, q)
        assert ready.page(asked, 0, ROWS, quick=True) == ready.page(asked, 0, ROWS, quick=False)


@given(
    st.lists(st.none() | st.integers(0, 5), max_size=40),
    st.integers(1, 12),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_the_first_of_an_order_are_those_of_the_whole_whatever_comes_first(
    values: list[int | None], most: int, descending: bool, chance: Random
) -> None:
    column = pa.chunked_array([pa.array(values, pa.int64())])
    pieces = [(start, values[start : start + 7]) for start in range(0, len(values), 7)]
    chance.shuffle(pieces)
    first = First(most, descending=descending)

    for start, piece in pieces:
        places = np.arange(start, start + len(piece), dtype=np.int64)
        first.add(pa.array(piece, pa.int64()), places)

    whole = order_of(column).page(None, 0, most, descending=descending)
    assert first.places().tolist() == whole.tolist()


def test_what_was_made_of_other_files_is_not_believed(tmp_path: Path) -> None:
    folder, beside = written(tmp_path / "run"), tmp_path / "beside" / "r"
    for column in (None, "amount"):
        write_lookup(folder, SET, beside, column, MUCH)
    part = folder / f"{SET}.parquet" / "0.parquet"
    pq.write_table(TABLE.slice(300, 300), part, row_group_size=70)
    asked = Asked(SET, "zahlung", sort="amount")

    with RowSet(folder, SET, beside) as quick, RowSet(folder, SET) as slow:
        assert quick.page(asked, 0, 50).places == slow.page(asked, 0, 50).places


def test_what_was_used_longest_ago_makes_room_and_never_what_was_just_written(
    tmp_path: Path,
) -> None:
    files = [tmp_path / "r" / f"{number}.arrow" for number in range(4)]
    files[0].parent.mkdir()
    for number, path in enumerate(files):
        path.write_bytes(b"x" * 100)
        os.utime(path, (number, number))
    unfinished = tmp_path / "r" / ".9.arrow.77aa"
    unfinished.write_bytes(b"of one that was killed")

    make_room(tmp_path, 250, files[0])

    assert [path.exists() for path in files] == [True, False, False, True]
    assert not unfinished.exists()


def pages_over(folder: Path, beside: Path) -> RowPages:
    return RowPages(place_in(folder), beside, many=10)


async def made(beside: Path, count: int) -> list[str]:
    """Wait until so many files lie there; return their names."""
    async with asyncio.timeout(PATIENCE_S):
        while len(found := sorted(path.name for path in beside.glob("r/*.arrow"))) < count:
            await asyncio.sleep(0.05)
    return found


async def test_a_run_that_has_ended_is_looked_through_before_anybody_asks(tmp_path: Path) -> None:
    pages = pages_over(written(tmp_path / "run"), tmp_path / "beside")
    state = RunState(status=RunStatus.SUCCEEDED, counts=Counts(unmatched_left=ROWS))

    pages.note(replace(RUN, state=state))

    assert await made(tmp_path / "beside", 1) == [f"{SET}.texts.arrow"]
    await pages.close()


async def test_a_page_far_down_waits_for_its_order_and_the_first_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "MOST_FIRST", 100)
    monkeypatch.setattr("kalla_app.evidence.pages.MOST_FIRST", 100)
    beside = tmp_path / "beside"
    pages = pages_over(written(tmp_path / "run"), beside)

    async with asyncio.timeout(PATIENCE_S):
        far = await pages.page(RUN, Asked(SET, sort="-amount"), 500, 10)
        assert len(list(beside.glob("r/*.arrow"))) == 1
        near = await pages.page(RUN, Asked(SET, sort="memo"), 0, 10)

    with RowSet(tmp_path / "run", SET) as rows:
        assert far.places == rows.page(Asked(SET, sort="-amount"), 500, 10).places
        assert near.places == rows.page(Asked(SET, sort="memo"), 0, 10).places
    await pages.close()


async def test_where_nothing_can_be_written_only_what_is_far_down_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kalla_app.evidence.pages.MOST_FIRST", 100)
    (tmp_path / "beside").write_text("no folder")
    pages = pages_over(written(tmp_path / "run"), tmp_path / "beside")
    asked = Asked(SET, "zahlung", sort="amount")

    async with asyncio.timeout(PATIENCE_S):
        near = await pages.page(RUN, asked, 0, 10)
        with pytest.raises(RequestRefused, match="Narrow"):
            await pages.page(RUN, asked, 500, 10)

    assert len(near.places) == 10
    await pages.close()


async def test_what_is_not_there_is_told_as_ever(tmp_path: Path) -> None:
    pages = pages_over(written(tmp_path / "run"), tmp_path / "beside")

    with pytest.raises(NotFound, match="unmatched_left"):
        await pages.page(RUN, Asked("ambiguous", sort="amount"), 0, 10)
    with pytest.raises(KallaError, match="amount"):
        await pages.page(RUN, Asked(SET, sort="amout"), 0, 10)
    await pages.close()


class Held:
    """Holds whoever looks through rows from some row group on, until `go` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
        self.go = threading.Event()
        look = RowSet.look

        def held(rows: RowSet, asked: Asked) -> Callable[[int], Mask]:
            looked = look(rows, asked)

            def wait(number: int) -> Mask:
                if number >= first:
                    assert self.go.wait(PATIENCE_S)
                return looked(number)

            return wait

        monkeypatch.setattr(RowSet, "look", held)


async def until_searched(pages: RowPages, asked: Asked, rows: int) -> RowPage:
    """Ask again and again, as a browser does, until so many rows were looked through."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            page = await pages.page(RUN, asked, 0, 50, within_s=0.01)
            if page.so_far is None or page.so_far.searched >= rows:
                return page


@pytest.mark.parametrize("sort", [None, "-count"])
async def test_a_page_of_what_was_found_so_far_says_so_and_the_next_has_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sort: str | None
) -> None:
    held = Held(monkeypatch, first=2)
    pages = pages_over(written(tmp_path / "run"), tmp_path / "beside")
    asked = Asked(SET, "zahlung", sort=sort)

    early = await until_searched(pages, asked, 140)
    held.go.set()
    late = await until_searched(pages, asked, ROWS)
    async with asyncio.timeout(PATIENCE_S):
        while late.so_far is not None:
            late = await pages.page(RUN, asked, 0, 50, within_s=PATIENCE_S)

    with RowSet(tmp_path / "run", SET) as rows:
        whole = rows.page(asked, 0, 50)
    found = [place for place in range(140) if place % 7]
    assert early.so_far is not None
    assert (early.so_far.searched, early.so_far.of, early.total) == (140, ROWS, len(found))
    assert early.places == tuple((found if sort is None else found[::-1])[:50])
    assert (late.places, late.total) == (whole.places, whole.total)
    await pages.close()


async def test_whoever_looks_through_the_same_rows_waits_for_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, looked = Held(monkeypatch, first=2), list[Asked]()
    run = Seek.run
    monkeypatch.setattr(Seek, "run", lambda seek: (looked.append(seek._asked), run(seek))[1])
    pages = pages_over(written(tmp_path / "run"), tmp_path / "beside")
    asked = [Asked(SET, "zahlung", sort=sort) for sort in (None, "count", "-count")]

    async with asyncio.timeout(PATIENCE_S):
        asking = [asyncio.create_task(pages.page(RUN, one, 0, 5)) for one in asked]
        await until_searched(pages, asked[0], 140)
        held.go.set()
        found = [await one for one in asking]
        again = await pages.page(RUN, asked[0], 5, 5)

    assert [one.places[0] for one in found] == [1, 1, ROWS - 1]
    assert again.places[0] == 6
    assert len(looked) == 1
    await pages.close()


async def test_of_many_searches_at_once_the_one_asked_about_longest_ago_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kalla_app.evidence.pages._MOST_SEEKS", 4)
    held = Held(monkeypatch, first=0)
    pages = pages_over(written(tmp_path / "run"), tmp_path / "beside")
    asked = [Asked(SET, f"zahlung {number}") for number in range(7)]

    async with asyncio.timeout(PATIENCE_S):
        first = asyncio.create_task(pages.page(RUN, asked[0], 0, 5))
        await until_searched(pages, asked[0], 0)
        for one in asked[1:]:
            await pages.page(RUN, one, 0, 5, within_s=0)
        with pytest.raises(ResultsBusy):
            await first
        going_on = [one.q for _, one in pages._seeks]  # type: ignore[misc]
        held.go.set()
        found = [await pages.page(RUN, one, 0, 5) for one in asked]

    with RowSet(tmp_path / "run", SET) as rows:
        whole = [rows.page(one, 0, 5) for one in asked]
    assert going_on == [one.q for one in asked[3:]]
    assert [(one.places, one.total) for one in found] == [(one.places, one.total) for one in whole]
    await pages.close()


async def test_a_page_far_down_that_is_not_in_order_yet_comes_empty_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kalla_app.evidence.pages.MOST_FIRST", 100)
    pages = pages_over(written(tmp_path / "run"), tmp_path / "beside")
    asked = Asked(SET, sort="amount")

    async with asyncio.timeout(PATIENCE_S):
        early = await pages.page(RUN, asked, 500, 10, within_s=0)
        late = await pages.page(RUN, asked, 500, 10)

    assert early.so_far == SoFar(ROWS, ROWS)
    assert (early.places, early.rows.schema) == ((), late.rows.schema)
    assert late.so_far is None
    assert len(late.places) == 10
    await pages.close()


async def test_what_cannot_be_read_is_told_to_whoever_waits(tmp_path: Path) -> None:
    pages = pages_over(written(tmp_path / "run"), tmp_path / "beside")
    part = tmp_path / "run" / f"{SET}.parquet" / "0.parquet"
    whole = part.read_bytes()
    with RowSet(tmp_path / "run", SET):
        part.write_bytes(bytes(len(whole) // 2) + whole[len(whole) // 2 :])

    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises((KallaError, OSError)):
            await pages.page(RUN, Asked(SET, "zahlung"), 0, 10)
    await pages.close()
