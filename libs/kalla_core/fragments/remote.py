"""Fragments as they are sent to executors: each says all that its executor has to know.

scan     read one part, spool it by bucket; and the hashes of its primary keys by class
join     fetch some buckets of both sides, run the match SQL, write evidence
deliver  write the unmatched rows of some parts, read again, given what the joins told of them
settle   write the unmatched rows of some buckets, given which rows the joins matched
prove    show that this executor sees the folders that the run needs
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kalla_core.fragments.attempt import AttemptId
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe
from kalla_core.sources.protocol import Part, PinnedSource

CENSUS_CLASSES = 64
"""Classes that the hashes of primary keys are divided into, to be counted apart."""


@dataclass(frozen=True, slots=True, order=True)
class Extra:
    """One of the extras, by its place in the recipe."""

    index: int


Table = Side | Extra


@dataclass(frozen=True, slots=True)
class JobContext:
    """What all fragments of one run attempt share.

    Attributes:
        recipe: secrets in its URIs unexpanded.
        started_at: the run's start, zoned UTC.
        extras: in the order of the recipe's.
        buckets: how many hash classes there are.
        numbered: rows of both sides carry their number in the whole source; needed unless every
            join of the run decides for itself, and by passes.
        staging: folder that all share, or `s3://bucket/prefix`, for parts of the evidence.
        trace: that the fragments are part of; empty for none.
        late: scans read what the match SQL names and number the rows, joins write pairs and tell
            why which rows are in none, and these are read whole from their parts once more.
    """

    recipe: Recipe
    started_at: datetime
    left: PinnedSource
    right: PinnedSource
    extras: tuple[PinnedSource, ...]
    buckets: int
    numbered: bool
    staging: str
    trace: str = ""
    late: bool = False

    def source(self, table: Table) -> PinnedSource:
        """Return what a table is read from."""
        if isinstance(table, Extra):
            return self.extras[table.index]
        return self.left if table is Side.LEFT else self.right


@dataclass(frozen=True, slots=True)
class ScanWork:
    """Read one part and spool it by bucket; an extra is one bucket, and has no key classes."""

    table: Table
    part: Part


@dataclass(frozen=True, slots=True)
class SpoolPlace:
    """Where an attempt's spool lies: the executor that holds it, and where that serves it."""

    attempt: AttemptId
    executor_id: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SpoolInput:
    """A spool that a scan left.

    Attributes:
        part: its index; readers take the parts in this order.
        rows: of the whole part, all buckets.
    """

    table: Table
    part: int
    place: SpoolPlace
    rows: int


@dataclass(frozen=True, slots=True)
class JoinWork:
    """Run the match SQL over some buckets.

    Attributes:
        buckets: that are read of both sides, unless a side is whole.
        whole: sides of which all buckets are read instead.
        settle_later: write pairs only, and hold the marks of the rows that are in one.
        inputs: spools of the extras and of both sides. A side's may be some of its parts only if
            rows are settled later and the other side is replicable.
        census_classes: classes of primary key hashes that are counted, in the inputs of both
            sides; needs the spools of all parts.
    """

    buckets: tuple[int, ...]
    whole: frozenset[Side]
    settle_later: bool
    inputs: tuple[SpoolInput, ...]
    census_classes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SettleWork:
    """Write the unmatched rows of some buckets.

    Attributes:
        inputs: spools of all parts of both sides.
        marks: places of the marks of all joins that these rows took part in.
    """

    buckets: tuple[int, ...]
    inputs: tuple[SpoolInput, ...]
    marks: tuple[SpoolPlace, ...]


@dataclass(frozen=True, slots=True)
class DeliveredPart:
    """A part whose unmatched rows are delivered.

    Attributes:
        rows: that a scan found in it.
        window: number of its first window, see `kalla_core.fragments.windows`.
    """

    side: Side
    part: Part
    rows: int
    window: int


@dataclass(frozen=True, slots=True)
class DeliverWork:
    """Read the unmatched rows of some parts whole, and write them with their reasons.

    Attributes:
        told: places of what all joins told of rows that are in no pair.
    """

    parts: tuple[DeliveredPart, ...]
    told: tuple[SpoolPlace, ...]


@dataclass(frozen=True, slots=True)
class ProveWork:
    """Show that sources and staging are what the coordinator sees.

    Attributes:
        nonce_name: a file in the staging folder; empty where there is none to be shown.
        nonce: its content.
    """

    nonce_name: str
    nonce: str


Work = ScanWork | JoinWork | SettleWork | DeliverWork | ProveWork


@dataclass(frozen=True, slots=True)
class Launch:
    """One try at a fragment.

    Attributes:
        time_left: how long it may take from when it is received, queues included; None for no
            bound. No point in time: the clocks of two machines differ.
        spool_key: signs tickets between the executors of this run attempt.
    """

    id: AttemptId
    job: JobContext
    work: Work
    time_left: timedelta | None = None
    spool_key: bytes = field(default=b"", repr=False)
