"""Spools with known rows, and servers of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kalla_core.engine.spool.published import publish
from kalla_core.engine.spool.requests import SpoolRequest
from kalla_core.engine.spool.spool import Spool, SpoolFile, SpoolWriter
from kalla_core.engine.spool.spool_folder import SpoolFolder, SpoolKind, own_folder
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.remote import SpoolPlace
from kalla_core.wire.tickets import sign
from kalla_executor.fetch import Request
from kalla_executor.flight import SpoolKeys, SpoolServer

KEY = b"the key of the run"
SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])
BUCKETS = 5


def attempt(fragment: int) -> AttemptId:
    return AttemptId("run", 1, "scan", fragment, 1)


def spooled(folder: SpoolFolder, fragment: int, rows: int = 1000, run_bytes: int = 9000) -> None:
    """Publish rows `fragment * 10**6 + n`, in bucket `n % BUCKETS`."""
    which = attempt(fragment)
    folder.prepare(which)
    writer = SpoolWriter(folder.path / "writing", SCHEMA, BUCKETS, run_bytes).open()
    for start in range(0, rows, 100):
        numbers = np.arange(start, min(start + 100, rows))
        ids = pa.array(numbers + fragment * 10**6)
        batch = pa.record_batch([ids, [f"row {n}" for n in numbers]], schema=SCHEMA)
        writer.append([batch], numbers % BUCKETS)
    publish(writer.finish(), folder.file(which, SpoolKind.ROWS))


@dataclass
class Peer:
    """An executor that serves spools of a few fragments."""

    id: str
    folder: SpoolFolder
    server: SpoolServer
    keys: SpoolKeys
    served: list[int]

    def want(self, fragment: int, buckets: tuple[int, ...] | None) -> SpoolRequest:
        place = SpoolPlace(attempt(fragment), self.id, "127.0.0.1", self.server.port)
        return SpoolRequest(place, SpoolKind.ROWS, buckets)

    def request(self, *wants: SpoolRequest, key: bytes = KEY) -> Request:
        ticket = sign(key, self.id, wants)
        return Request(self.id, "127.0.0.1", self.server.port, ticket, wants)


@contextmanager
def peer(root: Path, name: str = "peer", fragments: Sequence[int] = (0,)) -> Iterator[Peer]:
    keys = SpoolKeys()
    keys.add("run", 1, KEY)
    served: list[int] = []
    with own_folder(root, name) as folder:
        for fragment in fragments:
            spooled(folder, fragment)
        server = SpoolServer(
            "127.0.0.1:0", name, folder, keys, served.append, waited=lambda _: None
        )
        try:
            yield Peer(name, folder, server, keys, served)
        finally:
            server.shutdown()


def ids(file: SpoolFile, buckets: Sequence[int] = range(BUCKETS)) -> list[int]:
    """The ids of rows in the order that they are read in."""
    batches = list(Spool(SCHEMA, (file,)).read(buckets))
    return [int(i) for batch in batches for i in batch.column("id").to_pylist()]
