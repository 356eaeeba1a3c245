import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest

from kalla_coordinator.api.flight import MAX_STREAMS
from kalla_coordinator.api.pieces import PIECE_BYTES
from kalla_coordinator.jobs.stages import succeeded
from kalla_core.errors import EvidenceGone, JobEnded, JobNotFound, KallaError, Unauthenticated
from kalla_core.evidence.names import MATCHED
from kalla_core.jobs.model import Job, JobStatus
from kalla_core.recipe.model import GroupForm
from kalla_core.wire.flight_errors import error_from_flight
from tests.support.api import Served, served
from tests.support.evidence import commit_evidence
from tests.support.machine import stretched
from tests.support.runs import run_in_process
from tests.support.tables import Reconciliation
from tests.support.workbook import read_workbook

GUEST = "a-good-token"
ROWS = "/api/jobs/run-1/evidence/matched"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        await one.submit("run-1")
        await one.jobs.succeed("run-1")
        yield one


def stored(api: Served) -> pa.Table:
    return pq.read_table(Path(api.jobs.jobs["run-1"].output_path) / MATCHED)


async def test_rows_come_in_the_format_that_the_client_accepts(api: Served) -> None:
    formats = ("application/json", "text/csv", PARQUET, ARROW, EXCEL)
    answers = [await api.http.get(ROWS, headers={"Accept": one}) for one in formats]

    as_json, as_csv, as_parquet, as_arrow, as_excel = answers
    assert [one.headers["content-type"].split(";")[0] for one in answers] == list(formats)
    assert [row["run"] for row in as_json.json()] == ["run-1"] * 3
    assert [row["run"] for row in csv.DictReader(io.StringIO(as_csv.text))] == ["run-1"] * 3
    assert pq.read_table(io.BytesIO(as_parquet.content)).equals(stored(api))
    assert pa.ipc.open_stream(as_arrow.content).read_all().equals(stored(api))
    assert [row[-1] for row in read_workbook(as_excel.content)["matched"].values()[1:]] == [
        "run-1"
    ] * 3


async def test_every_door_knows_the_match_that_a_row_belongs_to(
    api: Served, tmp_path: Path
) -> None:
    job = await told_by_members(api, tmp_path)
    path = f"/api/jobs/{job.run_id}/evidence/matched"

    as_json = (await api.http.get(path)).json()
    as_csv = (await api.http.get(path, headers={"Accept": "text/csv"})).text
    counts = (await api.http.get(f"/api/jobs/{job.run_id}")).json()["counts"]

    def fetch() -> pa.Table:
        with flight.connect(api.flight) as client:
            info = client.get_flight_info(flight.FlightDescriptor.for_path(job.run_id, "matched"))
            return client.do_get(info.endpoints[0].ticket).read_all()

    over_flight = await in_thread(fetch)
    keys = [(row["left_key"], row["right_key"]) for row in as_json]
    assert sorted(keys, key=str) == [("1", None), ("2", None), (None, "7"), (None, "8")]
    assert len({row["match_group"] for row in as_json}) == 1
    assert [row["match_group"] for row in as_json] == [
        row["match_group"] for row in csv.DictReader(io.StringIO(as_csv))
    ]
    assert over_flight.column("match_group").to_pylist() == [one["match_group"] for one in as_json]
    assert (counts["matched_count"], counts["matched_group_count"]) == (4, 1)


