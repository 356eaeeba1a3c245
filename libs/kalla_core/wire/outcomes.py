"""What became of fragments, as protobuf, both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, assert_never

import numpy as np

from kalla_core.errors import EngineFailure
from kalla_core.fragments.cause import Cause
from kalla_core.fragments.crowd import Crowd, KeyCount
from kalla_core.fragments.fetch_fault import FetchFault
from kalla_core.fragments.outcome import (
    BucketSizes,
    EvidencePart,
    FragmentEnded,
    FragmentFailed,
    FragmentProgress,
    JoinDone,
    KeyRange,
    Outcome,
    ProveDone,
    ScanDone,
    SettleDone,
)
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side
from kalla_core.wire.attempts import attempt_message, attempt_of, error_of, failure_message
from kalla_core.wire.generated import executors_pb2 as pb

_CAUSES = {cause: pb.Cause.Value(f"CAUSE_{cause.name}") for cause in Cause}
_CAUSES_BACK = {number: cause for cause, number in _CAUSES.items()}
_UNKNOWN = -1


def ended_message(ended: FragmentEnded) -> pb.FragmentEnded:
    """Return the end of an attempt as a message."""
    message = pb.FragmentEnded(id=attempt_message(ended.id), seconds=ended.seconds)
    _set_outcome(message, ended.outcome)
    return message


def ended_of(message: pb.FragmentEnded) -> FragmentEnded:
    """Return the end of an attempt that a message holds.

    Raises:
        EngineFailure: its outcome is none that this version knows.
    """
    return FragmentEnded(attempt_of(message.id), message.seconds, _outcome_of(message))


def progress_message(progress: FragmentProgress) -> pb.FragmentProgress:
    """Return a report as a message."""
    return pb.FragmentProgress(
        id=attempt_message(progress.id),
        rows=progress.rows,
        bytes=progress.bytes,
        matched_rows=progress.matched_rows,
        fetched_bytes=progress.fetched_bytes,
        rule=progress.rule,
    )


def progress_of(message: pb.FragmentProgress) -> FragmentProgress:
    """Return the report that a message holds."""
    return FragmentProgress(
        id=attempt_of(message.id),
        rows=message.rows,
        bytes=message.bytes,
        matched_rows=message.matched_rows,
        fetched_bytes=message.fetched_bytes,
        rule=message.rule,
    )


def _set_outcome(message: pb.FragmentEnded, outcome: Outcome) -> None:
    match outcome:
        case ScanDone():
            message.scan.CopyFrom(_scan(outcome))
        case JoinDone():
            message.join.CopyFrom(_join(outcome))
        case SettleDone():
            message.settle.CopyFrom(_settle(outcome))
        case ProveDone():
            message.prove.CopyFrom(pb.ProveDone(problem=outcome.problem or ""))
        case FragmentFailed():
            message.failed.CopyFrom(_failed(outcome))
        case _:
            assert_never(outcome)


def _outcome_of(message: pb.FragmentEnded) -> Outcome:
    match message.WhichOneof("outcome"):
        case "scan":
            return _scan_of(message.scan)
        case "join":
            return _join_of(message.join)
        case "settle":
            return _settle_of(message.settle)
        case "prove":
            return ProveDone(message.prove.problem or None)
        case "failed":
            return _failed_of(message.failed)
        case unknown:
            raise EngineFailure(f"A fragment ended as this version does not know: {unknown}.")


def _scan(done: ScanDone) -> pb.ScanDone:
    return pb.ScanDone(
        rows=done.rows,
        excluded=_UNKNOWN if done.excluded is None else done.excluded,
        null_keys=done.null_keys,
        buckets=pb.BucketSizes(
            buckets=done.buckets.numbers.tolist(),
            rows=done.buckets.rows.tolist(),
            raw_bytes=done.buckets.raw_bytes.tolist(),
            stored_bytes=done.buckets.stored_bytes.tolist(),
        ),
        stored_bytes=done.stored_bytes,
        keys=[
            pb.KeyCount(key=one.key, rows=one.rows, placeholder=one.placeholder, fewest=one.fewest)
            for one in done.keys
        ],
        rising=None
        if done.rising is None
        else pb.KeyRange(first=done.rising.first, last=done.rising.last),
    )


def _scan_of(message: pb.ScanDone) -> ScanDone:
    return ScanDone(
        rows=message.rows,
        excluded=None if message.excluded == _UNKNOWN else message.excluded,
        null_keys=message.null_keys,
        buckets=_sizes_of(message.buckets),
        stored_bytes=message.stored_bytes,
        keys=tuple(
            KeyCount(one.key, one.rows, one.placeholder, one.fewest) for one in message.keys
        ),
        rising=KeyRange(message.rising.first, message.rising.last)
        if message.HasField("rising")
        else None,
    )


def _sizes_of(message: pb.BucketSizes) -> BucketSizes:
    """Return the sizes; columns go over as they are, and no number of a million is looked at."""
    columns = (message.buckets, message.rows, message.raw_bytes, message.stored_bytes)
    return BucketSizes(*(np.array(column, dtype=np.int64) for column in columns))


def _join(done: JoinDone) -> pb.JoinDone:
    return pb.JoinDone(
        files=[_file(file) for file in done.files],
        joined=_counts(done.joined),
        matched=_counts(done.matched),
        duplicate_keys=_counts(done.duplicate_keys),
        several=_several(done.several),
        crowds=[_crowd(crowd) for crowd in done.crowds],
        ways=done.ways,
        fetched_bytes=done.fetched_bytes,
        spilled_bytes=done.spilled_bytes,
        held_bytes=done.held_bytes,
        groups=done.groups,
        reconciliation_json=_fields_json(done.reconciliation),
    )


def _join_of(message: pb.JoinDone) -> JoinDone:
    return JoinDone(
        files=tuple(_file_of(file) for file in message.files),
        joined=_counts_of(message.joined),
        matched=_counts_of(message.matched),
        duplicate_keys=_counts_of(message.duplicate_keys),
        several=_several_of(message.several),
        crowds=tuple(_crowd_of(crowd) for crowd in message.crowds),
        ways=dict(message.ways),
        fetched_bytes=message.fetched_bytes,
        spilled_bytes=message.spilled_bytes,
        held_bytes=message.held_bytes,
        groups=message.groups if message.HasField("groups") else None,
        reconciliation=_fields_of(message.reconciliation_json),
    )


def _fields_json(fields: Mapping[str, Any] | None) -> str:
    return "" if fields is None else json.dumps(fields)


def _fields_of(text: str) -> Mapping[str, Any] | None:
    fields: Mapping[str, Any] | None = json.loads(text) if text else None
    return fields


def _settle(done: SettleDone) -> pb.SettleDone:
    return pb.SettleDone(
        files=[_file(file) for file in done.files],
        settled=_counts(done.settled),
        matched=_counts(done.matched),
        several=_several(done.several),
        crowds=[_crowd(crowd) for crowd in done.crowds],
        fetched_bytes=done.fetched_bytes,
        spilled_bytes=done.spilled_bytes,
    )


def _settle_of(message: pb.SettleDone) -> SettleDone:
    return SettleDone(
        files=tuple(_file_of(file) for file in message.files),
        settled=_counts_of(message.settled),
        matched=_counts_of(message.matched),
        several=_several_of(message.several),
        crowds=tuple(_crowd_of(crowd) for crowd in message.crowds),
        fetched_bytes=message.fetched_bytes,
        spilled_bytes=message.spilled_bytes,
    )


def _failed(failed: FragmentFailed) -> pb.FragmentFailed:
    message = pb.FragmentFailed(failure=failure_message(failed.error), cause=_CAUSES[failed.cause])
    if failed.fetch is not None:
        message.fetch.executor_id = failed.fetch.executor_id
        message.fetch.unreachable = failed.fetch.unreachable
        message.fetch.sources.extend(attempt_message(one) for one in failed.fetch.attempts)
    return message


def _failed_of(message: pb.FragmentFailed) -> FragmentFailed:
    fetch = None
    if message.HasField("fetch"):
        sources = tuple(attempt_of(one) for one in message.fetch.sources)
        fetch = FetchFault(message.fetch.executor_id, sources, message.fetch.unreachable)
    cause = _CAUSES_BACK.get(message.cause, Cause.TRANSIENT)
    return FragmentFailed(error_of(message.failure), cause, fetch)


def _file(file: EvidencePart) -> pb.EvidenceFile:
    return pb.EvidenceFile(
        name=file.name,
        rows=file.rows,
        bytes=file.bytes,
        sha256=file.sha256,
        upload_id=file.upload_id,
        part_etags=file.part_etags,
    )


def _file_of(message: pb.EvidenceFile) -> EvidencePart:
    return EvidencePart(
        name=message.name,
        rows=message.rows,
        bytes=message.bytes,
        sha256=message.sha256,
        upload_id=message.upload_id,
        part_etags=tuple(message.part_etags),
    )


def _counts(counts: Mapping[Side, int]) -> pb.SideCount:
    return pb.SideCount(left=counts[Side.LEFT], right=counts[Side.RIGHT])


def _counts_of(message: pb.SideCount) -> Mapping[Side, int]:
    return {Side.LEFT: message.left, Side.RIGHT: message.right}


def _several(found: Mapping[Side, Several]) -> pb.SideSeveral:
    left, right = (pb.Several(rows=found[s].rows, example=found[s].example) for s in Side)
    return pb.SideSeveral(left=left, right=right)


def _several_of(message: pb.SideSeveral) -> Mapping[Side, Several]:
    sides = {Side.LEFT: message.left, Side.RIGHT: message.right}
    return {
        side: Several(one.rows, one.example if one.HasField("example") else None)
        for side, one in sides.items()
    }


def _crowd(crowd: Crowd) -> pb.Crowd:
    return pb.Crowd(
        key=crowd.key, left=crowd.left, right=crowd.right, placeholder=crowd.placeholder
    )


def _crowd_of(message: pb.Crowd) -> Crowd:
    return Crowd(message.key, message.left, message.right, message.placeholder)
