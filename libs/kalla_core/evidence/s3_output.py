"""Evidence in a bucket: claimed by one run, filled out of sight, and committed or taken away.

Files are written to this machine first. The commit uploads them by multipart, so that nothing
shows; when all bytes are there it says in the claim which keys are about to change, removes the
metadata.json that is to be replaced, completes the uploads, and puts the new metadata.json last.
A reader that finds metadata.json finds everything it lists.

What S3 cannot do, and a folder can:

- Four keys do not change in one step. While evidence is *replaced* there is a moment without
  metadata.json; a run killed in that moment leaves neither the old evidence nor the new, and the
  next claim removes the rest of both, by the list in the claim.
- A claim (`s3_claim`) keeps runs apart that begin while it is renewed. A run that hangs for
  longer than a lease between its last look at the claim and the completion of its uploads, a few
  requests, could still overwrite its successor's files. metadata.json is only put where none is,
  so it never lists the files of one run under the name of another, and `reader` compares sizes.
- A store without conditional writes (AWS, MinIO, Ceph and others have them) keeps apart only runs
  that do not begin at the same moment.
- A killed run's uploads are kept, and paid for, until the next claim of the same prefix, or until
  a coordinator that finds the job over tidies up (`tidy`); a lifecycle rule for incomplete uploads
  is a good idea.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kalla_core.errors import (
    KallaError,
    OutputExists,
    OutputInUse,
    OutputNotWritable,
    OutputUnavailable,
)
from kalla_core.evidence.collect import check_object
from kalla_core.evidence.disk import disk_errors, sizes_below
from kalla_core.evidence.interrupts import uninterrupted
from kalla_core.evidence.lock import FolderLock
from kalla_core.evidence.metadata import RunMetadata, run_of, to_text
from kalla_core.evidence.names import FINAL_NAMES, METADATA
from kalla_core.evidence.publish import clear
from kalla_core.evidence.s3_claim import HeldClaim, run_of_claim
from kalla_core.s3.bucket import Bucket, bucket
from kalla_core.s3.location import S3Location
from kalla_core.s3.multipart import PendingUpload, abort, abort_by_id, complete, upload
from kalla_core.s3.troubles import S3Error, Trouble

_LAST_ATTEMPT = 1 << 62
"""Above any other: of a run that is over."""
_FILES = tuple(name for name in FINAL_NAMES if name != METADATA)


class S3Output:
    """One run's hold on a prefix; made by `claim`.

    Attributes:
        staging: where the run writes its files, on this machine.
        scratch: for what is thrown away at the end.
    """

    def __init__(self, prefix: S3Location, store: Bucket, lock: FolderLock, name: str) -> None:
        self.staging = lock.folder / name
        self.scratch = lock.folder / f"{name}_scratch"
        self._prefix = prefix
        self._bucket = store
        self._lock = lock
        self._claim: HeldClaim | None = None
        self._is_swept = True
        self._pending: dict[str, PendingUpload] = {}
        self._adopted: set[str] = set()

    @classmethod
    @contextmanager
    def claim(
        cls, output: str, run_id: str, overwrite: bool, attempt: int, workspace: Path | None
    ) -> Iterator[S3Output]:
        """Hold a prefix for one run, in a block (see `claim_output`)."""
        prefix = S3Location.parse(output).as_folder()
        name = f"{re.sub(r'[^A-Za-z0-9.-]', '_', run_id)[:100]}_{attempt}"
        root = _workspace(workspace)
        lock = _locked(root, prefix)
        try:
            with output_errors(prefix):
                made = cls(prefix, bucket(prefix.bucket), lock, name)
            try:
                with uninterrupted(), output_errors(prefix), disk_errors(lock.folder):
                    made._take(run_id, attempt, overwrite, root)
                yield made
            finally:
                with uninterrupted():
                    made._leave()
        finally:
            # What cannot be removed now is the next claim's to remove; the outcome stands.
            with uninterrupted(), suppress(OSError):
                clear(lock.folder)
            with uninterrupted(), suppress(OSError):
                lock.release()
                root.rmdir()  # fails, as it should, while other runs work below it

    @classmethod
    def tidy(cls, output: str, run_id: str) -> None:
        """Remove what a run left whose process is gone for good (see `tidy_output`)."""
        prefix = S3Location.parse(output).as_folder()
        with output_errors(prefix):
            left = run_of_claim(bucket(prefix.bucket), prefix)
        if left == run_id:
            with cls.claim(output, run_id, True, _LAST_ATTEMPT, None):
                pass

    @property
    def location(self) -> str:
        """The prefix, as `s3://bucket/prefix/`."""
        return str(self._prefix)

    @property
    def parts(self) -> str:
        """Where other processes upload to: the prefix itself, for uploads do not show."""
        return str(self._prefix)

    def adopt(self, uploads: Iterable[PendingUpload]) -> None:
        """Take over uploads of other processes (see `Output.adopt`)."""
        for one in uploads:
            if not _is_ours(self._name_of(one.key)):
                raise ValueError(f"{one.key} is no file of the evidence at {self._prefix}")
            self._pending[one.key] = one
            self._adopted.add(one.key)

    def commit(self, metadata: RunMetadata) -> None:
        """Upload what is staged, and show everything (see `Output.commit`)."""
        claim = self._claim
        if claim is None:
            raise ValueError("what is to be committed was never claimed")
        self._check(metadata)
        with output_errors(self._prefix), disk_errors(self.staging):
            for file in metadata.files:
                key = self._prefix.below(file.name).key
                if key not in self._pending:
                    self._pending[key] = upload(self._bucket, self.staging / file.name, key)
            with uninterrupted(f"its evidence is complete, in {self.location}."):
                self._publish(claim, metadata)

    def _take(self, run_id: str, attempt: int, overwrite: bool, root: Path) -> None:
        clear(self._lock.folder)
        self._claim = HeldClaim.acquire(self._bucket, self._prefix, run_id, attempt, root)
        self._sweep()
        self._refuse_evidence(run_id, overwrite)
        self.staging.mkdir()
        self.scratch.mkdir()

    def _leave(self) -> None:
        """Abort what was not committed and let go of the claim, if the store still answers."""
        claim = self._claim
        if claim is None:
            return
        if not self._is_swept:
            claim.abandon()
            return
        try:
            for one in self._pending.values():
                abort(self._bucket, one)
            if not claim.is_lost:
                self._abort_uploads()
        except S3Error as error:
            if error.trouble is Trouble.BUSY:  # as it would be for everything else
                claim.abandon()
                return
        with suppress(S3Error):
            claim.release()

    def _sweep(self) -> None:
        """Remove what a killed run left: uploads, and keys of a commit that was not finished."""
        self._abort_uploads()
        if self._claim is None or not self._claim.leftover:
            return
        self._is_swept = False
        if METADATA not in self._names_there():
            self._delete(key for key in self._claim.leftover if _is_ours(self._name_of(key)))
        self._claim.journal(())
        self._is_swept = True

    def _abort_uploads(self) -> None:
        for key, upload_id in self._bucket.uploads(self._prefix.key):
            if _is_ours(self._name_of(key)):
                abort_by_id(self._bucket, key, upload_id)

    def _refuse_evidence(self, run_id: str, overwrite: bool) -> None:
        found = [name for name in FINAL_NAMES if name in self._names_there()]
        if overwrite or not found:
            return
        holder = None
        if METADATA in found:
            holder = run_of(self._bucket.get(self._prefix.below(METADATA).key).body)
        if holder == run_id:
            return
        whose = f"the evidence of run {holder}" if holder else ", ".join(found)
        raise OutputExists(
            f"The output {self._prefix} already holds {whose}; choose another prefix, or ask for"
            " overwriting.",
            path=str(self._prefix),
        )

    def _publish(self, claim: HeldClaim, metadata: RunMetadata) -> None:
        old = sorted({*self._keys_there()} - {*self._pending})
        metadata_key = self._prefix.below(METADATA).key
        is_replacing = METADATA in self._names_there()
        claim.journal((*self._pending, *old))
        self._is_swept = False
        try:
            if is_replacing:
                self._bucket.delete(metadata_key)
                is_replacing = False
            for one in self._pending.values():
                complete(self._bucket, one)
            self._check_adopted(metadata)
            self._delete(old)
            if self._bucket.put(metadata_key, to_text(metadata)) is None:
                raise S3Error(Trouble.CHANGED, "has evidence of another run by now.")
        except BaseException:
            self._undo(claim, metadata_key, old, is_untouched=is_replacing)
            raise
        self._pending.clear()
        self._is_swept = True

    def _undo(
        self, claim: HeldClaim, metadata_key: str, old: Sequence[str], *, is_untouched: bool
    ) -> None:
        """Remove what has become visible, and what is left of what it was to replace.

        Evidence whose metadata.json could not be removed stays as it was. What cannot be removed
        now is left to the next claim, with the journal; what somebody else has written by now is
        theirs.
        """
        with suppress(S3Error, OutputInUse):
            claim.journal((*self._pending, *old))  # or it is no longer ours
            if not (is_untouched and METADATA in self._names_there()):
                self._bucket.delete(metadata_key)
                self._delete(self._keys_there())
            self._is_swept = True

    def _check(self, metadata: RunMetadata) -> None:
        sizes = sizes_below(self.staging)
        sizes |= {self._name_of(one.key): one.size_bytes for one in self._pending.values()}
        wanted = {file.name: file.bytes for file in metadata.files}
        if sizes != wanted:
            raise ValueError(f"staged are {sizes} bytes, to be committed {wanted}")

    def _check_adopted(self, metadata: RunMetadata) -> None:
        """Look at what other processes uploaded, now that it can be read."""
        for file in metadata.files:
            key = self._prefix.below(file.name).key
            if key in self._adopted:
                check_object(self._bucket, key, file)

    def _keys_there(self) -> list[str]:
        """Return the keys of evidence, metadata.json aside, that show at this moment."""
        found = []
        for name in _FILES:
            listing = self._bucket.list(self._prefix.below(name).key)
            found += [one.key for one in listing.objects if _is_ours(self._name_of(one.key))]
        return found

    def _names_there(self) -> set[str]:
        """Return what lies right below the prefix: files, and folders of files."""
        listing = self._bucket.list(self._prefix.key, "/")
        keys = [*(one.key for one in listing.objects), *listing.folders]
        return {self._name_of(key).rstrip("/") for key in keys}

    def _name_of(self, key: str) -> str:
        """Return a key's name below the prefix; empty for a key elsewhere."""
        prefix = self._prefix.key
        return key[len(prefix) :] if key.startswith(prefix) else ""

    def _delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._bucket.delete(key)


