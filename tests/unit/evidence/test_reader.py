import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import KallaError, OutputUnavailable, SourceNotFound, SourceUnreadable
from kalla_core.evidence.names import MATCHED, METADATA, UNMATCHED
from kalla_core.evidence.places import MAX_METADATA_BYTES
from kalla_core.evidence.reader import open_evidence, read_evidence
from kalla_core.matching.sql.query import Side
from tests.support.evidence import commit_evidence

Damage = Callable[[Path], None]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    commit_evidence(tmp_path / "out", "run-1", matched=3, left=2, right=1)
    return tmp_path / "out"


def test_evidence_is_read_with_its_metadata_and_all_rows(evidence: Path) -> None:
    with read_evidence(evidence) as read:
        rows = {name: read.rows(name) for name in (MATCHED, *UNMATCHED.values())}
        table = read.table(MATCHED)

    assert read.metadata.run_id == "run-1"
    assert rows == {MATCHED: 3, UNMATCHED[Side.LEFT]: 2, UNMATCHED[Side.RIGHT]: 1}
    assert table.equals(pq.read_table(evidence / MATCHED))


def test_an_empty_output_is_read_with_its_schema(tmp_path: Path) -> None:
    commit_evidence(tmp_path / "out", "run-1", matched=0, left=0, right=0)

    with read_evidence(tmp_path / "out") as read:
        table = read.table(MATCHED)

    assert table.num_rows == 0
    assert table.schema == pq.read_schema(tmp_path / "out" / MATCHED)


def test_evidence_that_was_opened_stays_whole_when_newer_takes_its_place(evidence: Path) -> None:
    with read_evidence(evidence) as read:
        commit_evidence(evidence, "run-2", matched=5, left=0, right=0, overwrite=True)
        rows = read.table(MATCHED).num_rows

    assert rows == 3
    with read_evidence(evidence) as newer:
        assert newer.table(MATCHED).num_rows == 5


@pytest.mark.parametrize("missing", ["nowhere", "."])
def test_where_there_is_no_metadata_there_is_no_evidence(missing: str, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no complete evidence"):
        read_evidence(tmp_path / missing)


def cut_off(folder: Path) -> None:
    data = (folder / MATCHED).read_bytes()
    (folder / MATCHED).write_bytes(data[:-1])


def change_a_byte(folder: Path) -> None:
    data = bytearray((folder / MATCHED).read_bytes())
    data[len(data) // 8] ^= 1
    (folder / MATCHED).write_bytes(data)


def change_the_footer(folder: Path) -> None:
    data = bytearray((folder / MATCHED).read_bytes())
    length = int.from_bytes(data[-8:-4], "little")
    data[-8 - length : -8] = b"\xff" * length
    (folder / MATCHED).write_bytes(data)


def remove(folder: Path) -> None:
    (folder / MATCHED).unlink()


def forget_a_file(folder: Path) -> None:
    change_metadata(folder, lambda document: document["files"].pop())


def count_wrongly(folder: Path) -> None:
    change_metadata(folder, lambda document: document.update(unmatched_left_count=1))


def lose_a_row(folder: Path) -> None:
    change_metadata(folder, lambda document: document.update(left_record_count=99))


def claim_more_rows(folder: Path) -> None:
    change_metadata(folder, lambda document: document["files"][0].update(rows=4))


def spoil_metadata(folder: Path) -> None:
    (folder / METADATA).write_text("{")


def change_metadata(folder: Path, change: Callable[[dict], object]) -> None:
    document = json.loads((folder / METADATA).read_text())
    change(document)
    (folder / METADATA).write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_off, "bytes, not"),
        (change_a_byte, "SHA-256 differs"),
        (remove, "cannot be read"),
        (forget_a_file, "not among its files"),
        (count_wrongly, "2 rows, not 1"),
        (lose_a_row, "left rows do not add up"),
        (claim_more_rows, "3 rows, not 4"),
        (spoil_metadata, "metadata.json is damaged"),
    ],
)
def test_evidence_that_is_not_what_its_metadata_says_is_refused(
    damage: Damage, said: str, evidence: Path
) -> None:
    damage(evidence)

    with pytest.raises(SourceUnreadable, match=said):
        read_evidence(evidence)


