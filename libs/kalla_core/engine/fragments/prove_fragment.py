"""Whether an executor sees what a run needs: its sources as they were pinned, and its staging."""

from __future__ import annotations

import secrets
from pathlib import Path

from kalla_core.engine.spool.scan import OpenSource
from kalla_core.errors import KallaError, NotAllowed
from kalla_core.fragments.outcome import ProveDone
from kalla_core.fragments.remote import JobContext, ProveWork
from kalla_core.s3.location import is_s3
from kalla_core.sources.protocol import EVERYTHING, PinnedSource, SourceAccess
from kalla_core.sources.registry import connector_for


def run_prove(
    job: JobContext,
    work: ProveWork,
    access: SourceAccess = EVERYTHING,
) -> ProveDone:
    """Return what is not to be seen from here: the first source, else the staging folder.

    Raises:
        NotAllowed: a source names what this executor is not to give it.
    """
    for pinned in (job.left, job.right, *job.extras):
        problem = _unseen(pinned, access)
        if problem is not None:
            return ProveDone(problem)
    if not work.nonce_name or is_s3(job.staging):
        return ProveDone(None)
    return ProveDone(_unshared(Path(job.staging), work))


def _unseen(pinned: PinnedSource, access: SourceAccess) -> str | None:
    try:
        source = OpenSource(connector_for(pinned.spec, access), pinned)
        source.connector.verify(pinned)
    except NotAllowed:
        raise  # another folder or machine does not mend that
    except KallaError as error:
        return error.message
    return None


def _unshared(staging: Path, work: ProveWork) -> str | None:
    """Read what the coordinator wrote, and write something: both have to work."""
    try:
        if (staging / work.nonce_name).read_text(encoding="utf-8") != work.nonce:
            return f"{staging} is another folder here than on the coordinator."
        probe = staging / f"{work.nonce_name}.{secrets.token_hex(8)}"  # others prove as well
        probe.touch()
        probe.unlink()
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        return f"The staging folder {staging} cannot be used here: {said}."
    return None