async def told_by_members(api: Served, folder: Path) -> Job:
    """Let a job find two payments that pay two invoices."""
    totals = "(SELECT d, sum(a) AS s FROM {} GROUP BY d)"
    sql = f"SELECT x.d FROM {totals.format('l')} x JOIN {totals.format('r')} y ON x.s = y.s"
    books = Reconciliation(folder, sql, groups=GroupForm.MEMBERS)
    books.put("left", pa.table({"id": [1, 2], "d": ["x", "x"], "a": [3, 4]}))
    books.put("right", pa.table({"id": [7, 8], "d": ["y", "y"], "a": [5, 2]}))
    await api.submit("test-run")
    output = api.jobs.jobs["test-run"].output_path
    metadata = run_in_process(books.recipe(), output)
    fields = succeeded(metadata, output)
    return await api.jobs.change("test-run", status=JobStatus.SUCCEEDED, **fields)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html, text/csv;q=0.9, */*;q=0.1", "text/csv"),
        (f"{ARROW}, application/json", ARROW),
        (f"application/json;q=0.2, {PARQUET};q=0.5", PARQUET),
    ],
)
async def test_the_format_liked_best_is_taken(api: Served, accept: str | None, media: str) -> None:
    answer = await api.http.get(ROWS, headers={} if accept is None else {"Accept": accept})

    assert answer.headers["content-type"].split(";")[0] == media


async def test_no_format_of_ours_is_not_acceptable(api: Served) -> None:
    answer = await api.http.get(ROWS, headers={"Accept": "image/png"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(("limit", "rows"), [(1, 1), (3, 3), (99, 3)])
async def test_a_limit_bounds_the_rows(api: Served, limit: int, rows: int) -> None:
    answer = await api.http.get(ROWS, params={"limit": limit})

    assert len(answer.json()) == rows


async def test_an_empty_output_has_its_columns(api: Served) -> None:
    await api.submit("run-2")
    await api.jobs.succeed("run-2", matched=0)
    path = "/api/jobs/run-2/evidence/matched"

    as_json = await api.http.get(path)
    as_csv = await api.http.get(path, headers={"Accept": "text/csv"})
    as_parquet = await api.http.get(path, headers={"Accept": PARQUET})

    assert as_json.json() == []
    assert as_csv.text.startswith('"match_id",')
    assert pq.read_table(io.BytesIO(as_parquet.content)).schema.names[0] == "match_id"


async def test_files_come_as_they_are_with_their_hash(api: Served) -> None:
    metadata = (await api.http.get("/api/jobs/run-1/metadata")).json()
    folder = Path(api.jobs.jobs["run-1"].output_path)

    for file in metadata["files"]:
        answer = await api.http.get(f"/api/jobs/run-1/files/{file['name']}")
        assert answer.content == (folder / file["name"]).read_bytes()
        assert answer.headers["x-kalla-sha256"] == file["sha256"]
    assert metadata == json.loads((folder / "metadata.json").read_text())


@pytest.mark.parametrize("name", ["metadata.json", "../../etc/passwd", "%2e%2e/x", "nothing"])
async def test_only_files_of_the_evidence_are_given(api: Served, name: str) -> None:
    answer = await api.http.get(f"/api/jobs/run-1/files/{name}")

    assert answer.status_code == 404


async def test_a_job_that_has_not_succeeded_has_no_evidence(api: Served) -> None:
    await api.submit("run-2")

    answer = await api.http.get("/api/jobs/run-2/evidence/matched")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_ended")


async def test_evidence_of_another_run_is_not_given_for_ours(api: Served) -> None:
    output = Path(api.jobs.jobs["run-1"].output_path)
    commit_evidence(output, "run-9", matched=1, left=0, right=0, overwrite=True)

    answer = await api.http.get(ROWS)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "evidence_gone")
    assert "run-9" in answer.json()["error"]["message"]


async def test_a_client_that_goes_away_leaves_no_open_files(api: Served) -> None:
    await api.jobs.submit(api.jobs.requests["run-1"])
    output = Path(api.jobs.jobs["run-1"].output_path)
    commit_evidence(output, "run-1", matched=400_000, left=0, right=0)

    async with api.http.stream("GET", ROWS) as answer:
        await anext(answer.aiter_bytes())
        assert _open_below(output)

    for _ in range(500):
        if not _open_below(output):
            break
        await asyncio.sleep(0.01)
    assert not _open_below(output)


def _open_below(folder: Path) -> list[Path]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = link.readlink()
        except OSError:
            continue
        if target.is_relative_to(folder):
            found.append(target)
    return found


async def in_thread(function: Any, *arguments: Any) -> Any:
    """Ask Flight from a thread: its client blocks, and the server asks our loop."""
    return await asyncio.to_thread(function, *arguments)


async def test_a_plain_flight_client_needs_nothing_else(api: Served) -> None:
    def fetch() -> tuple[pa.Schema, int, pa.Table]:
        with flight.connect(api.flight) as client:
            info = client.get_flight_info(flight.FlightDescriptor.for_path("run-1", "matched"))
            tables = [client.do_get(one.ticket).read_all() for one in info.endpoints]
            return info.schema, info.total_records, pa.concat_tables(tables)

    schema, rows, table = await in_thread(fetch)

    assert schema.equals(stored(api).schema)
    assert rows == 3
    assert table.equals(stored(api))


async def test_a_flight_client_that_takes_small_messages_only_gets_all_rows(api: Served) -> None:
    commit_evidence(
        api.jobs.jobs["run-1"].output_path,
        "run-1",
        matched=150_000,
        left=0,
        right=0,
        overwrite=True,
    )
    limit = [("grpc.max_receive_message_length", PIECE_BYTES + (1 << 16))]

    def fetch() -> pa.Table:
        with flight.connect(api.flight, generic_options=limit) as client:
            info = client.get_flight_info(flight.FlightDescriptor.for_path("run-1", "matched"))
            (endpoint,) = info.endpoints
            return client.do_get(endpoint.ticket).read_all()

    assert (await asyncio.to_thread(fetch)).equals(stored(api))


async def test_flights_are_the_outputs_of_jobs_that_succeeded(api: Served) -> None:
    await api.submit("run-2")

    def listed(*criteria: bytes) -> list[list[bytes]]:
        with flight.connect(api.flight) as client:
            return [info.descriptor.path for info in client.list_flights(*criteria)]

    sets = [b"matched", b"unmatched_left", b"unmatched_right"]
    assert await in_thread(listed) == [[b"run-1", one] for one in sets]
    assert await in_thread(listed, b"run-1") == [[b"run-1", one] for one in sets]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (("nobody", "matched"), JobNotFound),
        (("run-2", "matched"), JobEnded),
        (("run-3", "matched"), EvidenceGone),
        (("run-1", "everything"), KallaError),
        (("run-1",), KallaError),
        ((), KallaError),
        (("../..", "matched"), JobNotFound),
    ],
)
async def test_errors_of_flight_arrive_as_the_class_they_were(
    api: Served, path: tuple[str, ...], kind: type[KallaError]
) -> None:
    await api.submit("run-2")
    await api.submit("run-3")
    await api.jobs.succeed("run-3")
    (Path(api.jobs.jobs["run-3"].output_path) / "metadata.json").unlink()

    def ask() -> None:
        with flight.connect(api.flight) as client:
            client.get_flight_info(flight.FlightDescriptor.for_path(*path))

    with pytest.raises((flight.FlightError, pa.ArrowException)) as raised:
        await in_thread(ask)

    assert isinstance(error_from_flight(raised.value), kind)


@pytest.mark.parametrize(
    "ticket",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 5000,
        b"x" * 4_000_000,
        b'["run-1", "matched", {}]',
        b'["run-1", "matched"]',
        b'["run-1", "matched", "../../etc/passwd"]',
        b'["run-1", "matched", "unmatched_left.parquet"]',
    ],
)
async def test_a_ticket_of_somebody_else_gives_nothing(api: Served, ticket: bytes) -> None:
    def ask() -> None:
        with flight.connect(api.flight) as client:
            client.do_get(flight.Ticket(ticket)).read_all()

    with pytest.raises((flight.FlightError, pa.ArrowException)) as raised:
        await in_thread(ask)

    assert error_from_flight(raised.value).code == "invalid_request"


@pytest.mark.parametrize(
    "descriptor",
    [
        flight.FlightDescriptor.for_path("x" * 4_000_000, "matched"),
        flight.FlightDescriptor.for_path("run-1", "x" * 4_000_000),
        flight.FlightDescriptor.for_path(*["run-1"] * 100_000),
        flight.FlightDescriptor.for_command(b"run-1"),
        flight.FlightDescriptor.for_command(b"x" * 4_000_000),
    ],
    ids=["long id", "long set", "many steps", "command", "long command"],
)
async def test_a_descriptor_that_names_no_result_set_is_told_what_one_looks_like(
    api: Served, descriptor: flight.FlightDescriptor
) -> None:
    def ask(what: str) -> None:
        with flight.connect(api.flight) as client:
            getattr(client, what)(descriptor)

    for what in ("get_flight_info", "get_schema"):
        with pytest.raises((flight.FlightError, pa.ArrowException)) as raised:
            await in_thread(ask, what)
        error = error_from_flight(raised.value)
        assert error.code == "invalid_request"
        assert len(error.message) < 1000


async def test_large_criteria_and_actions_are_refused_in_few_words(api: Served) -> None:
    def listed() -> None:
        with flight.connect(api.flight) as client:
            list(client.list_flights(b"x" * 4_000_000))

    def act() -> None:
        with flight.connect(api.flight) as client:
            list(client.do_action(flight.Action("x" * 4_000_000, b"x" * 4_000_000)))

    for ask in (listed, act):
        with pytest.raises((flight.FlightError, pa.ArrowException)) as raised:
            await in_thread(ask)
        error = error_from_flight(raised.value)
        assert error.code == "invalid_request"
        assert len(error.message) < 500


async def test_flight_takes_nothing_and_does_nothing(api: Served) -> None:
    def put() -> None:
        with flight.connect(api.flight) as client:
            descriptor = flight.FlightDescriptor.for_path("x")
            writer, _ = client.do_put(descriptor, pa.schema([("a", pa.int64())]))
            writer.close()

    def act() -> None:
        with flight.connect(api.flight) as client:
            list(client.do_action(flight.Action("drop", b"")))

    for ask in (put, act):
        with pytest.raises((flight.FlightError, pa.ArrowException)) as raised:
            await in_thread(ask)
        assert error_from_flight(raised.value).code == "invalid_request"


async def test_flight_lets_in_whoever_has_a_token(tmp_path: Path) -> None:
    async with served(tmp_path, token=GUEST) as api:

        def listed(headers: list[tuple[bytes, bytes]]) -> list[Any]:
            with flight.connect(api.flight) as client:
                return list(client.list_flights(b"", flight.FlightCallOptions(headers=headers)))

        for headers in ([], [(b"authorization", b"Bearer wrong")]):
            with pytest.raises(flight.FlightUnauthenticatedError) as raised:
                await in_thread(listed, headers)
            assert isinstance(error_from_flight(raised.value), Unauthenticated)
        assert await in_thread(listed, [(b"authorization", f"Bearer {GUEST}".encode())]) == []


async def test_a_reader_that_stops_reading_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        await api.submit("run-1")
        output = Path(api.jobs.jobs["run-1"].output_path)
        commit_evidence(output, "run-1", matched=3_000_000, left=0, right=0)
        await api.jobs.change("run-1", status=JobStatus.SUCCEEDED)

        def begin() -> tuple[flight.FlightClient, Any]:
            client = flight.connect(api.flight)
            info = client.get_flight_info(flight.FlightDescriptor.for_path("run-1", "matched"))
            reader = client.do_get(info.endpoints[0].ticket)
            reader.read_chunk()
            return client, reader

        client, reader = await in_thread(begin)
        began = asyncio.get_running_loop().time()

    took = asyncio.get_running_loop().time() - began
    await in_thread(client.close)

    assert took < stretched(8)
    del reader


async def test_readers_that_give_up_at_once_leave_room_for_others(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        await api.submit("run-1")
        await api.jobs.succeed("run-1")
        hurry = flight.FlightCallOptions(timeout=0.004)

        def ticket() -> flight.Ticket:
            with flight.connect(api.flight) as client:
                descriptor = flight.FlightDescriptor.for_path("run-1", "matched")
                return client.get_flight_info(descriptor).endpoints[0].ticket

        def give_up(wanted: flight.Ticket) -> None:
            for _ in range(MAX_STREAMS // 2):
                with flight.connect(api.flight) as client, suppress(pa.ArrowException):
                    client.do_get(wanted, hurry).read_all()

        def fetch(wanted: flight.Ticket) -> int:
            with flight.connect(api.flight) as client:
                return int(client.do_get(wanted).read_all().num_rows)

        wanted = await in_thread(ticket)
        await asyncio.gather(*(in_thread(give_up, wanted) for _ in range(8)))

        assert await in_thread(fetch, wanted) == 3
