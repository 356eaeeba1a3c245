"""What became of a fragment, as its executor tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from kalla_core.errors import FetchFailed, KallaError
from kalla_core.fragments.attempt import AttemptId, parse_attempt_id
from kalla_core.fragments.cause import Cause, cause_of
from kalla_core.fragments.crowd import Crowd, KeyCount
from kalla_core.fragments.fetch_fault import FetchFault
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import MAX_BUCKETS

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


@dataclass(frozen=True, slots=True, eq=False)
class BucketSizes:
    """What a scan spooled of each of some buckets, as columns: a run has a million of them.

    Attributes:
        numbers, rows, raw_bytes, stored_bytes: as in `BucketSize`; no bucket is in it twice.
    """

    numbers: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    raw_bytes: npt.NDArray[np.int64]
    stored_bytes: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self._columns}
        inside = (self.numbers >= 0) & (self.numbers < MAX_BUCKETS)
        rising = self.numbers[1:] > self.numbers[:-1]
        counts = (column >= 0 for column in self._columns)
        if len(lengths) != 1 or not all(map(np.all, (inside, rising, *counts))):
            raise ValueError(f"Sizes are of rising numbers of buckets below {MAX_BUCKETS}.")

    @classmethod
    def of(cls, sizes: Iterable[BucketSize]) -> BucketSizes:
        """Return the sizes of some buckets.

        Raises:
            ValueError: their numbers do not rise, or there is no such bucket.
        """
        found = [(one.bucket, one.rows, one.raw_bytes, one.stored_bytes) for one in sizes]
        return cls(*np.array(found, dtype=np.int64).reshape(-1, 4).T)

    def __iter__(self) -> Iterator[BucketSize]:
        columns = (column.tolist() for column in self._columns)
        return (BucketSize(*one) for one in zip(*columns, strict=True))

    def __len__(self) -> int:
        return len(self.numbers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BucketSizes):
            return NotImplemented
        return all(map(np.array_equal, self._columns, other._columns))

    def __hash__(self) -> int:
        return hash(tuple(self.numbers.tolist()))

    @property
    def _columns(self) -> tuple[npt.NDArray[np.int64], ...]:
        return self.numbers, self.rows, self.raw_bytes, self.stored_bytes


@dataclass(frozen=True, slots=True)
class KeyRange:
    """From which primary key to which a part goes, each of whose keys is above the one before it.

    Attributes:
        first, last: as bytes that are in the order of the keys.
    """

    first: bytes
    last: bytes


def all_rise(ranges: Iterable[KeyRange]) -> bool:
    """Whether no key is in two of these ranges, so that none is there twice."""
    ordered = sorted(ranges, key=attrgetter("first"))
    return all(one.last < other.first for one, other in pairwise(ordered))


@dataclass(frozen=True, slots=True)
class ScanDone:
    """A part was read and spooled.

    Attributes:
        excluded: rows that the filters removed; None where the source filtered itself.
        null_keys: rows with a null in their primary key.
        buckets: those that are not empty, in their order.
        stored_bytes: of everything that it left on disk.
        keys: that say nothing, or that very many rows have; none of an extra.
        rising: of its primary keys; None if they do not rise, or there are none.
    """

    rows: int
    excluded: int | None
    null_keys: int
    buckets: BucketSizes
    stored_bytes: int
    keys: tuple[KeyCount, ...] = ()
    rising: KeyRange | None = None


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
        ways: how it was joined, `kalla_core.engine.joins.totals.Way` to number.
        held_bytes: of the marks on disk, if rows are settled later.
        groups: matches that rows of matched belong to; None if they do not say to which.
        reconciliation: what passes did, as fields of metadata.json; None of a plain join.
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
    reconciliation: Mapping[str, Any] | None = None


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
        rule: the pass that is carried out; empty where there are none.
    """

    id: AttemptId
    rows: int = 0
    bytes: int = 0
    matched_rows: int = 0
    fetched_bytes: int = 0
    rule: str = ""


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
