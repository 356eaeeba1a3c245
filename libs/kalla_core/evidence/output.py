"""Where a run's evidence goes, whatever kind of place that is.

    with claim_output("s3://bucket/runs/7", run_id) as output:
        ...                                 # write all but metadata.json into output.staging
        output.commit(metadata)

Until `commit` nothing shows under the final names; leaving the block without it leaves nothing.
`folder` says what that means in a folder, `s3_output` in a bucket, where it is worth less.

When other processes write evidence as well, each puts its files where `parts` says: into that
folder, or by `upload` to that prefix; the process that holds the claim `adopt`s the uploads.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kalla_core.errors import InvalidUri
from kalla_core.evidence.disk import disk_errors
from kalla_core.evidence.folder import OutputFolder
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.observe.secrets import mask_text
from kalla_core.s3.location import is_s3

if TYPE_CHECKING:
    from kalla_core.s3.multipart import PendingUpload


class Output(Protocol):
    """One run's hold on the place of its evidence."""

    staging: Path
    """An empty folder of this machine, for the files: `matched.parquet`, or files below a folder
    of that name."""
    scratch: Path
    """An empty folder for what is thrown away at the end."""

    @property
    def location(self) -> str:
        """A path, or `s3://bucket/prefix/`."""
        ...

    @property
    def parts(self) -> str:
        """Where other processes of the run put files: a folder, or `s3://bucket/prefix/`."""
        ...

    def adopt(self, uploads: Iterable[PendingUpload]) -> None:
        """Take over uploads of other processes: the commit completes them, else they are aborted.

        Raises:
            ValueError: one that is not below `parts`, or this place takes none.
        """
        ...

    def commit(self, metadata: RunMetadata) -> None:
        """Write metadata.json last and show everything; a Ctrl-C waits until that is done.

        Raises:
            ValueError: what was staged or adopted is not what the metadata lists.
            OutOfDisk, OutputNotWritable, OutputUnavailable: nothing shows.
            OutputInUse: somebody else has taken the place meanwhile.
        """
        ...


def claim_output(
    output: str | Path,
    run_id: str,
    overwrite: bool = False,
    attempt: int = 1,
    workspace: Path | None = None,
) -> AbstractContextManager[Output]:
    """Hold the place of a run's evidence, in a block.

    Args:
        output: a folder, or `s3://bucket/prefix`.
        run_id: evidence of this run may be replaced, that of another may not.
        overwrite: unless this is set.
        attempt: at the run; a later attempt takes the place from an earlier one.
        workspace: existing folder for what goes to S3, until it has gone; None for the system's
            temporary one. Evidence for a folder lies beside that.

    Raises:
        InvalidUri: an address in S3 that is none, or one of anything else.
        OutputInUse: another run holds it.
        OutputExists: evidence of another run is there, or files under its names.
        OutputNotWritable: it cannot be made or written.
        OutputUnavailable: the store does not answer.
        OutOfDisk: there is no space for a folder.
    """
    if isinstance(output, str) and is_s3(output):
        from kalla_core.evidence.s3_output import S3Output

        return S3Output.claim(output, run_id, overwrite, attempt, workspace)
    if isinstance(output, str) and "://" in output:
        shown = mask_text(output)
        raise InvalidUri(f"An output is a folder or s3://bucket/prefix, not {shown}.", uri=shown)
    return OutputFolder.claim(Path(output), run_id, overwrite, attempt)


def tidy_output(output: str, run_id: str) -> None:
    """Remove what a run that was killed, and that nobody carries on, left of its work.

    In a folder that is whatever lies there or beside it; in a bucket uploads, the claim of the run,
    and files that its commit had not got to describe. What somebody works on stays, and so does
    evidence.

    Raises:
        OutputInUse: another run has the prefix by now, and tidies it.
        OutputNotWritable: something cannot be removed.
        OutputUnavailable: the store does not answer; the next claim of the prefix removes it.
    """
    if is_s3(output):
        from kalla_core.evidence.s3_output import S3Output

        S3Output.tidy(output, run_id)
        return
    with disk_errors(Path(output)):
        OutputFolder.tidy(Path(output))
