"""The output folder of a run: claimed, filled out of sight, and committed or left as it was.

    with OutputFolder.claim(path, run_id, overwrite=False) as folder:
        ...                                  # write all but metadata.json into folder.staging
        folder.commit(metadata)

Until `commit` nothing shows under the final names; leaving without it removes everything the run
made. The work lies beside the output, in `.NAME.kalla`, so that it can be renamed into place; in
`NAME/.kalla` where that folder cannot be written or is another mount. A run that is killed leaves
at most that; the next claim tidies it up. See `publish` for what a reader can see.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kalla_core.errors import OutputExists, OutputInUse, OutputNotWritable
from kalla_core.evidence.disk import HashedFile, disk_errors, sizes_below, sync_folder
from kalla_core.evidence.interrupts import uninterrupted
from kalla_core.evidence.lock import FolderLock
from kalla_core.evidence.metadata import RunMetadata, run_of, to_text
from kalla_core.evidence.names import FINAL_NAMES, METADATA, check_outputs
from kalla_core.evidence.publish import INSIDE, clear, publish, recover

if TYPE_CHECKING:
    from kalla_core.s3.multipart import PendingUpload

_TRIES = 10


class OutputFolder:
    """One run's hold on its output folder; made by `claim`.

    Attributes:
        path: the output folder, links resolved; may be missing until the commit.
        staging: where the run writes its files, on the same file system.
        scratch: for what is thrown away at the end.
    """

    def __init__(self, path: Path, run_id: str, attempt: int) -> None:
        self.path = Path(os.path.realpath(path))
        self.staging = Path()
        self.scratch = Path()
        self._shared = Path()
        self._run_id = run_id
        self._name = f"{re.sub(r'[^A-Za-z0-9.-]', '_', run_id)[:100]}_{attempt}"
        self._lock: FolderLock | None = None
        self._made: list[Path] = []

    @classmethod
    @contextmanager
    def claim(
        cls, path: Path, run_id: str, overwrite: bool = False, attempt: int = 1
    ) -> Iterator[OutputFolder]:
        """Hold an output folder for one run, in a block.

        Args:
            path: may be missing, with the folders above it.
            run_id: evidence of this run may be replaced, that of another may not.
            overwrite: unless this is set.
            attempt: at the run; in the name of the staging folder.

        Raises:
            OutputInUse: another run holds it.
            OutputExists: evidence of another run is there, or files under its names.
            OutputNotWritable: it cannot be made or written.
            OutOfDisk: there is no space for a folder.
        """
        folder = cls(path, run_id, attempt)
        try:
            with uninterrupted(), disk_errors(folder.path):
                folder._take(overwrite)
            yield folder
        finally:
            # What cannot be removed now is the next claim's to remove; the outcome stands.
            with uninterrupted(), suppress(OSError, OutputInUse):
                folder._leave()

    @classmethod
    def tidy(cls, path: Path) -> None:
        """Remove what runs that were killed left of their work; what others work on stays.

        Raises:
            OSError: something cannot be removed.
        """
        folder = cls(path, "", 0)
        beside = folder.path.with_name(f".{folder.path.name}{INSIDE}")
        with uninterrupted(), suppress(OutputInUse):
            if os.path.isdir(beside):  # False also of a name that no folder can have
                folder._lock = FolderLock.acquire(beside)
                folder._leave()
            else:
                folder._tidy_inside()

    @property
    def location(self) -> str:
        """The output folder, as messages and callers name it."""
        return str(self.path)

    @property
    def parts(self) -> str:
        """Where other processes of the run put their files, to be collected from there."""
        return str(self._shared)

    def adopt(self, uploads: Iterable[PendingUpload]) -> None:
        """Take over uploads; into a folder there are none."""
        if any(True for _ in uploads):
            raise ValueError("files of a folder are put there, not uploaded")

    def commit(self, metadata: RunMetadata) -> None:
        """Write metadata.json and show all files at once; a Ctrl-C waits until that is done.

        Raises:
            ValueError: the staged files are not those that the metadata lists.
            OutOfDisk, OutputNotWritable: nothing was changed.
        """
        self._check(metadata)
        with uninterrupted(f"its evidence is complete, in {self.path}."), disk_errors(self.path):
            HashedFile(self.staging / METADATA, to_text(metadata)).finish()
            sync_folder(self.staging)
            publish(self.staging, self.path)

    def _take(self, overwrite: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise OutputNotWritable(
                f"The output {self.path} is a file; name a folder.", path=str(self.path)
            )
        self._lock = self._lock_beside() or self._lock_inside()
        self._refuse_evidence(overwrite)
        self.staging = self._lock.folder / self._name
        self.staging.mkdir()
        self.scratch = self._lock.folder / f"{self._name}_scratch"
        self.scratch.mkdir()
        self._shared = self._lock.folder / f"{self._name}_parts"
        self._shared.mkdir()

    def _leave(self) -> None:
        if self._lock is not None:
            try:
                self._tidy_inside()
                clear(self._lock.folder)
            finally:
                self._lock.release()
        for folder in reversed(self._made):
            folder.rmdir()  # fails, as it should, once there is evidence in it

    def _lock_beside(self) -> FolderLock | None:
        """Work beside the output; None if what lies there could not be renamed into place."""
        self._make_folders(self.path.parent)
        try:
            lock = FolderLock.acquire(self.path.with_name(f".{self.path.name}{INSIDE}"))
        except OSError:
            return None
        self._lock = lock
        clear(lock.folder)
        if self.path.exists():
            self._tidy_inside()
            if not self._renames(lock.folder / "probe", self.path / INSIDE):
                self._lock = None
                lock.release()
                return None
        return lock

    def _lock_inside(self) -> FolderLock:
        self._make_folders(self.path)
        self._lock = FolderLock.acquire(self.path / INSIDE)
        recover(self.path)
        return self._lock

    def _tidy_inside(self) -> None:
        """Finish or undo what an earlier commit began in the output itself."""
        inside = self.path / INSIDE
        if self._lock is not None and self._lock.folder == inside:
            recover(self.path)
        elif inside.exists():
            lock = FolderLock.acquire(inside)
            try:
                recover(self.path)
            finally:
                lock.release()

    def _renames(self, probe: Path, target: Path) -> bool:
        """Whether the output is writable, and folders can be renamed into it."""
        probe.mkdir()
        try:
            probe.rename(target)
        except OSError:
            probe.rmdir()
            return False
        target.rmdir()
        return True

    def _make_folders(self, folder: Path) -> None:
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):  # a run that left took away what it had made
                self._make_missing(folder)
                return
        self._make_missing(folder)

    def _make_missing(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            try:
                new.mkdir()
            except FileExistsError:
                continue  # another run beside this one made it meanwhile
            self._made.append(new)

    def _refuse_evidence(self, overwrite: bool) -> None:
        found = [name for name in FINAL_NAMES if os.path.lexists(self.path / name)]
        if overwrite or not found:
            return
        run_id = _run_of(self.path / METADATA)
        if run_id == self._run_id:
            return
        whose = f"the evidence of run {run_id}" if run_id else f"{', '.join(found)}"
        raise OutputExists(
            f"The output {self.path} already holds {whose}; choose another folder, or ask for "
            "overwriting.",
            path=str(self.path),
        )

    def _check(self, metadata: RunMetadata) -> None:
        """Demand that what is staged is what the metadata lists, to the file and the byte."""
        check_outputs(file.name for file in metadata.files)
        wanted = {file.name: file.bytes for file in metadata.files}
        staged = sizes_below(self.staging)
        if staged != wanted:
            raise ValueError(f"staged are {staged} bytes, to be committed {wanted}")


def _run_of(metadata: Path) -> str | None:
    """Return the run that a metadata.json speaks of; None if there is none, or it is not ours."""
    try:
        return run_of(metadata.read_bytes())
    except OSError:
        return None
