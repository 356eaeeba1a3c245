"""Spools travel as they lie on disk; whatever goes wrong on the way is told with the attempts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from kalla_core.engine.spool.spool_folder import SpoolKind
from kalla_core.errors import FetchFailed
from kalla_core.fragments.fetch_fault import FetchFault
from kalla_core.fragments.outcome import failed
from kalla_executor.exchange import (
    PIECE_BYTES,
    chosen,
    extents,
    index_of,
    moved,
    payload,
    pieces,
)
from kalla_executor.fetch import ByteBudget, Request, fetch_all, files_beside, own_files
from tests.support.machine import stretched
from tests.support.spools import Peer, attempt, ids, peer, spooled


def fetched_ids(request: Request, folder: Path, fragment_count: int = 1) -> list[list[int]]:
    files = fetch_all([request], folder, lambda _: None)
    return [ids(files[want]) for want in request.wants]


def fault_of(requests: list[Request], folder: Path, patience_s: float = 30) -> FetchFault | None:
    with pytest.raises(FetchFailed) as caught:
        fetch_all(requests, folder, lambda _: None, patience_s)
    return failed(caught.value).fetch


@pytest.mark.parametrize("buckets", [None, (0,), (1, 3), (4, 0), ()], ids=str)
def test_the_rows_of_the_buckets_that_were_wanted_arrive_in_order(
    tmp_path: Path, buckets: tuple[int, ...] | None
) -> None:
    with peer(tmp_path / "spool", fragments=(0,)) as one:
        there = one.folder.open(attempt(0), SpoolKind.ROWS).only(buckets)

        (got,) = fetched_ids(one.request(one.want(0, buckets)), tmp_path)

        assert got == ids(there)
        assert len(got) == 200 * (5 if buckets is None else len(buckets))


def test_one_request_brings_all_that_is_wanted_of_a_peer(tmp_path: Path) -> None:
    with peer(tmp_path / "spool", fragments=range(4)) as one:
        request = one.request(*(one.want(n, (n,)) for n in range(4)))

        got = fetched_ids(request, tmp_path)

        assert [sorted(part) for part in got] == [
            list(range(n * 10**6 + n, n * 10**6 + 1000, 5)) for n in range(4)
        ]
        assert sum(one.served) > 0


def test_many_peers_are_asked_at_once_and_counted(tmp_path: Path) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(peer(tmp_path / "spool", f"peer-{n}", (n,))) for n in range(6)]
        sizes: list[int] = []

        files = fetch_all(
            [one.request(one.want(n, None)) for n, one in enumerate(peers)], tmp_path, sizes.append
        )

        assert sorted(ids(file)[0] for file in files.values()) == [n * 10**6 for n in range(6)]
        assert sum(sizes) == sum(file.stored_bytes for file in files.values())


def test_large_files_travel_in_pieces(tmp_path: Path) -> None:
    with peer(tmp_path / "spool", fragments=()) as one:
        spooled(one.folder, 7, rows=3000, run_bytes=1 << 30)
        file = one.folder.open(attempt(7), SpoolKind.ROWS)

        sent = list(pieces(file, chosen(file, None), packed=False))

        assert max(batch.nbytes for batch, _ in sent) <= PIECE_BYTES + 64
        assert [metadata is not None for _, metadata in sent][:2] == [True, False]


def test_pieces_that_are_packed_are_fewer_bytes_of_the_same_file(tmp_path: Path) -> None:
    with peer(tmp_path / "spool", fragments=()) as one:
        spooled(one.folder, 7, rows=3000, run_bytes=1 << 30)
        file = one.folder.open(attempt(7), SpoolKind.ROWS)

        sent = list(pieces(file, chosen(file, None), packed=True))
        lies = file.path.read_bytes()[: file.stored_bytes]

    assert b"".join(payload(*piece).to_pybytes() for piece in sent) == lies
    assert sum(batch.nbytes for batch, _ in sent) < file.stored_bytes / 2
    assert [index_of(metadata) is not None for _, metadata in sent[:2]] == [True, False]


def test_a_packed_piece_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    with peer(tmp_path / "spool") as one:
        file = one.folder.open(attempt(0), SpoolKind.ROWS)
        _, (batch, metadata) = pieces(file, chosen(file, None), packed=True)
    assert metadata is not None
    huge = pa.py_buffer(metadata.to_pybytes()[:1] + (1 << 40).to_bytes(8, "little"))

    with pytest.raises(ValueError, match="larger than any"):
        payload(batch, huge)


def test_peers_elsewhere_send_packed_pieces_and_those_of_this_machine_plain_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent(folder: str) -> int:
        with peer(tmp_path / folder) as one:
            (got,) = fetched_ids(one.request(one.want(0, None)), tmp_path / f"{folder}-got")
            assert got == ids(one.folder.open(attempt(0), SpoolKind.ROWS))
            return sum(one.served)

    for name in ("here-got", "there-got"):
        (tmp_path / name).mkdir()
    here = sent("here")
    monkeypatch.setattr("kalla_executor.fetch._is_here", lambda host: False)

    assert sent("there") < here / 2


def test_messages_that_lie_side_by_side_are_sent_as_one_range(tmp_path: Path) -> None:
    with peer(tmp_path / "spool") as one:
        file = one.folder.open(attempt(0), SpoolKind.ROWS)

    whole = list(extents(chosen(file, None)))
    some = chosen(file, (0, 3))

    assert whole == [(0, file.stored_bytes)]
    assert sum(end - start for start, end in extents(some)) == sum(s.length for s in some)
    assert moved(some)[-1].offset == sum(s.length for s in some[:-1])


def test_a_peer_that_is_dead_is_told_with_all_that_was_wanted_of_it(tmp_path: Path) -> None:
    with peer(tmp_path / "spool", fragments=(0, 1)) as one:
        request = one.request(one.want(0, None), one.want(1, None))

    fault = fault_of([request], tmp_path)

    assert fault == FetchFault("peer", (attempt(0), attempt(1)), unreachable=True)


def test_a_spool_that_is_not_there_is_told_alone(tmp_path: Path) -> None:
    with peer(tmp_path / "spool", fragments=(0, 1)) as one:
        request = one.request(*(one.want(n, None) for n in (0, 7, 1, 8)))

        fault = fault_of([request], tmp_path)

    assert fault == FetchFault("peer", (attempt(7), attempt(8)))


def test_a_ticket_of_another_cluster_is_refused(tmp_path: Path) -> None:
    with peer(tmp_path / "spool") as one:
        forged = one.request(one.want(0, None), key=b"another key")

        assert fault_of([forged], tmp_path) == FetchFault("peer", (attempt(0),))
        assert one.served == []


def test_the_key_of_another_run_opens_nothing_of_this_one(tmp_path: Path) -> None:
    with peer(tmp_path / "spool") as one:
        one.keys.add("other", 1, b"the key of another run")
        foreign = one.request(one.want(0, None), key=b"the key of another run")
        good = one.request(one.want(0, None))
        (tmp_path / "later").mkdir()
        fault = fault_of([foreign], tmp_path)
        one.keys.forget("run", 1)

        assert fault == FetchFault("peer", (attempt(0),))
        assert fault_of([good], tmp_path / "later") == FetchFault("peer", (attempt(0),))
        assert one.served == []


def test_a_ticket_that_was_changed_is_refused(tmp_path: Path) -> None:
    with peer(tmp_path / "spool", fragments=(0, 1)) as one:
        good = one.request(one.want(0, None))
        changed = replace(good, ticket=good.ticket.replace(b"scan/0-1", b"scan/1-1"))

        assert fault_of([changed], tmp_path) == FetchFault("peer", (attempt(0),))


def test_a_ticket_for_another_executor_is_refused(tmp_path: Path) -> None:
    with peer(tmp_path / "spool", "one") as one, peer(tmp_path / "spool", "two") as two:
        for_one = one.request(one.want(0, None))

        fault = fault_of([replace(for_one, port=two.server.port)], tmp_path)

        assert fault == FetchFault("one", (attempt(0),))


def test_bytes_that_were_damaged_on_disk_are_found_by_the_reader(tmp_path: Path) -> None:
    with peer(tmp_path / "spool") as one:
        path = one.folder.file(attempt(0), SpoolKind.ROWS)
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(data)
        want = one.want(0, None)
        files = fetch_all([one.request(want)], tmp_path, lambda _: None)

        with pytest.raises(FetchFailed) as caught:
            ids(files[want])

    assert failed(caught.value).fetch == FetchFault("peer", (attempt(0),))


class _Faulty(flight.FlightServerBase):  # type: ignore[misc]
    """Sends what a test tells it to."""

    def __init__(self, stream: Any) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._stream = stream

    def do_get(self, context: Any, ticket: flight.Ticket) -> flight.GeneratorStream:
        from kalla_executor.exchange import SCHEMA

        return flight.GeneratorStream(SCHEMA, self._stream())


def from_faulty(one: Peer, stream: Any, folder: Path, patience_s: float = 30) -> FetchFault | None:
    server = _Faulty(stream)
    try:
        request = replace(one.request(one.want(0, None)), port=server.port)
        return fault_of([request], folder, patience_s)
    finally:
        server.shutdown()


def test_a_stream_that_ends_too_early_is_a_failed_fetch(tmp_path: Path) -> None:
    with peer(tmp_path / "spool") as one:
        file = one.folder.open(attempt(0), SpoolKind.ROWS)

        def some() -> Iterator[Any]:
            batch, metadata = next(iter(pieces(file, chosen(file, None), packed=False)))
            yield batch, metadata

        def none() -> Iterator[Any]:
            yield from ()

        faults = [
            from_faulty(one, stream, tmp_path / stream.__name__)
            for stream in _made(tmp_path, some, none)
        ]

    assert faults == [FetchFault("peer", (attempt(0),))] * 2


def test_a_stream_that_sends_more_than_it_told_is_a_failed_fetch(tmp_path: Path) -> None:
    with peer(tmp_path / "spool") as one:
        file = one.folder.open(attempt(0), SpoolKind.ROWS)

        def twice() -> Iterator[Any]:
            first, *rest = pieces(file, chosen(file, None), packed=False)
            yield first
            for batch, _ in (*rest, *rest):
                yield batch

        fault = from_faulty(one, twice, tmp_path)

    assert fault == FetchFault("peer", (attempt(0),))


def test_a_peer_that_falls_silent_is_not_waited_for(tmp_path: Path) -> None:
    release = threading.Event()
    with peer(tmp_path / "spool") as one:
        file = one.folder.open(attempt(0), SpoolKind.ROWS)

        def hangs() -> Iterator[Any]:
            yield next(iter(pieces(file, chosen(file, None), packed=False)))
            release.wait(20)

        server = _Faulty(hangs)
        request = replace(one.request(one.want(0, None)), port=server.port)
        fault = fault_of([request], tmp_path, patience_s=0.5)
        release.set()
        server.shutdown()

    assert fault == FetchFault("peer", (attempt(0),), unreachable=True)


def test_a_host_that_takes_no_bytes_is_not_waited_for(tmp_path: Path) -> None:
    with peer(tmp_path / "spool") as one, socket.create_server(("127.0.0.1", 0)) as mute:
        request = replace(one.request(one.want(0, None)), port=mute.getsockname()[1])

        fault = fault_of([request], tmp_path, patience_s=0.5)

    assert fault == FetchFault("peer", (attempt(0),), unreachable=True)


def test_a_host_that_hangs_up_again_and_again_is_not_waited_for_anew_each_time(
    tmp_path: Path,
) -> None:
    patience_s = 2.0

    def hangs_up(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Timer(0.75 * patience_s, connection.close).start()

    with peer(tmp_path / "spool") as one, socket.create_server(("127.0.0.1", 0)) as mute:
        threading.Thread(target=hangs_up, args=(mute,), daemon=True).start()
        request = replace(one.request(one.want(0, None)), port=mute.getsockname()[1])
        began = time.monotonic()
        fault = fault_of([request], tmp_path, patience_s)
        took = time.monotonic() - began
        mute.shutdown(socket.SHUT_RDWR)

    assert fault == FetchFault("peer", (attempt(0),), unreachable=True)
    assert took < stretched(2 * patience_s)


def test_own_spools_are_read_where_they_lie(tmp_path: Path) -> None:
    with peer(tmp_path / "spool", fragments=(0, 1)) as one:
        wants = [one.want(0, (1,)), one.want(1, None)]

        files = own_files(one.folder, wants)

        assert [files[want].path.is_relative_to(one.folder.path) for want in wants] == [True] * 2
        with pytest.raises(FetchFailed) as caught:
            own_files(one.folder, [*wants, one.want(9, None)])
        assert failed(caught.value).fetch == FetchFault("peer", (attempt(9),))


def test_spools_of_a_peer_beside_are_read_where_they_lie_and_are_its_fault(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    with peer(root, "one") as mine, peer(root, "other", fragments=(0, 1)) as other:
        request = other.request(other.want(0, (1,)), other.want(1, None))

        files = files_beside(mine.folder, request)

        assert [ids(files[want], [1]) for want in request.wants] == [
            ids(other.folder.open(attempt(n), SpoolKind.ROWS), [1]) for n in range(2)
        ]
        assert [files[want].origin for want in request.wants] == [
            FetchFault("other", (attempt(n),)) for n in range(2)
        ]


def test_a_peer_is_asked_for_all_that_cannot_be_read_beside(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    with (
        peer(root, "one") as mine,
        peer(root, "other") as other,
        peer(tmp_path / "elsewhere", "third") as third,
    ):
        request = other.request(other.want(0, None))

        some_missing = files_beside(
            mine.folder, other.request(other.want(0, None), other.want(9, None))
        )
        elsewhere = files_beside(mine.folder, third.request(third.want(0, None)))
        afar = files_beside(mine.folder, replace(request, host="192.0.2.1"))

        assert (some_missing, elsewhere, afar) == ({}, {}, {})
        assert files_beside(mine.folder, request)


def test_the_budget_lets_one_in_however_large_and_the_others_wait() -> None:
    budget = ByteBudget(10)
    budget.take(25)
    second = threading.Thread(target=budget.take, args=(5,), daemon=True)
    second.start()
    second.join(0.1)
    waited = second.is_alive()

    budget.give_back(25)

    second.join(10)
    assert (waited, second.is_alive()) == (True, False)
    assert budget.waited_s >= 0.1


def _made(root: Path, *streams: Any) -> tuple[Any, ...]:
    for stream in streams:
        (root / stream.__name__).mkdir()
    return streams


def test_the_bytes_of_a_record_are_not_copied() -> None:
    from kalla_executor.exchange import _record, payload

    data = pa.py_buffer(b"some bytes")

    assert payload(_record(data), None).address == data.address
