"""What became of a fragment, as its executor tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kalla_core.errors import FetchFailed, KallaError
from kalla_core.fragments.attempt import AttemptId, parse_attempt_id
from kalla_core.fragments.cause import Cause, cause_of
from kalla_core.fragments.crowd import Crowd
from kalla_core.fragments.several import Several
from kalla_core.matching.query import Side

SideCounts = Mapping[Side, int]
SideSeveral = Mapping[Side, Several]


@dataclass(frozen=True, slots=True)
class BucketSize:
    """What a scan spooled of one bucket.

    Attributes:
        raw_bytes: as Arrow batches in memory.
        stored_bytes: as they lie on disk and travel.
    """

    bucket: int
    rows: int
    raw_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class ScanDone:
    """A part was read and spooled.

    Attributes:
        excluded: rows that the filters removed; None where the source filtered itself.
        null_keys: rows with a null in their primary key.
        buckets: those that are not empty, in their order.
        stored_bytes: of everything that it left on disk.
    """

    rows: int
    excluded: int | None
    null_keys: int
    buckets: tuple[BucketSize, ...]
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class EvidencePart:
    """A part file of the evidence, not yet committed.

    Attributes:
        name: relative to the staging place, as `matched.parquet/join-3-1.parquet`.
        upload_id: S3 only: the multipart upload that the coordinator completes.
        part_etags: of its parts, in their order.
    """

    name: str
    rows: int
    bytes: int
    sha256: str
    upload_id: str = ""
    part_etags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JoinDone:
    """Some buckets were joined.

    Attributes:
        files: those that have rows; fragment 0 of a stage writes all of its outputs, so that
            each exists.
        joined: rows of the inputs, counted as they came out of the spool.
        matched: distinct rows in a pair; if rows are settled later, within this fragment.
        duplicate_keys: rows that repeat a primary key, in the census classes of this fragment.
        several: rows in two pairs or more; none if rows are settled later.
        crowds: the largest; none if rows are settled later.
        ways: how it was joined, `kalla_core.engine.totals.Way` to number.
        held_bytes: of the marks on disk, if rows are settled later.
        groups: matches that rows of matched belong to; None if they do not say to which.
    """

    files: tuple[EvidencePart, ...]
    joined: SideCounts
    matched: SideCounts
    duplicate_keys: SideCounts
    ways: Mapping[str, int] = field(default_factory=dict)
    fetched_bytes: int = 0
    spilled_bytes: int = 0
    held_bytes: int = 0
    several: SideSeveral = field(default_factory=lambda: dict.fromkeys(Side, Several()))
    crowds: tuple[Crowd, ...] = ()
    groups: int | None = None


@dataclass(frozen=True, slots=True)
class SettleDone:
    """Some buckets were settled.

    Attributes:
        settled: rows looked at.
        matched: distinct rows with a mark, of those.
        several: rows in two pairs or more, of those.
        crowds: the largest, of those.
    """

    files: tuple[EvidencePart, ...]
    settled: SideCounts
    matched: SideCounts
    fetched_bytes: int = 0
    spilled_bytes: int = 0
    several: SideSeveral = field(default_factory=lambda: dict.fromkeys(Side, Several()))
    crowds: tuple[Crowd, ...] = ()


@dataclass(frozen=True, slots=True)
class ProveDone:
    """What of the run's folders is not to be seen from here; None if all is."""

    problem: str | None


@dataclass(frozen=True, slots=True)
class FetchFault:
    """Inputs that could not be read: of which executor, and which of them.

    An executor that does not answer is told with all attempts that were wanted of it.

    Attributes:
        unreachable: it does not answer, and may still have them.
    """

    executor_id: str
    attempts: tuple[AttemptId, ...]
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class FragmentFailed:
    """It failed.

    Attributes:
        fetch: what could not be fetched, with `Cause.FETCH_FAILED`.
    """

    error: KallaError
    cause: Cause
    fetch: FetchFault | None = None


Outcome = ScanDone | JoinDone | SettleDone | ProveDone | FragmentFailed


@dataclass(frozen=True, slots=True)
class FragmentEnded:
    """The last word on an attempt; seconds from its launch."""

    id: AttemptId
    seconds: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class FragmentProgress:
    """How far an attempt has come; each report stands for itself.

    Attributes:
        rows: read (scan), joined or settled so far.
        bytes: read so far, as Arrow batches.
        matched_rows: pairs so far.
        fetched_bytes: from peers so far.
    """

    id: AttemptId
    rows: int = 0
    bytes: int = 0
    matched_rows: int = 0
    fetched_bytes: int = 0


def fetch_failed(message: str, fault: FetchFault) -> FetchFailed:
    """Return the error of inputs that could not be fetched."""
    return FetchFailed(
        message,
        executor_id=fault.executor_id,
        attempts=[str(attempt) for attempt in fault.attempts],
        unreachable=fault.unreachable,
    )


def failed(error: KallaError) -> FragmentFailed:
    """Return an error as the outcome of a fragment."""
    return FragmentFailed(error, cause_of(error), _fault(error))


def _fault(error: KallaError) -> FetchFault | None:
    attempts = error.details.get("attempts")
    if not isinstance(error, FetchFailed) or not isinstance(attempts, list | tuple):
        return None
    executor_id = str(error.details.get("executor_id"))
    unreachable = error.details.get("unreachable") is True
    return FetchFault(
        executor_id, tuple(parse_attempt_id(str(one)) for one in attempts), unreachable
    )
