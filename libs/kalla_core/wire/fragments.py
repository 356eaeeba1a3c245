"""Fragments as they are sent to executors, as protobuf, both ways."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import assert_never

import pyarrow as pa

from kalla_core.errors import EngineFailure
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
    Table,
    Work,
)
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import parse_recipe, parse_source
from kalla_core.recipe.write import source_document, to_document
from kalla_core.sources.protocol import Part, PinnedSource, Statistics
from kalla_core.wire.attempts import attempt_message, attempt_of
from kalla_core.wire.generated import executors_pb2 as pb
from kalla_core.wire.same import Same

_MILLISECOND = timedelta(milliseconds=1)
_UNKNOWN = -1


def launch_message(launch: Launch) -> pb.Launch:
    """Return a launch as a message; the time left is kept to the millisecond, and at least one."""
    message = pb.Launch(
        id=attempt_message(launch.id),
        job=_CONTEXTS.of(launch.job),
        spool_key=launch.spool_key,
        time_left_ms=0 if launch.time_left is None else max(launch.time_left // _MILLISECOND, 1),
    )
    _set_work(message, launch.work)
    return message


def launch_of(message: pb.Launch) -> Launch:
    """Return the launch that a message holds.

    Raises:
        EngineFailure: it asks for no work that this version knows.
        RecipeInvalid: its recipe has what this version lacks.
    """
    left = message.time_left_ms
    return Launch(
        id=attempt_of(message.id),
        job=context_of(message.job),
        work=_work_of(message),
        time_left=None if left == 0 else left * _MILLISECOND,
        spool_key=message.spool_key,
    )


def context_message(job: JobContext) -> pb.JobContext:
    """Return what the fragments of a run attempt share as a message."""
    return pb.JobContext(
        recipe_json=json.dumps(to_document(job.recipe)),
        started_at=job.started_at.isoformat(),
        left=pinned_message(job.left),
        right=pinned_message(job.right),
        extras=[pinned_message(extra) for extra in job.extras],
        buckets=job.buckets,
        staging=job.staging,
        numbered=job.numbered,
        trace=job.trace,
        late=job.late,
    )


def context_of(message: pb.JobContext) -> JobContext:
    """Return the context that a message holds.

    Raises:
        RecipeInvalid: its recipe has what this version lacks.
    """
    return JobContext(
        recipe=parse_recipe(json.loads(message.recipe_json)),
        started_at=datetime.fromisoformat(message.started_at),
        left=pinned_of(message.left),
        right=pinned_of(message.right),
        extras=tuple(pinned_of(extra) for extra in message.extras),
        buckets=message.buckets,
        staging=message.staging,
        numbered=message.numbered,
        trace=message.trace,
        late=message.late,
    )


def pinned_message(pinned: PinnedSource) -> pb.PinnedSource:
    """Return a pinned source as a message; secrets in its URI are not expanded."""
    statistics = pinned.statistics
    return pb.PinnedSource(
        spec_json=json.dumps(source_document(pinned.spec)),
        schema=pinned.schema.serialize().to_pybytes(),
        identity_json=json.dumps(pinned.identity),
        detail_json=json.dumps(pinned.detail),
        rows=_or_unknown(statistics.rows),
        arrow_bytes=_or_unknown(statistics.arrow_bytes),
        rows_exact=statistics.exact,
    )


def pinned_of(message: pb.PinnedSource) -> PinnedSource:
    """Return the pinned source that a message holds."""
    return PinnedSource(
        spec=parse_source(json.loads(message.spec_json)),
        schema=pa.ipc.read_schema(pa.py_buffer(message.schema)),
        identity=json.loads(message.identity_json),
        statistics=Statistics(
            rows=_if_known(message.rows),
            arrow_bytes=_if_known(message.arrow_bytes),
            exact=message.rows_exact,
        ),
        detail=json.loads(message.detail_json),
    )


def _set_work(message: pb.Launch, work: Work) -> None:
    match work:
        case ScanWork():
            message.scan.CopyFrom(pb.ScanWork(table=_table(work.table), part=_part(work.part)))
        case JoinWork():
            _set_join(message.join, work)
        case SettleWork():
            message.settle.MergeFrom(_SETTLE_INPUTS.of(work.inputs))
            message.settle.MergeFrom(_MARKS.of(work.marks))
            message.settle.buckets.extend(work.buckets)
        case DeliverWork():
            message.deliver.MergeFrom(_TOLD.of(work.told))
            message.deliver.parts.extend(_delivered(one) for one in work.parts)
        case ProveWork():
            message.prove.CopyFrom(pb.ProveWork(nonce_name=work.nonce_name, nonce=work.nonce))
        case _:
            assert_never(work)


def _work_of(message: pb.Launch) -> Work:
    match message.WhichOneof("work"):
        case "scan":
            return ScanWork(_table_of(message.scan.table), _part_of(message.scan.part))
        case "join":
            return _join_of(message.join)
        case "settle":
            settle = message.settle
            return SettleWork(
                buckets=tuple(settle.buckets),
                inputs=tuple(_input_of(one) for one in settle.inputs),
                marks=tuple(_place_of(one) for one in settle.marks),
            )
        case "deliver":
            return DeliverWork(
                parts=tuple(_delivered_of(one) for one in message.deliver.parts),
                told=tuple(_place_of(one) for one in message.deliver.told),
            )
        case "prove":
            return ProveWork(message.prove.nonce_name, message.prove.nonce)
        case unknown:
            raise EngineFailure(f"A fragment asks for work that this version lacks: {unknown}.")


def _set_join(message: pb.JoinWork, work: JoinWork) -> None:
    message.MergeFrom(_JOIN_INPUTS.of(work.inputs))
    message.MergeFrom(
        pb.JoinWork(
            buckets=work.buckets,
            left_whole=Side.LEFT in work.whole,
            right_whole=Side.RIGHT in work.whole,
            settle_later=work.settle_later,
            census_classes=work.census_classes,
        )
    )


def _join_of(message: pb.JoinWork) -> JoinWork:
    flags = {Side.LEFT: message.left_whole, Side.RIGHT: message.right_whole}
    return JoinWork(
        buckets=tuple(message.buckets),
        whole=frozenset(side for side, whole in flags.items() if whole),
        settle_later=message.settle_later,
        inputs=tuple(_input_of(one) for one in message.inputs),
        census_classes=tuple(message.census_classes),
    )


def _input(one: SpoolInput) -> pb.SpoolInput:
    return pb.SpoolInput(
        table=_table(one.table), part=one.part, place=_place(one.place), rows=one.rows
    )


def _input_of(message: pb.SpoolInput) -> SpoolInput:
    return SpoolInput(
        _table_of(message.table), message.part, _place_of(message.place), message.rows
    )


def _delivered(one: DeliveredPart) -> pb.DeliveredPart:
    return pb.DeliveredPart(
        table=_table(one.side), part=_part(one.part), rows=one.rows, window=one.window
    )


def _delivered_of(message: pb.DeliveredPart) -> DeliveredPart:
    side = _table_of(message.table)
    if isinstance(side, Extra):
        raise EngineFailure("A fragment is to deliver rows of an extra.")
    return DeliveredPart(side, _part_of(message.part), message.rows, message.window)


def _place(place: SpoolPlace) -> pb.SpoolPlace:
    return pb.SpoolPlace(
        attempt=attempt_message(place.attempt),
        executor_id=place.executor_id,
        flight_host=place.host,
        flight_port=place.port,
    )


def _place_of(message: pb.SpoolPlace) -> SpoolPlace:
    return SpoolPlace(
        attempt_of(message.attempt), message.executor_id, message.flight_host, message.flight_port
    )


def _table(table: Table) -> pb.Table:
    if isinstance(table, Extra):
        return pb.Table(extra=table.index)
    return pb.Table(left=True) if table is Side.LEFT else pb.Table(right=True)


def _table_of(message: pb.Table) -> Table:
    match message.WhichOneof("which"):
        case "left":
            return Side.LEFT
        case "right":
            return Side.RIGHT
        case "extra":
            return Extra(message.extra)
        case unknown:
            raise EngineFailure(f"A fragment names a table that this version lacks: {unknown}.")


def _part(part: Part) -> pb.Part:
    return pb.Part(
        index=part.index, detail_json=json.dumps(part.detail), weight_bytes=part.weight_bytes
    )


def _part_of(message: pb.Part) -> Part:
    return Part(message.index, json.loads(message.detail_json), message.weight_bytes)


def _or_unknown(count: int | None) -> int:
    return _UNKNOWN if count is None else count


def _if_known(count: int) -> int | None:
    return None if count == _UNKNOWN else count


def _join_inputs(inputs: tuple[SpoolInput, ...]) -> pb.JoinWork:
    return pb.JoinWork(inputs=[_input(one) for one in inputs])


def _settle_inputs(inputs: tuple[SpoolInput, ...]) -> pb.SettleWork:
    return pb.SettleWork(inputs=[_input(one) for one in inputs])


def _marks(marks: tuple[SpoolPlace, ...]) -> pb.SettleWork:
    return pb.SettleWork(marks=[_place(one) for one in marks])


def _told(told: tuple[SpoolPlace, ...]) -> pb.DeliverWork:
    return pb.DeliverWork(told=[_place(one) for one in told])


_CONTEXTS = Same(context_message)
_JOIN_INPUTS = Same(_join_inputs)
_SETTLE_INPUTS = Same(_settle_inputs)
_MARKS = Same(_marks)
_TOLD = Same(_told)
