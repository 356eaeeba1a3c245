"""Parts of the evidence that a fragment writes, under names that no other attempt has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from kalla_core.engine.fragments.remote_run import RemoteRun, query_of
from kalla_core.engine.joins.sinks import EvidenceSinks, Outputs
from kalla_core.evidence.disk import disk_errors
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.s3_output import output_errors
from kalla_core.fragments.outcome import EvidencePart
from kalla_core.s3.bucket import bucket
from kalla_core.s3.location import S3Location, is_s3
from kalla_core.s3.multipart import upload

PAIRS = (MATCHED,)
UNMATCHED_ROWS = tuple(UNMATCHED.values())
ALL = (MATCHED, *UNMATCHED_ROWS)


class Closable(Protocol):
    """What writes the outputs; see `EvidenceSinks`."""

    def close(self) -> tuple[WrittenFile, ...]:
        """Finish all files; the figures of each, in the order of the outputs."""
        ...

    def abandon(self) -> None:
        """Close what is open."""
        ...


S = TypeVar("S", bound=Closable)


@dataclass
class PartFiles(Generic[S]):
    """The part files of one fragment while they are written; made by `writing_parts`."""

    sinks: S
    _run: RemoteRun
    _outputs: Outputs

    def finish(self) -> tuple[EvidencePart, ...]:
        """Finish the files; return those that count.

        One without rows counts only in fragment 0 of its stage, so that each output exists.
        """
        written = zip(self._outputs.items(), self.sinks.close(), strict=True)
        return tuple(
            self._part(name, path, file)
            for (name, path), file in written
            if self._counts(path, file)
        )

    def _part(self, name: str, path: Path, file: WrittenFile) -> EvidencePart:
        full_name = f"{name}/{path.name}"
        part = EvidencePart(full_name, file.rows, file.bytes, file.sha256)
        staging = self._run.job.staging
        if not is_s3(staging):
            return part
        prefix = S3Location.parse(staging).as_folder()
        with output_errors(prefix):
            pending = upload(bucket(prefix.bucket), path, prefix.below(full_name).key)
        return replace(part, upload_id=pending.upload_id, part_etags=pending.etags)

    def _counts(self, path: Path, file: WrittenFile) -> bool:
        if file.rows or self._run.id.fragment == 0:
            return True
        path.unlink()
        return False


def sinks_of(run: RemoteRun, *, whole: bool = False) -> Callable[[Outputs], EvidenceSinks]:
    """Return what opens the outputs of a fragment that joins, or settles what was joined.

    Args:
        whole: unmatched rows come with all columns of their source, whatever the joins read.
    """
    job = run.job
    planned = replace(run.planned, query=query_of(job)) if whole else run.planned
    return lambda files: EvidenceSinks(files, planned, job.started_at, job.recipe.groups)


@contextmanager
def writing_parts(
    run: RemoteRun, names: Sequence[str], opened: Callable[[Outputs], S]
) -> Iterator[PartFiles[S]]:
    """Open a part file of each output named; leaving by an error removes them.

    Raises:
        OutOfDisk, OutputNotWritable: they cannot be written.
    """
    outputs = _outputs(run, names)
    sinks = opened(outputs)
    try:
        yield PartFiles(sinks, run, outputs)
    except BaseException:
        sinks.abandon()
        for path in outputs.values():
            path.unlink(missing_ok=True)
        raise


def _outputs(run: RemoteRun, names: Sequence[str]) -> Outputs:
    # What goes to S3 is written here first: its upload stays invisible until it is completed.
    folder = run.scratch if is_s3(run.job.staging) else Path(run.job.staging)
    for name in names:
        with disk_errors(folder / name):
            (folder / name).mkdir(exist_ok=True)
    return {name: folder / name / f"{run.id.file_stem}.parquet" for name in names}
