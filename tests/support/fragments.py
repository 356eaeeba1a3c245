"""Fragments, outcomes and messages of every kind, for properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from kalla_core.errors import (
    Crashed,
    InvalidSql,
    KallaError,
    OutOfMemory,
    QueueFull,
    SourceUnavailable,
)
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.crowd import KeyCount
from kalla_core.fragments.fetch_fault import FetchFault, fetch_failed
from kalla_core.fragments.outcome import (
    BucketSize,
    BucketSizes,
    EvidencePart,
    FragmentEnded,
    FragmentProgress,
    JoinDone,
    ProveDone,
    ScanDone,
    SettleDone,
    failed,
)
from kalla_core.fragments.presence import (
    CancelFragment,
    Draining,
    ForgetJob,
    Heartbeat,
    Hello,
    PeerGone,
    Refusal,
    Welcome,
)
from kalla_core.fragments.remote import (
    DeliveredPart,
    DeliverWork,
    Extra,
    JobContext,
    JoinWork,
    Launch,
    ProveWork,
    ScanWork,
    SettleWork,
    SpoolInput,
    SpoolPlace,
)
from kalla_core.matching.sql.query import Side
from kalla_core.sources.protocol import Part, PinnedSource, Statistics
from tests.support.recipes import recipes, specs

COUNTS = st.integers(0, 2**40)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
JSON: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    TEXTS, TEXTS | st.integers() | st.booleans() | st.none() | st.lists(TEXTS, max_size=2)
)
SCHEMAS = st.sampled_from(
    [
        pa.schema([]),
        pa.schema([pa.field("id", pa.int64(), nullable=False), ("d", pa.decimal128(12, 2))]),
        pa.schema([("t", pa.timestamp("us", "UTC")), ("l", pa.list_(pa.string()))]),
        pa.schema([("d", pa.date32()), ("w", pa.decimal256(60, 4))], metadata={"a": "b"}),
    ]
)
ATTEMPTS = st.builds(
    AttemptId,
    run_id=st.sampled_from(["a", "run-1", "6f1c.2_x"]),
    run_attempt=st.integers(1, 9),
    stage=st.sampled_from(["scan", "extras", "join", "settle"]),
    fragment=st.integers(0, 4096),
    attempt=st.integers(1, 30),
)
TABLES = st.sampled_from(Side) | st.builds(Extra, st.integers(0, 5))
PLACES = st.builds(SpoolPlace, ATTEMPTS, TEXTS, TEXTS, st.integers(1, 65535))
INPUTS = st.builds(SpoolInput, TABLES, st.integers(0, 1024), PLACES, COUNTS)
PARTS = st.builds(Part, st.integers(0, 1024), JSON, COUNTS)
DELIVERED = st.builds(DeliveredPart, st.sampled_from(Side), PARTS, COUNTS, st.integers(0, 1 << 20))
NUMBERS = st.lists(st.integers(0, 4095), max_size=4).map(tuple)


def _several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=3).map(tuple)


WORKS = (
    st.builds(ScanWork, TABLES, PARTS)
    | st.builds(
        JoinWork,
        NUMBERS,
        st.frozensets(st.sampled_from(Side)),
        st.booleans(),
        _several(INPUTS),
        NUMBERS,
    )
    | st.builds(SettleWork, NUMBERS, _several(INPUTS), _several(PLACES))
    | st.builds(DeliverWork, _several(DELIVERED), _several(PLACES))
    | st.builds(ProveWork, TEXTS, TEXTS)
)


def _pinned(keyed: bool) -> st.SearchStrategy[PinnedSource]:
    known = st.none() | COUNTS
    statistics = st.builds(Statistics, known, known, st.booleans())
    return st.builds(PinnedSource, specs("a source", keyed), SCHEMAS, JSON, statistics, JSON)


CONTEXTS = st.builds(
    JobContext,
    recipe=recipes(),
    started_at=TIMES,
    left=_pinned(True),
    right=_pinned(True),
    extras=_several(_pinned(False)),
    buckets=st.integers(1, 4096),
    numbered=st.booleans(),
    staging=TEXTS,
    late=st.booleans(),
)
TIMES_LEFT = st.none() | st.integers(1, 10**9).map(lambda ms: timedelta(milliseconds=ms))
LAUNCHES = st.builds(Launch, ATTEMPTS, CONTEXTS, WORKS, TIMES_LEFT, st.binary(max_size=32))

SIDES = st.fixed_dictionaries({Side.LEFT: COUNTS, Side.RIGHT: COUNTS})
SIZES = st.lists(
    st.builds(BucketSize, st.integers(0, 4095), COUNTS, COUNTS, COUNTS),
    max_size=3,
    unique_by=lambda size: size.bucket,
).map(lambda sizes: BucketSizes.of(sorted(sizes, key=lambda size: size.bucket)))
FILES = st.builds(EvidencePart, TEXTS, COUNTS, COUNTS, TEXTS, TEXTS, _several(TEXTS))
FAULTS = st.builds(FetchFault, TEXTS, _several(ATTEMPTS), st.booleans())
ERRORS: st.SearchStrategy[KallaError] = (
    st.builds(Crashed, TEXTS)
    | st.builds(OutOfMemory, TEXTS, operator=TEXTS)
    | st.builds(SourceUnavailable, TEXTS, source=TEXTS)
    | st.builds(QueueFull, TEXTS, retry_after_s=st.integers(1, 9))
    | st.builds(InvalidSql, TEXTS, line=st.none() | st.integers(1, 9), column=st.none())
    | st.builds(fetch_failed, TEXTS, FAULTS)
)
OUTCOMES = (
    st.builds(
        ScanDone,
        COUNTS,
        st.none() | COUNTS,
        COUNTS,
        SIZES,
        COUNTS,
        _several(st.builds(KeyCount, TEXTS, COUNTS, st.booleans(), COUNTS)),
    )
    | st.builds(
        JoinDone,
        _several(FILES),
        SIDES,
        SIDES,
        SIDES,
        st.dictionaries(TEXTS, st.integers(0, 99), max_size=2),
        COUNTS,
        COUNTS,
        COUNTS,
    )
    | st.builds(SettleDone, _several(FILES), SIDES, SIDES, COUNTS, COUNTS)
    | st.builds(ProveDone, st.none() | TEXTS.filter(bool))
    | ERRORS.map(failed)
)
ENDED = st.builds(FragmentEnded, ATTEMPTS, st.floats(0, 1e6), OUTCOMES)

FROM_EXECUTORS = (
    st.builds(
        Hello,
        TEXTS,
        TEXTS,
        TEXTS,
        st.integers(1, 65535),
        st.integers(1, 64),
        COUNTS,
        st.integers(1, 9),
        _several(ATTEMPTS),
        _several(ATTEMPTS),
        st.binary(max_size=32),
    )
    | st.builds(Heartbeat, st.integers(0, 64), COUNTS, COUNTS, COUNTS, COUNTS)
    | st.builds(FragmentProgress, ATTEMPTS, COUNTS, COUNTS, COUNTS, COUNTS)
    | ENDED
    | st.just(Draining())
)
TO_EXECUTORS = (
    st.builds(
        Welcome,
        st.integers(1, 60_000).map(lambda ms: timedelta(milliseconds=ms)),
    )
    | st.builds(Refusal, TEXTS, TEXTS)
    | LAUNCHES
    | st.builds(CancelFragment, ATTEMPTS)
    | st.builds(ForgetJob, TEXTS, st.integers(1, 9))
    | st.builds(PeerGone, TEXTS)
)
