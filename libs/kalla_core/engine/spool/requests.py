"""Which spool files a fragment wants, and which buckets of each: data in, data out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from kalla_core.engine.spool.spool import SpoolFile
from kalla_core.engine.spool.spool_folder import SpoolKind
from kalla_core.fragments.fetch_fault import FetchFault
from kalla_core.fragments.remote import (
    DeliverWork,
    Extra,
    JoinWork,
    ProveWork,
    ScanWork,
    SettleWork,
    SpoolInput,
    SpoolPlace,
    Work,
)
from kalla_core.fragments.windows import WORDS, told_buckets, window_count


@dataclass(frozen=True, slots=True)
class SpoolRequest:
    """Some buckets of one spool file; None for all of them."""

    place: SpoolPlace
    kind: SpoolKind
    buckets: tuple[int, ...] | None

    @property
    def fault(self) -> FetchFault:
        """What to say if it cannot be had."""
        return FetchFault(self.place.executor_id, (self.place.attempt,))


Inputs = Mapping[SpoolRequest, SpoolFile]
"""What was wanted, as files of this machine that have at least the buckets asked for."""


def wants(work: Work) -> tuple[SpoolRequest, ...]:
    """Return all that a fragment reads of spools, each once."""
    match work:
        case ScanWork() | ProveWork():
            return ()
        case JoinWork():
            rows = [rows_of(work, one) for one in work.inputs]
            return (*rows, *(keys_of(work, one) for one in counted(work)))
        case SettleWork():
            rows = [rows_of(work, one) for one in work.inputs]
            return (*rows, *(marks_of(place) for place in work.marks))
        case DeliverWork():
            return tuple(told_of(work, place) for place in work.told)


def rows_of(work: JoinWork | SettleWork, one: SpoolInput) -> SpoolRequest:
    """Return what a fragment wants of the rows of an input."""
    if isinstance(one.table, Extra):
        return SpoolRequest(one.place, SpoolKind.ROWS, None)
    whole = isinstance(work, JoinWork) and one.table in work.whole
    return SpoolRequest(one.place, SpoolKind.ROWS, None if whole else work.buckets)


def keys_of(work: JoinWork, one: SpoolInput) -> SpoolRequest:
    """Return what a fragment wants of the keys of an input."""
    return SpoolRequest(one.place, SpoolKind.KEYS, work.census_classes)


def marks_of(place: SpoolPlace) -> SpoolRequest:
    """Return what a fragment wants of the marks of a join."""
    return SpoolRequest(place, SpoolKind.MARKS, None)


def told_of(work: DeliverWork, place: SpoolPlace) -> SpoolRequest:
    """Return what a fragment wants of what a join told."""
    buckets = [told_buckets(one.window, window_count(one.rows)) for one in work.parts]
    return SpoolRequest(place, SpoolKind.TOLD, (WORDS, *chain.from_iterable(buckets)))


def counted(work: JoinWork) -> tuple[SpoolInput, ...]:
    """Return the inputs whose primary keys a fragment counts."""
    if not work.census_classes:
        return ()
    return tuple(one for one in work.inputs if not isinstance(one.table, Extra))


def by_executor(wanted: Iterable[SpoolRequest]) -> Mapping[str, tuple[SpoolRequest, ...]]:
    """Group what is wanted by who holds it."""
    groups: dict[str, list[SpoolRequest]] = {}
    for want in wanted:
        groups.setdefault(want.place.executor_id, []).append(want)
    return {executor: tuple(group) for executor, group in groups.items()}
