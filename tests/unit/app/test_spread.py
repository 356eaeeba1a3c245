"""How the rows of a run are spread: what a page draws of it, and that it is counted once."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_app.evidence import spread_file
from kalla_app.evidence import spreads as module
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.rows import RowSet
from kalla_app.evidence.spread_file import read_spread, spread_path, write_spread
from kalla_app.evidence.spreads import Spreads
from kalla_app.pages.spread import day_lines, shown, size_lines, size_words
from kalla_app.runs.life import RunState, RunStatus
from kalla_app.store.runs import Run
from kalla_core.answers.spread import MOST_DAYS, Days, SideSpread, Spread, sized, spread_of
from kalla_core.errors import EvidenceGone, KallaError
from kalla_core.evidence.reader import open_evidence
from kalla_core.jobs.model import Counts
from kalla_core.matching.sql.query import Side
from tests.support.evidence import commit_evidence, place_in
from tests.support.reports import ledger_of, ran

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RUN = Run("r", "books", 1, "Books", RunState(), "anna", NOW, NOW, NOW)
BOUND_S = 120
MUCH = 1 << 40
SPACE = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"

EXPONENTS = st.integers(-76, 75)
SIZES = (
    st.none()
    | st.just(0)
    | st.builds(lambda n, less: sized(n, negative=less), EXPONENTS, st.booleans())
)
COUNTED = st.dictionaries(SIZES, st.integers(1, 50), max_size=5)


@given(st.none() | COUNTED, COUNTED, COUNTED)
def test_every_row_has_a_bar_and_every_open_one_stands_where_its_bar_leads(
    matched: dict[Any, int] | None, unmatched: dict[Any, int], ambiguous: dict[Any, int]
) -> None:
    lines = list(size_lines(SideSpread("amount", matched, unmatched, ambiguous)))

    everywhere = Counter(unmatched) + Counter(ambiguous)
    wanted = {*everywhere, *(matched or ())}
    labels = [one.label for one in lines]
    assert len({*labels}) == len(labels)
    assert {size_words(size) for size in wanted} <= {*labels}
    assert {one.label: one.open for one in lines if one.open} == {
        size_words(size): count for size, count in everywhere.items()
    }
    for at, one in enumerate(lines):
        assert one.before == sum(other.open for other in lines[:at])
        assert one.before_ambiguous == sum(other.ambiguous for other in lines[:at])
        assert one.matched == (None if matched is None else one.rows - one.open)
    if matched is not None:
        assert sum(one.matched or 0 for one in lines) == sum(matched.values())


def test_sizes_stand_in_the_order_of_amounts_and_none_between_two_of_a_sign_is_left_out() -> None:
    found = {sized(2, negative=True): 1, sized(0, negative=True): 2, sized(-2): 3, sized(0): 4}

    lines = list(size_lines(SideSpread("amount", None, {**found, None: 5}, {})))

    assert [(one.label, one.open) for one in lines] == [
        (f"{MINUS}1{SPACE}000 to {MINUS}100", 1),
        (f"{MINUS}100 to {MINUS}10", 0),
        (f"{MINUS}10 to {MINUS}1", 2),
        ("0.01 to 0.1", 3),
        ("0.1 to 1", 0),
        ("1 to 10", 4),
        ("not told", 5),
    ]
    assert size_words(0) == "0"
    assert size_words(sized(37)) == "10³⁷ to 10³⁸"
    assert size_words(sized(-9, negative=True)) == f"{MINUS}10⁻⁸ to {MINUS}10⁻⁹"
    assert size_words(sized(9)) == f"1{SPACE}000{SPACE}000{SPACE}000 to 10¹⁰"


PAIRS = st.dictionaries(
    st.integers(-MOST_DAYS - 1, MOST_DAYS + 1), st.integers(1, 400), max_size=40
)


def days_of(words: str) -> range:
    """Return the days that words of a bar are about, as far as any are counted."""
    far = MOST_DAYS + 1
    if words == "the same day":
        return range(1)
    numbers = [int(one) for one in re.findall(r"[0-9]+", words)]
    near, last = numbers[0], numbers[-1]
    if words.startswith("more than"):
        return range(last + 1, far + 1) if words.endswith("after") else range(-far, -last)
    if words.startswith("fewer than"):
        return range(-far, last) if "after" in words else range(1 - last, far + 1)
    return range(near, last + 1) if words.endswith("after") else range(-last, 1 - near)


@given(PAIRS)
def test_every_match_is_counted_by_the_bar_whose_words_are_true_of_it(
    pairs: dict[int, int],
) -> None:
    lines = list(day_lines(pairs))

    for words, count in lines:
        assert count == sum(pairs.get(day, 0) for day in days_of(words)), words
    assert sum(count for _, count in lines) == sum(pairs.values())
    assert len(lines) <= 18
    assert len({label for label, _ in lines}) == len(lines)
    assert bool(lines) == bool(pairs)


@given(st.dictionaries(st.integers(-8, 7), st.integers(1, 9), min_size=1))
def test_few_days_have_a_bar_each(pairs: dict[int, int]) -> None:
    def words(day: int) -> str:
        days = "1 day" if abs(day) == 1 else f"{abs(day)} days"
        return "the same day" if day == 0 else f"{days} {'before' if day < 0 else 'after'}"

    lines = list(day_lines(pairs))

    every = range(min(pairs), max(pairs) + 1)
    assert lines == [(words(day), pairs.get(day, 0)) for day in every]


def test_what_is_far_away_is_put_together_and_does_not_flatten_the_rest() -> None:
    usual = dict.fromkeys(range(28, 36), 1000)

    late = list(day_lines({**usual, 900: 3, -2: 1}))
    early = list(day_lines({-day: count for day, count in {**usual, -900: 1, 900: 2}.items()}))
    vast = list(day_lines({-MOST_DAYS - 1: 2, MOST_DAYS + 1: 3, 999: 4}))
    wide = list(day_lines(dict.fromkeys(range(-50, 51), 1)))

    assert late[0] == ("fewer than 28 days after, or earlier", 1)
    assert late[1] == ("28 days after", 1000)
    assert late[-1] == ("more than 35 days after", 3)
    assert early[0] == ("more than 35 days before", 2)
    assert early[-1] == ("fewer than 28 days before, or later", 1)
    assert vast[0] == ("more than 1000 days before", 2)
    assert vast[-2:] == [("900 to 1000 days after", 4), ("more than 1000 days after", 3)]
    assert ("1 to 7 days before", 7) in wide
    assert ("0 to 6 days after", 7) in wide


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ledger")
    with ran(ledger_of(folder, 60)):
        return folder / "out"


def test_a_bar_leads_to_the_rows_that_it_counts(ledger: Path) -> None:
    with open_evidence(ledger) as evidence:
        tables = shown(spread_of(evidence)).sizes

    for table, name in zip(tables, ("unmatched_left", "unmatched_right"), strict=True):
        with RowSet(ledger, name) as rows:
            for one in table.lines:
                page = rows.page(Asked(name, sort=table.sort), one.before, one.open)
                found = page.rows.column(table.column).to_pylist()
                assert [size_words(size_of(amount)) for amount in found] == [one.label] * one.open
    assert [table.side for table in tables] == ["left", "right"]


def size_of(amount: Decimal) -> int:
    return 0 if amount == 0 else sized(amount.adjusted(), negative=amount < 0)


@pytest.mark.parametrize("days", [None, Days(("a", "b"), {-3: 1, 0: 2}, 4)])
@pytest.mark.parametrize("matched", [None, {None: 1, 0: 2, sized(3, negative=True): 3}])
def test_what_is_written_is_read_again(
    days: Days | None,
    matched: dict[Any, int] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit_evidence(tmp_path / "out", "r", matched=1, left=1, right=1)
    side = SideSpread('<b>"amount"', matched, {sized(-5): 1}, {None: 7})
    spread = Spread({Side.RIGHT: side}, days)
    monkeypatch.setattr(spread_file, "spread_of", lambda _: spread)

    write_spread(tmp_path / "out", tmp_path / "beside" / "r", MUCH)

    assert read_spread(tmp_path / "out", tmp_path / "beside" / "r") == spread
    (tmp_path / "out" / "metadata.json").touch()
    assert read_spread(tmp_path / "out", tmp_path / "beside" / "r") is None


def counting(folder: Path, beside: Path, many: int = 1_000_000) -> Spreads:
    return Spreads(place_in(folder), beside, many)


async def until_counted(spreads: Spreads) -> Spread:
    """Ask again and again, as a page does."""
    async with asyncio.timeout(BOUND_S):
        while (found := await spreads.find(RUN, 0.05)) is None:
            pass
    return found


async def test_a_large_run_is_counted_by_a_process_once_and_others_read_what_it_wrote(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = counting(ledger, tmp_path), counting(ledger, tmp_path, many=10)

    expected = await until_counted(few)
    there = spread_path(tmp_path / "r").exists()
    found = await until_counted(many)
    monkeypatch.setattr(module, "worked", None)  # nobody begins another process
    again = [await until_counted(one) for one in (many, counting(ledger, tmp_path, many=10))]

    assert not there
    assert spread_path(tmp_path / "r").exists()
    assert [found, *again] == [expected] * 3
    for one in (few, many):
        await one.close()


async def test_a_run_that_has_ended_is_counted_before_anybody_asks(
    ledger: Path, tmp_path: Path
) -> None:
    spreads = counting(ledger, tmp_path, many=10)
    small, large = (
        replace(
            RUN,
            state=RunState(
                status=RunStatus.SUCCEEDED, counts=Counts(total_left=rows, total_right=5)
            ),
        )
        for rows in (4, 5)
    )

    before = asyncio.all_tasks()
    spreads.note(small)
    assert asyncio.all_tasks() == before
    spreads.note(large)

    async with asyncio.timeout(BOUND_S):
        await asyncio.gather(*asyncio.all_tasks() - before)
    assert spread_path(tmp_path / "r").exists()
    await spreads.close()


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    commit_evidence(folder, "r", matched=40, left=1, right=1)
    (folder / "matched.parquet").write_bytes(b"PAR1 but not for long")
    return folder


@pytest.mark.parametrize("many", [1, 1_000_000])
async def test_what_goes_wrong_is_said_in_a_line_to_everybody(
    damaged: Path, tmp_path: Path, many: int
) -> None:
    spreads = counting(damaged, tmp_path / "beside", many)

    for _ in range(2):
        with pytest.raises(KallaError, match="cannot be told") as told:
            await until_counted(spreads)
        assert "\n" not in told.value.message
    await spreads.close()


async def test_a_process_that_cannot_write_is_not_begun_again(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    async def fails(*asked: object) -> int:
        begun.append(asked)
        return 1

    monkeypatch.setattr(module, "worked", fails)
    spreads = counting(ledger, tmp_path, many=1)

    for _ in range(3):
        with pytest.raises(EvidenceGone, match="The log says why"):
            await until_counted(spreads)

    assert len(begun) == 1


async def test_evidence_of_rows_that_have_no_amounts_or_dates_shows_nothing(tmp_path: Path) -> None:
    commit_evidence(tmp_path / "out", "r", matched=3, left=2, right=0)

    found = await until_counted(counting(tmp_path / "out", tmp_path / "beside"))

    seen = shown(found)
    assert (seen.is_counted, seen.sizes, seen.days, seen.said) == (True, (), None, "")
    assert pq.read_metadata(tmp_path / "out" / "matched.parquet").num_rows == 3
