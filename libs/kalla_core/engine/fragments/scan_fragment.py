"""A scan fragment of a cluster run: one part read, its rows spooled by bucket."""

from __future__ import annotations

from kalla_core.engine.fragments.remote_run import RemoteRun, extras_too_large
from kalla_core.engine.joins.numbered import number_field
from kalla_core.engine.keys.key_tally import KeyTally
from kalla_core.engine.keys.keying import one_bucket
from kalla_core.engine.keys.rising import Rise
from kalla_core.engine.progress import Stage
from kalla_core.engine.spool.key_spool import KeySpool
from kalla_core.engine.spool.published import publish
from kalla_core.engine.spool.scan import ScanContext, grouped, scan
from kalla_core.engine.spool.spool import SpoolFile, SpoolWriter
from kalla_core.engine.spool.spool_folder import SpoolKind
from kalla_core.engine.spool.store import Plan, Store
from kalla_core.engine.tasks import Stop
from kalla_core.fragments.model import ScanFragment
from kalla_core.fragments.outcome import BucketSize, BucketSizes, KeyRange, ScanDone
from kalla_core.fragments.remote import Extra, ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.sources.protocol import Part


def run_scan(run: RemoteRun, work: ScanWork) -> ScanDone:
    """Read a part and publish its spool; nothing is published unless all is.

    Raises:
        KallaError: as the connector does; `OutOfDisk` from the spool; `OutOfMemory` if it is an
            extra that is too large.
    """
    run.folder.prepare(run.id)
    if isinstance(work.table, Extra):
        return _scan_extra(run, work.table, work.part)
    return _scan_side(run, work.table, work.part)


def _scan_side(run: RemoteRun, side: Side, part: Part) -> ScanDone:
    plan = Plan(
        folder=run.scratch,
        numbered=run.job.numbered,
        whole_bytes=0,
        run_bytes=run.budget.run_bytes,
        buckets=lambda _: run.job.buckets,
    )
    store = Store({side: run.planned.query.side(side)}, plan, run.keying.buckets)
    keys = KeySpool(run.scratch / "keys")
    tally = KeyTally(run.planned, run.keying, side)
    rise = Rise(run.planned.query.side(side))
    context = ScanContext(
        sources={side: run.source(side)},
        store=store,
        keying=run.keying,
        census={side: keys},
        tally={side: tally},
        rises={side: rise},
        progress={side: run.counter(Stage.STAGING)},
        stop=Stop(),
        numbers={side: number_field(side)} if run.job.late else {},
    )
    try:
        scanned = scan(context, ScanFragment(side, part))
    except BaseException:
        store.abandon()
        keys.discard()
        raise
    spooled = store.spool(side).files or (_nothing(run, store, side),)
    published = [
        publish(keys.finish(), run.folder.file(run.id, SpoolKind.KEYS)),
        publish(spooled[0], run.folder.file(run.id, SpoolKind.ROWS)),
    ]
    between = rise.range()
    return ScanDone(
        rows=scanned.rows,
        excluded=scanned.excluded,
        null_keys=keys.nulls,
        buckets=bucket_sizes(spooled[0]),
        stored_bytes=sum(file.stored_bytes for file in published),
        keys=tally.told(),
        rising=None if between is None else KeyRange(*between),
    )


def _scan_extra(run: RemoteRun, extra: Extra, part: Part) -> ScanDone:
    source = run.source(extra)
    reader = source.connector.read(source.pinned, part)
    counter = run.counter(Stage.STAGING)
    writer = SpoolWriter(run.scratch / "extra", source.pinned.schema, 1, run.budget.run_bytes)
    writer.open()
    rows = size = 0
    try:
        for batches in grouped(reader):
            held, held_bytes = sum(b.num_rows for b in batches), sum(b.nbytes for b in batches)
            rows, size = rows + held, size + held_bytes
            if size > run.budget.extras_bytes:
                raise extras_too_large(source.pinned, run.budget)
            writer.append(batches, one_bucket(batches))
            counter.add(rows=held, size=held_bytes)
        spooled = writer.finish()
    except BaseException:
        writer.discard()
        raise
    published = publish(spooled, run.folder.file(run.id, SpoolKind.ROWS))
    return ScanDone(rows, reader.excluded_rows, 0, bucket_sizes(published), published.stored_bytes)


def bucket_sizes(file: SpoolFile) -> BucketSizes:
    """Return what a spool file has of each bucket that is in it."""
    sums: dict[int, list[int]] = {}
    for segment in file.segments:
        held = sums.setdefault(segment.bucket, [0, 0, 0])
        held[0] += segment.rows
        held[1] += segment.raw_bytes
        held[2] += segment.length
    return BucketSizes.of(BucketSize(bucket, *sums[bucket]) for bucket in sorted(sums))


def _nothing(run: RemoteRun, store: Store, side: Side) -> SpoolFile:
    """Return the spool file of a part without rows."""
    schema = store.spool_schema(side)
    return SpoolWriter(run.scratch / "nothing", schema, run.job.buckets, 1).open().finish()