@contextmanager
def output_errors(prefix: S3Location) -> Iterator[None]:
    """Turn an `S3Error` of the block into the error of an output, naming it."""
    try:
        yield
    except S3Error as error:
        raise _output_error(error, prefix) from error


def _output_error(error: S3Error, prefix: S3Location) -> KallaError:
    message = f"The output {prefix} {error.sentence}"
    match error.trouble:
        case Trouble.BUSY:
            return OutputUnavailable(message, path=str(prefix))
        case Trouble.CHANGED | Trouble.CONFLICT:
            return OutputInUse(message, path=str(prefix))
        case _:
            return OutputNotWritable(message, path=str(prefix))


def _is_ours(name: str) -> bool:
    return name.partition("/")[0] in _FILES


def _workspace(workspace: Path | None) -> Path:
    """Return a folder of this user's own, made below the workspace.

    Raises:
        OutputNotWritable: it cannot be made, or somebody else has made it.
    """
    root = (workspace or Path(tempfile.gettempdir())) / f"kalla-outputs-{os.getuid()}"
    with disk_errors(root):
        root.mkdir(mode=0o700, exist_ok=True)
        status = root.lstat()
    if root.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise OutputNotWritable(
            f"Evidence for S3 is gathered in {root}, which is not this user's alone.",
            path=str(root),
        )
    return root


def _locked(root: Path, prefix: S3Location) -> FolderLock:
    name = hashlib.sha256(str(prefix).encode()).hexdigest()[:24]
    try:
        with disk_errors(root):
            root.mkdir(mode=0o700, exist_ok=True)
            return FolderLock.acquire(root / name)
    except OutputInUse:
        raise OutputInUse(
            f"Another run on this machine is writing its evidence to {prefix}; wait for it, or"
            " choose another output.",
            path=str(prefix),
        ) from None
