"""A deliver fragment of a late run: the unmatched rows of some parts, read whole, with reasons."""

from __future__ import annotations

from kalla_core.engine.fragments.evidence_parts import UNMATCHED_ROWS, sinks_of, writing_parts
from kalla_core.engine.fragments.remote_run import RemoteRun
from kalla_core.engine.joins.told import ToldFile, ToldOfPart, deliver
from kalla_core.engine.progress import Stage
from kalla_core.engine.spool.requests import Inputs, told_of
from kalla_core.fragments.outcome import SettleDone
from kalla_core.fragments.remote import DeliverWork
from kalla_core.matching.sql.query import Side


def run_deliver(run: RemoteRun, work: DeliverWork, inputs: Inputs) -> SettleDone:
    """Write the rows that the joins told of, and tell of how many rows each part is.

    Which of the others are matched is for the joins to say, that counted them.

    Raises:
        KallaError: what went wrong; nothing that was written counts then.
        SourceChanged: a part has not the rows that it had.
        FetchFailed: an input is damaged.
    """
    files = [ToldFile(inputs[told_of(work, place)]) for place in work.told]
    settled = dict.fromkeys(Side, 0)
    counter = run.counter(Stage.MATCHING)
    with writing_parts(run, UNMATCHED_ROWS, sinks_of(run, whole=True)) as parts:
        for part in work.parts:
            told = ToldOfPart(part, files)
            deliver(run.source(part.side), part, told, parts.sinks)
            settled[part.side] += part.rows
            counter.add(rows=part.rows)
        written = parts.finish()
    return SettleDone(written, settled, dict.fromkeys(Side, 0), run.fetched_bytes)
