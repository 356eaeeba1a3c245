"""Damage to evidence, each kind of it, is found and named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kalla_core.answers.verification.accounts import check_side
from kalla_core.answers.verification.damage import Damage, verification_json
from kalla_core.answers.verification.verify import verify
from kalla_core.errors import SourceNotFound
from kalla_core.evidence.metadata import canonical_json
from kalla_core.evidence.names import MATCHED, METADATA, UNMATCHED
from kalla_core.evidence.reader import open_evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import GroupForm
from kalla_core.recipe.parse import load_recipe
from tests.support.books import make_books
from tests.support.runs import run_in_process

LEFT = UNMATCHED[Side.LEFT]


@pytest.fixture(scope="module")
def books_evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    run_in_process(load_recipe(make_books(folder).write()), folder / "out")
    return folder / "out"


@pytest.fixture
def evidence(books_evidence: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(books_evidence, tmp_path / "out"))


def described(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change metadata.json as somebody would who wants to hide a damage."""
    document = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    change(document)
    recipe = canonical_json(document["recipe"])
    document["recipe_sha256"] = hashlib.sha256(recipe).hexdigest()
    (folder / METADATA).write_text(json.dumps(document), encoding="utf-8")


def rewritten(folder: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the rows of a file, and let the metadata say that it was always so."""
    pq.write_table(change(pq.read_table(folder / name)), folder / name)
    data = (folder / name).read_bytes()
    rows = pq.read_metadata(folder / name).num_rows

    def tell(document: dict[str, Any]) -> None:
        for file in document["files"]:
            if file["name"] == name:
                digest = hashlib.sha256(data).hexdigest()
                file |= {"rows": rows, "bytes": len(data), "sha256": digest}
        counts = {MATCHED: "matched_count", LEFT: "unmatched_left_count"}
        document[counts[name]] = rows

    described(folder, tell)


def test_the_evidence_of_a_run_is_sound(evidence: Path) -> None:
    done = verify(evidence)

    assert done.sound
    assert [check.name for check in done.checks if check.covered and not check.skipped] == [
        "metadata",
        "files",
        "counts",
        "strangers",
        "left rows",
        "right rows",
        "match ids",
    ]
    assert verification_json(done)["sound"] is True


def test_a_bit_that_flipped_is_found_by_the_hash(evidence: Path) -> None:
    path = evidence / MATCHED
    data = bytearray(path.read_bytes())
    before = hashlib.sha256(data).hexdigest()
    data[40] ^= 1
    path.write_bytes(data)

    done = verify(evidence)

    assert Damage(MATCHED, "its SHA-256", before, hashlib.sha256(data).hexdigest()) in done.damages
    assert done.checks[-1].skipped


def test_a_file_that_is_cut_off_is_short_and_no_parquet(evidence: Path) -> None:
    size = (evidence / LEFT).stat().st_size
    (evidence / LEFT).write_bytes((evidence / LEFT).read_bytes()[:100])

    found = {(damage.file, damage.what): damage for damage in verify(evidence).damages}

    assert found[LEFT, "its length"].expected == f"{size:,} bytes"
    assert found[LEFT, "its length"].found == "100 bytes"
    assert (LEFT, "its SHA-256") in found
    assert (LEFT, "its content") in found


def test_every_damage_is_told_not_only_the_first(evidence: Path) -> None:
    (evidence / MATCHED).unlink()
    (evidence / LEFT).write_bytes(b"PAR1")
    described(evidence, lambda document: document.update(left_record_count=99))

    files = {damage.file for damage in verify(evidence).damages}

    assert files == {MATCHED, LEFT, METADATA}


def test_a_recipe_that_was_changed_is_told(evidence: Path) -> None:
    text = (evidence / METADATA).read_text(encoding="utf-8")
    (evidence / METADATA).write_text(text.replace("0.02)", "0.05)"), encoding="utf-8")

    (damage,) = verify(evidence).damages

    assert damage.file == METADATA
    assert "SHA-256 differs" in damage.found


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"run_id": 1}'])
def test_metadata_that_is_none_is_a_damage_and_no_crash(evidence: Path, text: str) -> None:
    (evidence / METADATA).write_text(text, encoding="utf-8")

    (damage,) = verify(evidence).damages

    assert damage.file == METADATA


def test_no_evidence_is_not_damaged_evidence(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        verify(tmp_path)


def test_rows_that_were_taken_away_do_not_add_up(evidence: Path) -> None:
    rewritten(evidence, LEFT, lambda table: table.slice(1))

    found = [damage.what for damage in verify(evidence).damages]

    assert "rows of the left side add up" in found


def test_a_row_that_is_matched_and_unmatched_is_named(evidence: Path) -> None:
    def swapped(table: pa.Table) -> pa.Table:
        keys = pa.array(["1", *table.column("record_key").to_pylist()[1:]])
        return table.set_column(0, "record_key", keys)

    rewritten(evidence, LEFT, swapped)

    (damage,) = verify(evidence).damages

    assert damage == Damage(LEFT, "rows that are matched as well", "none", "'1'")


def test_a_row_that_is_unmatched_twice_is_named(evidence: Path) -> None:
    def twice(table: pa.Table) -> pa.Table:
        keys = table.column("record_key").to_pylist()
        return table.set_column(0, "record_key", pa.array([keys[0], *keys[:-1]]))

    rewritten(evidence, LEFT, twice)

    (damage,) = verify(evidence).damages

    assert damage.what == "rows that stand there twice"


def test_a_matched_row_that_nobody_counted_is_told(evidence: Path) -> None:
    described(
        evidence,
        lambda document: document.update(matched_left_count=3, left_record_count=6),
    )

    (damage,) = verify(evidence).damages

    assert damage == Damage(
        METADATA, "matched_left_count", "3", "2 distinct keys in matched.parquet"
    )


def test_a_match_id_that_is_not_of_its_keys_is_told(evidence: Path) -> None:
    def other(table: pa.Table) -> pa.Table:
        return table.set_column(0, "match_id", pc.utf8_reverse(table.column(0)))

    rewritten(evidence, MATCHED, other)

    (damage,) = verify(evidence).damages

    assert damage.what == "match_id"
    assert damage.found.startswith("2 that are not")


def test_a_row_with_more_partners_than_the_recipe_allows_is_named(evidence: Path) -> None:
    described(evidence, lambda document: document["recipe"].update(cardinality="1:1"))
    assert verify(evidence).sound

    def doubled(table: pa.Table) -> pa.Table:
        again = table.slice(0, 1)
        other = again.set_column(2, "right_key", table.column("right_key").slice(1))
        return pa.concat_tables([table, other])

    rewritten(evidence, MATCHED, doubled)

    damages = verify(evidence).damages

    first = pq.read_table(evidence / MATCHED).column("left_key")[0]
    second = pq.read_table(evidence / MATCHED).column("right_key")[1]
    told = {damage.what: damage.found for damage in damages}
    assert told["partners of left rows in the pass 'match_sql'"] == f"several for '{first}'"
    assert told["partners of right rows in the pass 'match_sql'"] == f"several for '{second}'"


def test_a_file_among_the_parts_of_an_output_that_nobody_wrote_is_told(evidence: Path) -> None:
    inside = evidence / MATCHED
    moved = evidence / "one"
    inside.rename(moved)
    inside.mkdir()
    moved.rename(inside / "join-0.parquet")

    def parts(document: dict[str, Any]) -> None:
        for file in document["files"]:
            if file["name"] == MATCHED:
                file["name"] = f"{MATCHED}/join-0.parquet"

    described(evidence, parts)
    assert verify(evidence).sound
    shutil.copy(inside / "join-0.parquet", inside / "join-1.parquet")

    (damage,) = verify(evidence).damages

    assert damage.file == f"{MATCHED}/join-1.parquet"


def test_keys_that_repeat_leave_a_count_that_is_at_least_possible(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    path = tmp_path / "invoices.csv"
    path.write_text(path.read_text().replace("2,R-2", "1,R-2"), encoding="utf-8")
    run_in_process(load_recipe(books.write()), tmp_path / "out")

    done = verify(tmp_path / "out")

    assert done.sound
    (left,) = [check for check in done.checks if check.name == "left rows"]
    assert "cannot be told apart" in left.skipped
    described(
        tmp_path / "out",
        lambda document: document.update(matched_left_count=4, left_record_count=7),
    )
    assert [damage.what for damage in verify(tmp_path / "out").damages] == ["matched_left_count"]


def test_matches_told_by_their_members_are_sound_and_counted(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    sql = (
        "SELECT g.ref, g.total, h.paid FROM (SELECT reference AS ref, sum(amount) AS total "
        "FROM invoices GROUP BY reference) g JOIN (SELECT reference AS ref, sum(paid_amount) AS "
        "paid FROM payments GROUP BY reference) h ON g.ref = h.ref"
    )
    books.recipe["match_sql"] = sql
    recipe = replace(load_recipe(books.write()), groups=GroupForm.MEMBERS)
    run_in_process(recipe, tmp_path / "out")
    assert verify(tmp_path / "out").sound

    described(tmp_path / "out", lambda document: document.update(matched_group_count=9))

    assert [damage.what for damage in verify(tmp_path / "out").damages] == ["groups"]


@pytest.mark.parametrize("at_once", [1, 2, 3, 1000])
def test_the_same_is_found_however_few_keys_fit_into_memory(evidence: Path, at_once: int) -> None:
    rewritten(
        evidence,
        LEFT,
        lambda table: table.set_column(0, "record_key", pa.array(["1", "3", "3"])),
    )

    with open_evidence(evidence) as opened:
        damages = check_side(opened, Side.LEFT, at_once).damages

    assert {(damage.what, damage.found) for damage in damages} == {
        ("rows that are matched as well", "'1'"),
        ("rows that stand there twice", "'3'"),
    }


def test_an_output_that_the_run_did_not_write_is_damage(evidence: Path) -> None:
    shutil.copy(evidence / "matched.parquet", evidence / "suggested.parquet")

    done = verify(evidence)

    assert [damage.file for damage in done.damages] == ["suggested.parquet"]
