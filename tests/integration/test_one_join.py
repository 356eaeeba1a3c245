"""One join that tells matches and candidates alike, against a join for each question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from datafusion import Expr, lit

from kalla_core.engine.joins import by_key, context, join, sorted_keys
from kalla_core.engine.joins.known_pairs import Made, made_of
from kalla_core.engine.joins.totals import Way
from kalla_core.engine.keys.hashing import Key, digest
from kalla_core.engine.reasons import misses
from kalla_core.engine.reasons.misses import Misses
from kalla_core.errors import KallaError
from tests.support.corpus import corpus, plain, put_tables, run
from tests.support.runs import AMPLE
from tests.support.tables import Ran

NO_ROWS, ALL_ROWS = 0, 1 << 62
EVERY, EVERY_OTHER = 19, 21


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("corpus")
    put_tables(made)
    return made


def told(folder: Path, sql: str, monkeypatch: pytest.MonkeyPatch, few: int) -> Ran | str:
    monkeypatch.setattr(join, "FEW_ROWS", few)
    try:
        return run(folder, sql)
    except KallaError as error:
        return error.message


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return a count of the joins that told candidates too, and what was found by sorting."""
    seen: Counter[str] = Counter()
    begin = Misses.begin

    def beginning(self: Misses) -> None:
        seen["joins"] += 1
        begin(self)

    def making(*arguments: Any) -> Made:
        made = made_of(*arguments)
        *_, (at_left, _) = arguments
        seen["sorted"] += 1
        seen["told apart"] += len(at_left) - len(made.at[0]) - len(made.missed[0])
        return made

    monkeypatch.setattr(Misses, "begin", beginning)
    monkeypatch.setattr(by_key, "made_of", making)
    return seen


def check(
    folder: Path, queries: list[str], monkeypatch: pytest.MonkeyPatch, begun: Counter[str]
) -> int:
    for sql in queries:
        one = told(folder, sql, monkeypatch, NO_ROWS)
        several = told(folder, sql, monkeypatch, ALL_ROWS)
        if isinstance(one, str) or isinstance(several, str):
            assert one == several, sql
        else:
            assert one.has_the_rows_of(several), sql
    return begun["joins"]


def test_one_join_tells_what_several_tell(
    folder: Path, monkeypatch: pytest.MonkeyPatch, begun: Counter[str]
) -> None:
    queries = list(plain())[::EVERY]

    joins = check(folder, queries, monkeypatch, begun)

    assert joins > len(queries) // 2
    assert begun["sorted"] > len(queries) // 4
    assert begun["told apart"] == 0


def test_rows_whose_hashes_are_alike_are_told_apart_by_their_keys(
    folder: Path, monkeypatch: pytest.MonkeyPatch, begun: Counter[str]
) -> None:
    def coarse(columns: Sequence[Key]) -> Expr:
        return (digest(columns) % lit(5)) * lit(1 << 60)

    monkeypatch.setattr(sorted_keys, "digest", coarse)

    check(folder, list(plain())[::EVERY], monkeypatch, begun)

    assert begun["told apart"] > 0


def test_keys_that_many_rows_have_are_joined_as_they_are_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, begun: Counter[str]
) -> None:
    monkeypatch.setattr(context, "_KNOWN_PAIR_BYTES", 1 << 62)

    joins = check(folder, list(plain())[::EVERY], monkeypatch, begun)

    assert joins > 0
    assert begun["sorted"] == 0


def test_what_is_more_than_a_plain_join_is_told_as_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch, begun: Counter[str]
) -> None:
    queries = list(corpus())[len(list(plain())) :: EVERY_OTHER]

    check(folder, queries, monkeypatch, begun)

    assert begun["joins"] <= len(queries) // 2


@pytest.mark.full
def test_the_whole_corpus_is_told_alike(
    folder: Path, monkeypatch: pytest.MonkeyPatch, begun: Counter[str]
) -> None:

    assert check(folder, list(corpus()), monkeypatch, begun) > 0
    assert begun["sorted"] > 0


def test_buckets_tell_what_one_join_in_memory_tells(
    folder: Path, monkeypatch: pytest.MonkeyPatch, begun: Counter[str]
) -> None:
    sql = next(plain())
    whole = told(folder, sql, monkeypatch, NO_ROWS)

    cut = run(folder, sql, AMPLE, buckets=4)

    assert isinstance(whole, Ran)
    assert set(cut.joins) == {Way.SIDE_BY_SIDE}
    assert begun["joins"] > 1
    assert cut.has_the_rows_of(whole)


def test_candidates_that_are_too_many_are_looked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = next(plain())
    whole = told(folder, sql, monkeypatch, ALL_ROWS)
    remembered: list[Misses] = []

    class Few(Misses):
        def begin(self) -> None:
            super().begin()
            self.most = 3
            remembered.append(self)

    for module in (join, misses):
        monkeypatch.setattr(module, "Misses", Few)
    again = told(folder, sql, monkeypatch, NO_ROWS)

    assert isinstance(whole, Ran)
    assert isinstance(again, Ran)
    assert [one.known for one in remembered] == [False]
    assert again.has_the_rows_of(whole)
