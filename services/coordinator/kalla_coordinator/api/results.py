"""The evidence of a job, opened for reading. All here blocks: it is for threads."""

from __future__ import annotations

from enum import StrEnum

from kalla_core.errors import EvidenceGone, JobEnded, SourceNotFound, SourceUnreadable
from kalla_core.evidence.reader import Evidence, open_evidence
from kalla_core.evidence.rows import BATCH_BYTES
from kalla_core.jobs.model import Job, JobStatus


class EvidenceSet(StrEnum):
    """The outputs of a run."""

    MATCHED = "matched"
    UNMATCHED_LEFT = "unmatched_left"
    UNMATCHED_RIGHT = "unmatched_right"
    SUGGESTED = "suggested"
    AMBIGUOUS = "ambiguous"
    PARTLY_MATCHED_LEFT = "partly_matched_left"
    PARTLY_MATCHED_RIGHT = "partly_matched_right"
    ATTEMPTS = "attempts"

    @property
    def output(self) -> str:
        """The name of its file, or of its folder of part files."""
        return f"{self.value}.parquet"


_ENCODING_BATCHES = 4


def streaming_bytes(evidence: Evidence, which: EvidenceSet) -> int:
    """Return what a stream of an output takes at most, about: read, encoded, and on its way."""
    return evidence.reading_bytes(which.output) + _ENCODING_BATCHES * BATCH_BYTES


def demand(evidence: Evidence, which: EvidenceSet) -> None:
    """Refuse an output that the evidence does not have.

    Raises:
        EvidenceGone: the recipe of the run could not fill it.
    """
    if not evidence.has(which.output):
        raise EvidenceGone(f"The evidence has no `{which}`: the recipe cannot fill it.")


def open_results(job: Job) -> Evidence:
    """Open the evidence of a job; the caller closes it.

    Raises:
        JobEnded: it has none, since it has not succeeded.
        EvidenceGone: it is no longer there, or no longer that of this job.
        KallaError: where it lies does not answer.
    """
    if job.status is not JobStatus.SUCCEEDED:
        raise JobEnded(
            f"The job {job.run_id} has no evidence: it is {job.status.value}.",
            status=job.status.value,
        )
    try:
        evidence = open_evidence(job.output_path, settled=True)
    except (SourceNotFound, SourceUnreadable) as error:
        raise EvidenceGone(
            f"The evidence of the job {job.run_id} cannot be read any more: {error.message}"
        ) from error
    if evidence.metadata.run_id != job.run_id:
        evidence.close()
        raise EvidenceGone(
            f"Where the evidence of the job {job.run_id} was now lies that of the run "
            f"{evidence.metadata.run_id}."
        )
    return evidence
