import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kalla_core.errors import EvidenceDamaged
from kalla_core.evidence.collect import collect
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.names import MATCHED
from kalla_core.evidence.output import claim_output
from kalla_core.evidence.reader import read_evidence
from tests.support.evidence import metadata, write_outputs

PART = f"{MATCHED}/join-0-1.parquet"

Fault = Callable[[Path, WrittenFile], WrittenFile]


def written(shared: Path) -> WrittenFile:
    """A part file of three rows, as an executor leaves and reports it."""
    made = shared / "made"
    made.mkdir(parents=True)
    file = next(f for f in write_outputs(made, "run-1", matched=3, left=0, right=0))
    (shared / MATCHED).mkdir()
    (made / file.name).rename(shared / PART)
    return replace(file, name=PART)


def missing(path: Path, file: WrittenFile) -> WrittenFile:
    path.unlink()
    return file


def cut_off(path: Path, file: WrittenFile) -> WrittenFile:
    os.truncate(path, 8)
    return file


def no_parquet(path: Path, file: WrittenFile) -> WrittenFile:
    path.write_bytes(b"8 bytes!")
    return replace(file, bytes=8)


def other_rows(path: Path, file: WrittenFile) -> WrittenFile:
    return replace(file, rows=4)


def other_bytes(path: Path, file: WrittenFile) -> WrittenFile:
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    return file


def a_link(path: Path, file: WrittenFile) -> WrittenFile:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    return file


def a_second_name(path: Path, file: WrittenFile) -> WrittenFile:
    path.with_name("elsewhere").hardlink_to(path)
    return file


def a_pipe(path: Path, file: WrittenFile) -> WrittenFile:
    path.unlink()
    os.mkfifo(path)
    return file


FAULTS = (missing, cut_off, no_parquet, other_rows, other_bytes, a_link, a_second_name, a_pipe)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_part_that_is_not_what_was_reported_is_refused_by_its_name(
    fault: Fault, tmp_path: Path
) -> None:
    shared, staging = tmp_path / "shared", tmp_path / "staging"
    staging.mkdir()
    file = written(shared)
    reported = fault(shared / PART, file)

    with pytest.raises(EvidenceDamaged, match=r"join-0-1\.parquet"):
        collect(shared, staging, [reported])


def test_parts_that_are_what_was_reported_are_moved_away_from_those_who_wrote_them(
    tmp_path: Path,
) -> None:
    shared, staging = tmp_path / "shared", tmp_path / "staging"
    staging.mkdir()
    file = written(shared)

    collect(shared, staging, [file])

    assert (staging / PART).stat().st_size == file.bytes
    assert not (shared / PART).exists()


def test_what_a_straggler_writes_is_never_published(tmp_path: Path) -> None:
    output = tmp_path / "out"

    with claim_output(output, "run-1") as claimed:
        shared = Path(claimed.parts)
        files = write_outputs(claimed.staging, "run-1", matched=3, left=0, right=0)
        for file in files:
            (shared / file.name).mkdir()
            (shared / file.name / "join-0-2.parquet").write_text("late")
        claimed.commit(metadata("run-1", files, matched=3, left=0, right=0))
        straggled = [path for path in output.rglob("*") if "join-0-2" in path.name]

    assert straggled == []
    with read_evidence(output) as evidence:
        assert evidence.rows(MATCHED) == 3


def test_what_the_metadata_does_not_list_is_not_committed(tmp_path: Path) -> None:
    with claim_output(tmp_path / "out", "run-1") as claimed:
        files = write_outputs(claimed.staging, "run-1", matched=3, left=0, right=0)
        (claimed.staging / "more.parquet").write_text("more")

        with pytest.raises(ValueError, match=r"more\.parquet"):
            claimed.commit(metadata("run-1", files, matched=3, left=0, right=0))
