"""Keys of several parts that nobody has, and the open row that lacks one of the parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kalla_core.answers import near_keys as looking
from kalla_core.answers.near_keys import key_parts
from kalla_core.answers.report.gather import gather
from kalla_core.answers.why.fate import why
from kalla_core.answers.why.words import answer_json, sentences
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side
from tests.support.books import Books
from tests.support.command import write_csv
from tests.unit.answers.test_why import ran

LEFT = ["1,INV-1,EUR,7", "2,INV-2,EUR,7", "3,INV-3,EUR,7", "4,O'Neil; x,EUR,7", "5,INV-5,EUR,7"]
RIGHT = ["11,INV-1,USD,7", "12,INV-2,EUR,8", "13,INV-9,GBP,9", "14,O'Neil; x,,7"]
RIGHT += [f"{n},INV-5,CHF,7" for n in (21, 22, 23)]
RIGHT += [f"{n},X{n},EUR,7" for n in range(30, 30 + looking.MOST_ALIKE + 1)]


def books_of(folder: Path, on: str) -> Books:
    write_csv(folder / "l.csv", "id,ref,ccy,branch", LEFT)
    write_csv(folder / "r.csv", "id,ref,ccy,branch", RIGHT)
    sources = {
        side: {"alias": side[0], "type": "file", "uri": f"{side[0]}.csv", "primary_key": ["id"]}
        for side in ("left", "right")
    }
    sql = f"SELECT l.id FROM l JOIN r ON {on} AND l.ccy = r.ccy AND l.branch = r.branch"
    recipe: dict[str, Any] = {"recipe_id": "r", "name": "r", "match_sql": sql, "sources": sources}
    return Books(folder, recipe)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    with ran(books_of(tmp_path_factory.mktemp("near"), "l.ref = r.ref")) as opened:
        yield opened


def told(evidence: Evidence, key: str, side: Side = Side.LEFT) -> str:
    return " ".join(sentences(why(evidence, [key], side).fates[0]))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("1", "Open with all of its key but ccy: 11, which has 'USD' and not 'EUR'."),
        ("2", "Open with all of its key but branch: 12, which has '8' and not '7'."),
        ("4", "Open with all of its key but ccy: 14, which has null and not 'EUR'."),
        ("5", "21, which has 'CHF' and not 'EUR'; 2 more rows have the rest of it."),
    ],
)
def test_the_part_that_differs_is_told_with_what_the_row_has_instead(
    evidence: Evidence, key: str, said: str
) -> None:
    assert said in told(evidence, key)


def test_a_rest_that_many_rows_have_tells_nothing(evidence: Evidence) -> None:
    assert "all of its key but" not in told(evidence, "3")
    assert "all of its key but" not in told(evidence, "13", Side.RIGHT)


def test_rows_of_the_right_are_told_likewise(evidence: Evidence) -> None:
    assert "but ccy: 1, which has 'EUR' and not 'USD'." in told(evidence, "11", Side.RIGHT)


def test_the_row_is_the_closest_in_json_and_in_reports(evidence: Evidence) -> None:
    (row,) = answer_json(why(evidence, ["1"], Side.LEFT))["found"][0]["unmatched"]
    report = gather(evidence, "out")

    assert (row["near_key"]["part"], row["near_key"]["found"]) == ("ccy", "USD")
    assert row["closest_candidate"]["row"]["ref"] == "INV-1"
    assert row["smallest_change"] == "ccy 'EUR' in 11, or a key without ccy."
    shown = {one.key: one for one in report.left.shown}
    assert shown["1"].candidate_key == "11"
    assert "which has 'USD' and not 'EUR'" in shown["1"].said
    assert [cell.name for cell in shown["1"].candidate_cells if cell.differs] == ["id", "ccy"]
    assert shown["3"].candidate_key is None


def test_no_more_rows_are_looked_at_than_a_bound(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST_LOOKED_AT", 1)

    assert "but ccy: 11" in told(evidence, "1")
    assert "all of its key but" not in told(evidence, "2")


def test_of_a_part_that_is_computed_it_is_told_that_it_differs(tmp_path: Path) -> None:
    books = books_of(tmp_path, "upper(l.ref) = upper(r.ref)")
    write_csv(tmp_path / "r.csv", "id,ref,ccy,branch", ["11,INV-7,EUR,7", "12,INV-8,USD,9"])

    with ran(books) as opened:
        assert (
            "all of its key but upper(ref): 11, which has something else and not 'INV-1'."
        ) in told(opened, "1")


@pytest.mark.parametrize(
    ("detail", "parts"),
    [
        ("No row of r has a = 'x, b = 1', b = 7.", (("a", "x, b = 1"), ("b", "7"))),
        ("ref: No row of r has a = 'it''s', b = 7.5.", (("a", "it's"), ("b", "7.5"))),
        ("No row of r has a = 'x'.", ()),
        ("No row of r has a = 'x', b = 7. Near in r: 12, which has a = 'X', b = 7.", ()),
        ("No row of r has a = ['x', 'y'], b = 7.", ()),
        ("a is null, and null equals nothing.", ()),
    ],
)
def test_parts_of_a_key_are_read_from_the_sentence_about_it(
    detail: str, parts: tuple[tuple[str, str], ...]
) -> None:
    assert key_parts(detail) == parts
