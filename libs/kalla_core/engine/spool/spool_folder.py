"""The folder of one executor's spools: what attempts leave behind, until their job ends.

    ROOT/kalla-spool-EXECUTOR/
        lock                                         held as long as the executor lives
        held/RUN/RUN_ATTEMPT/STAGE-FRAGMENT-ATTEMPT.KIND     published spool files
        scratch/RUN,RUN_ATTEMPT,STAGE-FRAGMENT-ATTEMPT/      of fragments that run now

Whoever opens a folder sweeps those beside it whose executors are gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from kalla_core.engine.spool.disk_peak import tree_bytes
from kalla_core.engine.spool.published import NotSpooled, open_published
from kalla_core.engine.spool.spool import SpoolFile
from kalla_core.errors import OutputInUse
from kalla_core.evidence.disk import disk_errors
from kalla_core.evidence.lock import FolderLock
from kalla_core.fragments.attempt import AttemptId, parse_attempt_id

_PREFIX = "kalla-spool-"
_LOOK_S = 30.0
"""How long others may take to see that a folder is new, and to let it go."""


class SpoolKind(StrEnum):
    """What a spool file holds: rows by bucket, key hashes by class, marks by side, what is told."""

    ROWS = "rows"
    KEYS = "keys"
    MARKS = "marks"
    TOLD = "told"


@dataclass(frozen=True, slots=True)
class SpoolFolder:
    """Paths in such a folder. Plain data: the processes of an executor share it by its path."""

    path: Path

    def file(self, attempt: AttemptId, kind: SpoolKind) -> Path:
        """Return where a spool file of an attempt lies once it is published."""
        return self._job(attempt) / f"{attempt.file_stem}.{kind.value}"

    def open(self, attempt: AttemptId, kind: SpoolKind) -> SpoolFile:
        """Return a published file.

        Raises:
            NotSpooled: it is not here, or not whole.
        """
        return open_published(self.file(attempt, kind))

    def beside(self, executor_id: str) -> SpoolFolder:
        """Return the folder of another executor, if it lies where this one does."""
        return SpoolFolder(self.path.with_name(f"{_PREFIX}{executor_id}"))

    def prepare(self, attempt: AttemptId) -> None:
        """Make the folder that files of an attempt are published in.

        Raises:
            OutOfDisk, OutputNotWritable: it cannot be made.
        """
        folder = self._job(attempt)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def scratch(self, attempt: AttemptId) -> Iterator[Path]:
        """Give a fragment a folder for what it throws away; it is removed at the end.

        Raises:
            OutOfDisk, OutputNotWritable: it cannot be made.
        """
        folder = self._scratch(attempt)
        with disk_errors(folder):
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            self.remove_scratch(attempt)

    def scratch_bytes(self, attempt: AttemptId) -> int:
        """Return what a fragment has on disk beside what it published."""
        return tree_bytes(self._scratch(attempt))

    def remove_scratch(self, attempt: AttemptId) -> None:
        """Remove what a fragment would have thrown away, had it not been killed."""
        _removed(self._scratch(attempt))

    def held(self) -> tuple[AttemptId, ...]:
        """Return the attempts that have a published file here, sorted."""
        found = set()
        for file in self._held().glob("*/*/*.*"):
            run_id, run_attempt = file.parent.parent.name, file.parent.name
            stage, _, number = file.stem.partition("-")
            with suppress(ValueError):
                found.add(parse_attempt_id(f"{run_id}/{run_attempt}/{stage}/{number}"))
        return tuple(sorted(found))

    def forget(self, run_id: str, run_attempt: int) -> None:
        """Remove what a run attempt, and those before it, left behind."""
        folder = self._held() / run_id
        for number in _numbers(folder):
            if number <= run_attempt:
                _removed(folder / str(number))
        with suppress(OSError):
            folder.rmdir()

    def runs(self) -> Mapping[Path, int]:
        """Return the folders of run attempts, each with when something was last published in it.

        In nanoseconds of the file system's clock: good to see that something has changed.
        """
        found = {}
        for folder in list(self._held().glob("*/*")):
            with suppress(OSError):
                found[folder] = folder.stat().st_mtime_ns
        return found

    def bytes(self) -> int:
        """Return what lies here, published or not."""
        return tree_bytes(self.path)

    def _scratch(self, attempt: AttemptId) -> Path:
        return self.path / "scratch" / str(attempt).replace("/", ",")

    def _held(self) -> Path:
        return self.path / "held"

    def _job(self, attempt: AttemptId) -> Path:
        return self._held() / attempt.run_id / str(attempt.run_attempt)


@dataclass
class Unvisited:
    """Watches for run attempts that nobody comes for any more, or to say that they are over.

    By a clock that nobody sets: a wall clock that is set forward makes nothing old.

    Attributes:
        now: seconds of that clock.
    """

    folder: SpoolFolder
    now: Callable[[], float] = time.monotonic
    _seen: dict[Path, tuple[int, float]] = field(default_factory=dict)

    def forget(self, age: timedelta) -> tuple[str, ...]:
        """Remove those in which nothing was published for so long; return which they were."""
        now, removed = self.now(), []
        before, self._seen = self._seen, {}
        for folder, changed in self.folder.runs().items():
            seen = before.get(folder)
            since = now if seen is None or seen[0] != changed else seen[1]
            if now - since > age.total_seconds():
                _removed(folder)
                removed.append(f"{folder.parent.name}/{folder.name}")
            else:
                self._seen[folder] = (changed, since)
        return tuple(removed)


@contextmanager
def own_folder(root: Path, executor_id: str) -> Iterator[SpoolFolder]:
    """Make and hold an executor's folder below `root`; it is removed at the end.

    Raises:
        OutOfDisk, OutputNotWritable: it cannot be made.
    """
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        sweep(root)
        lock = _locked(root / f"{_PREFIX}{executor_id}")
    try:
        yield SpoolFolder(lock.folder)
    finally:
        for entry in list(lock.folder.iterdir()):
            if entry.is_dir():
                _removed(entry)
        with suppress(OSError):  # a slot that was killed a moment ago may still write
            lock.release()


def _locked(folder: Path) -> FolderLock:
    """Lock a folder that is nobody else's, once those who look whether it lives are done with it.

    Raises:
        OutputInUse: it is held for longer than a look takes.
    """
    end = time.monotonic() + _LOOK_S
    while True:
        try:
            return FolderLock.acquire(folder)
        except OutputInUse:
            if time.monotonic() > end:
                raise
        time.sleep(0.01)


def sweep(root: Path) -> tuple[Path, ...]:
    """Remove the folders of executors that are gone; which they were."""
    swept = []
    for folder in root.glob(f"{_PREFIX}*"):
        try:
            lock = FolderLock.acquire(folder)
        except (OutputInUse, OSError):
            continue  # it lives, or is not ours to remove
        for entry in list(folder.iterdir()):
            if entry.is_dir():
                _removed(entry)
        with suppress(OSError):
            lock.release()
        swept.append(folder)
    return tuple(swept)


def _numbers(folder: Path) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()]
    return []


def _removed(folder: Path) -> None:
    """Remove a folder with what is in it, as far as that can be done."""
    import shutil  # brings what packs and unpacks files; most runs spool nothing

    shutil.rmtree(folder, ignore_errors=True)


__all__ = ["NotSpooled", "SpoolFolder", "SpoolKind", "own_folder", "sweep"]
