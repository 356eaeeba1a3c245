import os
import resource
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kalla_core.errors import InvalidUri, OutOfDisk, OutputExists, OutputInUse, OutputNotWritable
from kalla_core.evidence.folder import OutputFolder
from kalla_core.evidence.metadata import RunMetadata, WrittenFile
from kalla_core.evidence.names import FINAL_NAMES, MATCHED, METADATA, OF_EVERY_RUN, SOMETIMES
from kalla_core.evidence.output import claim_output
from kalla_core.evidence.publish import INSIDE, in_order
from kalla_core.evidence.reader import read_evidence
from tests.support.evidence import commit_evidence, metadata

NOBODY = 65534


def commit(output: Path, run_id: str, *, overwrite: bool = False) -> None:
    commit_evidence(output, run_id, matched=2, left=1, right=1, overwrite=overwrite)


def everything_below(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def names_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@contextmanager
def nobody() -> Iterator[None]:
    """Lose the rights of root, to whom no folder is closed."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach, closed folders in it opened again at the end."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        for path in [Path(name), *Path(name).rglob("*")]:
            path.chmod(0o755)


def fail_halfway(output: Path) -> None:
    with OutputFolder.claim(output, "run-1", overwrite=True) as folder:
        (folder.staging / MATCHED).write_text("half")
        (folder.scratch / "spool").write_text("half")
        raise ZeroDivisionError


def staged(folder: OutputFolder) -> RunMetadata:
    files = []
    for name in OF_EVERY_RUN:
        if name != METADATA:
            (folder.staging / name).write_text("rows")
            files.append(WrittenFile(name, 0, 4, ""))
    return metadata("run-2", tuple(files), matched=0, left=0, right=0)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond `size`, as a full disk or a quota would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_committed_evidence_is_there_with_nothing_beside_it(tmp_path: Path) -> None:
    commit(tmp_path / "a" / "out", "run-1")

    assert names_below(tmp_path) == ["a", "a/out", *sorted(f"a/out/{n}" for n in OF_EVERY_RUN)]


def test_until_the_commit_nothing_shows(tmp_path: Path) -> None:
    output = tmp_path / "out"

    with OutputFolder.claim(output, "run-1") as folder:
        (folder.staging / MATCHED).write_text("half")
        shown = output.exists()

    assert not shown


@pytest.mark.parametrize("laid", [False, True])
def test_a_run_that_fails_leaves_everything_as_it_was(laid: bool, tmp_path: Path) -> None:
    if laid:
        commit(tmp_path / "a" / "out", "old")
        (tmp_path / "a" / "out" / "note.txt").write_text("mine")
    before, names = everything_below(tmp_path), names_below(tmp_path)

    with pytest.raises(ZeroDivisionError):
        fail_halfway(tmp_path / "a" / "out")

    assert everything_below(tmp_path) == before
    assert names_below(tmp_path) == names


def test_evidence_of_another_run_is_refused_by_its_name_and_not_touched(tmp_path: Path) -> None:
    commit(tmp_path / "out", "run-1")
    before = everything_below(tmp_path)

    with pytest.raises(OutputExists, match="the evidence of run run-1"):
        commit(tmp_path / "out", "run-2")

    assert everything_below(tmp_path) == before


def test_evidence_of_the_same_run_is_replaced(tmp_path: Path) -> None:
    commit(tmp_path / "out", "run-1")
    commit_evidence(tmp_path / "out", "run-1", matched=7, left=0, right=0)

    with read_evidence(tmp_path / "out") as evidence:
        assert evidence.rows(MATCHED) == 7


def test_overwriting_replaces_evidence_and_keeps_other_files(tmp_path: Path) -> None:
    commit(tmp_path / "out", "run-1")
    (tmp_path / "out" / "note.txt").write_text("mine")
    (tmp_path / "out" / "reports").mkdir()
    (tmp_path / "out" / "reports" / "q1.txt").write_text("mine too")

    commit(tmp_path / "out", "run-2", overwrite=True)

    with read_evidence(tmp_path / "out") as evidence:
        assert evidence.metadata.run_id == "run-2"
    kept = {"note.txt", "reports", "reports/q1.txt"}
    assert set(names_below(tmp_path / "out")) == {*OF_EVERY_RUN, *kept}


@pytest.mark.parametrize("name", FINAL_NAMES)
def test_a_file_of_somebody_under_one_of_our_names_is_refused_unless_told(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("whose is this?")

    with pytest.raises(OutputExists, match=name):
        commit(tmp_path / "out", "run-1")
    untouched = (tmp_path / "out" / name).read_text()
    commit(tmp_path / "out", "run-1", overwrite=True)

    assert untouched == "whose is this?"
    with read_evidence(tmp_path / "out") as evidence:
        assert evidence.metadata.run_id == "run-1"


def test_a_folder_that_is_held_is_in_use(tmp_path: Path) -> None:
    with OutputFolder.claim(tmp_path / "out", "run-1") as folder:
        (folder.staging / MATCHED).write_text("half")
        with pytest.raises(OutputInUse), OutputFolder.claim(tmp_path / "out", "run-2"):
            pass
        held = (folder.staging / MATCHED).read_text()

    assert held == "half"
    commit(tmp_path / "out", "run-3")


def left_by_a_killed_run(output: Path) -> None:
    parts = output.with_name(f".{output.name}.kalla") / "run-1_1_parts" / MATCHED
    parts.mkdir(parents=True)
    (parts / "join-0-1").write_text("half")
    (parts.parents[1] / "lock").touch()


def test_what_a_killed_run_left_is_tidied_and_evidence_stays(tmp_path: Path) -> None:
    commit(tmp_path / "out", "run-0")
    before = everything_below(tmp_path)
    left_by_a_killed_run(tmp_path / "out")

    OutputFolder.tidy(tmp_path / "out")

    assert everything_below(tmp_path) == before


def test_what_somebody_works_on_is_not_tidied(tmp_path: Path) -> None:
    with OutputFolder.claim(tmp_path / "out", "run-1") as folder:
        (folder.staging / MATCHED).write_text("half")

        OutputFolder.tidy(tmp_path / "out")

        assert (folder.staging / MATCHED).read_text() == "half"


@pytest.mark.parametrize("name", ["out", "o" * 250])
def test_where_nothing_was_left_nothing_is_made(tmp_path: Path, name: str) -> None:
    OutputFolder.tidy(tmp_path / name)

    assert names_below(tmp_path) == []


def test_a_link_to_the_folder_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    with (
        OutputFolder.claim(tmp_path / "link", "run-1"),
        pytest.raises(OutputInUse),
        OutputFolder.claim(tmp_path / "real", "run-2"),
    ):
        pass
    commit(tmp_path / "link", "run-3")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / METADATA).exists()


def test_one_of_many_gets_the_folder_and_its_evidence_is_whole(tmp_path: Path) -> None:
    def try_to(run: int) -> str:
        try:
            commit(tmp_path / "out", f"run-{run}", overwrite=True)
        except OutputInUse:
            return "in use"
        return f"run-{run}"

    with ThreadPoolExecutor(8) as many:
        outcomes = list(many.map(try_to, range(40)))

    with read_evidence(tmp_path / "out") as evidence:
        assert evidence.metadata.run_id in outcomes
    assert sorted(os.listdir(tmp_path)) == ["out"]


@pytest.mark.parametrize("with_a_note", [False, True])
def test_a_reader_never_sees_a_mix(with_a_note: bool, tmp_path: Path) -> None:
    output = tmp_path / "out"
    commit(output, "run-0")
    if with_a_note:
        (output / "note.txt").write_text("mine")

    def keep_writing() -> None:
        for number in range(1, 30):
            commit(output, f"run-{number}", overwrite=True)

    writer = threading.Thread(target=keep_writing)

    writer.start()
    seen = []
    while writer.is_alive():
        with read_evidence(output) as evidence:
            rows = evidence.table(MATCHED).column("run").to_pylist()
            seen.append((evidence.metadata.run_id, rows))
    writer.join()

    assert seen
    assert all(rows == [run_id, run_id] for run_id, rows in seen)


def test_a_file_in_the_place_of_the_folder_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    for output in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(OutputNotWritable), OutputFolder.claim(output, "run-1"):
            pass

    assert names_below(tmp_path) == ["out"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_of_somebody_else_is_not_writable(exists: bool, open_folder: Path) -> None:
    output = open_folder / "closed" / "out"
    (output if exists else output.parent).mkdir(parents=True)
    for folder in (output, output.parent):
        if folder.exists():
            folder.chmod(0o555)
    before = names_below(open_folder)

    with nobody(), pytest.raises(OutputNotWritable), OutputFolder.claim(output, "run-1"):
        pass

    assert names_below(open_folder) == before


def test_a_folder_in_a_closed_one_is_filled_from_within(open_folder: Path) -> None:
    output = open_folder / "closed" / "out"
    output.mkdir(parents=True)
    output.chmod(0o777)
    output.parent.chmod(0o555)

    with nobody():
        commit(output, "run-1")
        commit(output, "run-2", overwrite=True)

    with read_evidence(output) as evidence:
        assert evidence.metadata.run_id == "run-2"
    assert names_below(open_folder / "closed") == ["out", *sorted(f"out/{n}" for n in OF_EVERY_RUN)]


def test_a_folder_keeps_its_owner_and_its_rights(tmp_path: Path) -> None:
    owner = NOBODY if os.geteuid() == 0 else os.geteuid()
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
    (tmp_path / "ours").chmod(0o750)
    os.chown(tmp_path / "theirs", owner, -1)

    commit(tmp_path / "theirs", "run-1")
    commit(tmp_path / "ours", "run-1")

    assert (tmp_path / "theirs").stat().st_uid == owner
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == 0o750


def test_who_stands_in_the_folder_still_stands_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    commit(Path(), "run-1")
    commit(Path(), "run-2", overwrite=True)

    assert sorted(os.listdir()) == sorted(OF_EVERY_RUN)


def test_a_disk_that_is_full_at_the_commit_leaves_what_was_there(tmp_path: Path) -> None:
    commit(tmp_path / "out", "run-1")
    before = everything_below(tmp_path)

    with OutputFolder.claim(tmp_path / "out", "run-2", overwrite=True) as folder:
        described = staged(folder)
        with largest_file(100), pytest.raises(OutOfDisk):
            folder.commit(described)

    assert everything_below(tmp_path) == before


@pytest.mark.parametrize("change", ["missing", "longer", "unknown"])
def test_files_that_are_not_those_of_the_metadata_are_not_committed(
    change: str, tmp_path: Path
) -> None:
    with OutputFolder.claim(tmp_path / "out", "run-1") as folder:
        described = staged(folder)
        if change == "missing":
            (folder.staging / MATCHED).unlink()
        else:
            name = MATCHED if change == "longer" else "other"
            (folder.staging / name).write_text("longer")
        with pytest.raises(ValueError, match=r"staged are|bytes, not"):
            folder.commit(described)

    assert names_below(tmp_path) == []


def test_run_ids_of_any_form_make_a_staging_folder(tmp_path: Path) -> None:
    for run_id in ("../../etc", "a/b", "x" * 500, "", "ä ö"):
        with OutputFolder.claim(tmp_path / "out", run_id) as folder:
            assert folder.staging.parent == tmp_path / ".out.kalla"


def test_a_name_too_long_to_work_beside_is_worked_in(tmp_path: Path) -> None:
    output = tmp_path / ("x" * 255)

    commit(output, "run-1")

    assert sorted(os.listdir(output)) == sorted(OF_EVERY_RUN)
    assert os.listdir(tmp_path) == [output.name]


def test_runs_that_begin_side_by_side_in_a_new_folder_do_not_hinder_each_other(
    tmp_path: Path,
) -> None:
    def claim(round_: int, run: int) -> None:
        together.wait(timeout=30)
        output = tmp_path / str(round_) / "new" / f"out-{run}"
        with OutputFolder.claim(output, f"run-{run}") as folder:
            assert folder.staging.is_dir()

    together, quick = threading.Barrier(4), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for round_ in range(100):
                for claimed in [pool.submit(claim, round_, run) for run in range(4)]:
                    claimed.result(timeout=30)
    finally:
        sys.setswitchinterval(quick)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("output", ["http://u:secret@host/out", "file:///tmp/out", "x://../../out"])
def test_an_address_of_something_else_is_not_taken_for_a_folder(output: str) -> None:
    with pytest.raises(InvalidUri) as raised:
        claim_output(output, "run-1")

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("way", ["exchanged", "by_links", "in_order"])
def test_outputs_that_newer_evidence_does_not_have_are_gone(tmp_path: Path, way: str) -> None:
    output = tmp_path / "out"
    commit(output, "run-1")
    for name in SOMETIMES:
        (output / name).write_text("old")
    if way != "exchanged":
        (output / "note.txt").write_text("mine")

    if way == "in_order":
        staged_files = output / INSIDE / "new"
        staged_files.mkdir(parents=True)
        for name in OF_EVERY_RUN:
            (staged_files / name).write_text("new")
        in_order(staged_files, output)
    else:
        commit(output, "run-2", overwrite=True)

    kept = set() if way == "exchanged" else {"note.txt"}
    assert {path.name for path in output.iterdir()} - {INSIDE} == {*OF_EVERY_RUN, *kept}


def test_evidence_with_an_output_that_it_cannot_have_is_not_committed(tmp_path: Path) -> None:
    with OutputFolder.claim(tmp_path / "out", "run-2") as folder:
        told = staged(folder)
        (folder.staging / "guessed.parquet").write_text("rows")
        files = (*told.files, WrittenFile("guessed.parquet", 0, 4, ""))

        with pytest.raises(ValueError, match="guessed"):
            folder.commit(replace(told, files=files))