def test_without_verification_the_bytes_are_not_compared(evidence: Path) -> None:
    change_a_byte(evidence)

    with read_evidence(evidence, verify=False) as read:
        assert read.rows(MATCHED) == 3


def test_a_footer_that_cannot_be_read_shows_without_verification_too(evidence: Path) -> None:
    change_the_footer(evidence)

    with pytest.raises(SourceUnreadable, match="is not Parquet"):
        read_evidence(evidence, verify=False)


def test_an_output_may_be_a_folder_of_parts(evidence: Path) -> None:
    whole = pq.read_table(evidence / MATCHED)
    (evidence / MATCHED).rename(evidence / "whole")
    (evidence / MATCHED).mkdir()
    (evidence / "whole").rename(evidence / MATCHED / "part-0.parquet")
    change_metadata(
        evidence,
        lambda document: document["files"][0].update(name=f"{MATCHED}/part-0.parquet"),
    )

    with read_evidence(evidence) as read:
        assert read.table(MATCHED).equals(whole)
        assert isinstance(next(read.batches(MATCHED)), pa.RecordBatch)


def test_metadata_that_cannot_be_read_now_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").mkdir()

    with pytest.raises(OutputUnavailable, match="cannot be read now"):
        read_evidence(tmp_path)


def a_link_to_the_same(folder: Path) -> None:
    (folder / MATCHED).rename(folder.parent / "elsewhere.parquet")
    (folder / MATCHED).symlink_to(folder.parent / "elsewhere.parquet")


def a_linked_folder_of_parts(folder: Path) -> None:
    document = json.loads((folder / METADATA).read_text())
    (folder.parent / "elsewhere").mkdir()
    (folder / MATCHED).rename(folder.parent / "elsewhere" / "part.parquet")
    (folder / MATCHED).symlink_to(folder.parent / "elsewhere")
    (file,) = (file for file in document["files"] if file["name"] == MATCHED)
    file["name"] = f"{MATCHED}/part.parquet"
    (folder / METADATA).write_text(json.dumps(document))


def a_linked_document(folder: Path) -> None:
    (folder / METADATA).rename(folder.parent / "elsewhere.json")
    (folder / METADATA).symlink_to(folder.parent / "elsewhere.json")


def a_pipe_for_a_document(folder: Path) -> None:
    (folder / METADATA).unlink()
    os.mkfifo(folder / METADATA)


def a_pipe_for_rows(folder: Path) -> None:
    (folder / MATCHED).unlink()
    os.mkfifo(folder / MATCHED)


def an_endless_document(folder: Path) -> None:
    os.truncate(folder / METADATA, MAX_METADATA_BYTES + 1)


TRAPS = (
    a_link_to_the_same,
    a_linked_folder_of_parts,
    a_linked_document,
    a_pipe_for_a_document,
    a_pipe_for_rows,
    an_endless_document,
)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_only_regular_files_of_the_folder_itself_are_read_and_never_waited_for(
    trap: Damage, evidence: Path
) -> None:
    trap(evidence)

    with pytest.raises(KallaError, match=r"cannot be read"):
        read_evidence(evidence, verify=False)


def test_a_link_on_the_way_to_a_settled_place_leads_to_no_evidence(evidence: Path) -> None:
    (evidence.parent / "door").symlink_to(evidence)

    with open_evidence(evidence.parent / "door") as read:
        rows = read.rows(MATCHED)

    assert rows == 3
    with pytest.raises(KallaError):
        open_evidence(evidence.parent / "door", settled=True)


def test_the_bytes_served_are_those_of_the_file_that_was_checked(evidence: Path) -> None:
    whole = (evidence / MATCHED).read_bytes()
    (evidence.parent / "secret").write_bytes(b"x" * len(whole))

    with read_evidence(evidence) as read:
        (evidence / MATCHED).unlink()
        (evidence / MATCHED).symlink_to(evidence.parent / "secret")
        with read.raw(MATCHED) as raw:
            served = raw.read()

    assert served == whole
