"""Runs into an output folder, stopped at each step they make in the file system.

Started as a process of its own by test_killed: `interrupted_runs.py CASE kill|interrupt FOLDER`.
For n = 1, 2, ... it lays out the case, forks a run that is stopped as it begins its n-th step,
looks at what that left, claims the folder for another run that gives up, and looks again, until
a run gets through. Prints a JSON line per run.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kalla_core.evidence.folder import OutputFolder
from kalla_core.evidence.metadata import RunMetadata, SideSummary, WrittenFile, to_json
from kalla_core.evidence.names import FINAL_NAMES, METADATA
from kalla_core.evidence.publish import INSIDE, in_order, recover

STEPS = {
    "os.rename",
    "os.link",
    "os.symlink",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.chmod",
    "shutil.rmtree",
    "fcntl.flock",
    "open",
    "kalla.exchange",
}
DATA = [name for name in FINAL_NAMES if name != METADATA]


def metadata_of(run: str) -> RunMetadata:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    side = SideSummary("file", 0, 0, 0, None, 0, 0, {})
    files = tuple(WrittenFile(name, 0, len(run), "") for name in DATA)
    return RunMetadata(run, "r", now, now, side, side, 0, {}, "local", "single", files, {}, {}, {})


def lay_old(output: Path, *, matched_as_folder: bool = False) -> None:
    output.mkdir()
    (output / METADATA).write_text(json.dumps(to_json(metadata_of("old"))))
    for name in DATA:
        (output / name).write_text("old")
    if matched_as_folder:
        (output / DATA[0]).unlink()
        (output / DATA[0]).mkdir()
        (output / DATA[0] / "part-0.parquet").write_text("old")


def lay_note(output: Path) -> None:
    output.mkdir(exist_ok=True)
    (output / "note.txt").write_text("mine")


def bar_the_way_beside(output: Path) -> None:
    """Leave no place for a working folder beside the output, as in a folder of somebody else."""
    output.with_name(f".{output.name}{INSIDE}").write_text("in the way")


def fresh(output: Path) -> None:
    output.parent.mkdir(exist_ok=True)


def fresh_with_parents(output: Path) -> None:
    """Leave even the folder above missing."""


def empty(output: Path) -> None:
    output.mkdir()


def old(output: Path) -> None:
    lay_old(output)


def old_in_parts(output: Path) -> None:
    lay_old(output, matched_as_folder=True)


def foreign(output: Path) -> None:
    lay_note(output)


def foreign_and_old(output: Path) -> None:
    lay_old(output)
    lay_note(output)


def foreign_and_old_in_parts(output: Path) -> None:
    lay_old(output, matched_as_folder=True)
    lay_note(output)


def inside(output: Path) -> None:
    bar_the_way_beside(output)


def inside_and_old(output: Path) -> None:
    lay_old(output)
    bar_the_way_beside(output)


CASES = {
    case.__name__: case
    for case in (
        fresh,
        fresh_with_parents,
        empty,
        old,
        old_in_parts,
        foreign,
        foreign_and_old,
        foreign_and_old_in_parts,
        inside,
        inside_and_old,
    )
}


def commit_new(output: Path) -> None:
    with OutputFolder.claim(output, "new", overwrite=True) as folder:
        for name in DATA:
            (folder.staging / name).write_text("new")
        folder.commit(metadata_of("new"))


def claim_and_give_up(output: Path) -> None:
    with OutputFolder.claim(output, "next", overwrite=True):
        pass


def rename_in_order(output: Path) -> None:
    staged = output / INSIDE / "new_1"
    staged.mkdir(parents=True)
    (staged / METADATA).write_text(json.dumps(to_json(metadata_of("new"))))
    for name in DATA:
        (staged / name).write_text("new")
    in_order(staged, output)


def stop_at(step: int, how: str) -> None:
    count = itertools.count(1)

    def hook(event: str, _arguments: object) -> None:
        if event in STEPS and next(count) == step:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            signal.raise_signal(signal.SIGINT)

    sys.addaudithook(hook)


def forked(run: Callable[[], None]) -> int:
    """Run in a child; return its exit status: 0, 130 after Ctrl-C, or minus a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run()
            status = 0
        except KeyboardInterrupt:
            status = 130
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def seen(work: Path, output: Path) -> dict[str, object]:
    """What a reader sees under the final names, and every path there is."""
    whose = {}
    for name in FINAL_NAMES:
        path = output / name
        if path.is_dir():
            path = path / "part-0.parquet"
        if path.exists():
            text = path.read_text()
            whose[name] = json.loads(text)["run_id"] if name == METADATA else text
    return {
        "whose": whose,
        "paths": sorted(str(path.relative_to(work)) for path in work.rglob("*")),
    }


def main(case: str, how: str, root: Path) -> None:
    for step in itertools.count(1):
        work = root / str(step)
        work.mkdir()
        output = work / "out" if case != "fresh_with_parents" else work / "a" / "b" / "out"
        ordered = case.startswith("in_order_")
        CASES[case.removeprefix("in_order_")](output)
        commit = rename_in_order if ordered else commit_new
        follow = recover if ordered else claim_and_give_up

        def run(commit=commit, output=output, step=step) -> None:
            stop_at(step, how)
            commit(output)

        laid = seen(work, output)
        status = forked(run)
        left = seen(work, output)
        follow(output)
        after = seen(work, output)
        print(json.dumps({"laid": laid, "status": status, "left": left, "next": after}))
        shutil.rmtree(work)
        if status == 0:
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
