import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_coordinator.api.documents import PreviewDocument
from kalla_coordinator.jobs.allowed import Allowed
from kalla_coordinator.jobs.outputs import Outputs
from kalla_core.client import Client
from kalla_core.engine.processes.children import Limits
from kalla_core.errors import DeadlineExceeded, NotAllowed, OutOfMemory, RecipeInvalid
from kalla_core.sources.protocol import SourceAccess
from kalla_core.wire.generated import jobs_pb2, jobs_pb2_grpc
from tests.support.api import Served, absolute_recipe, served
from tests.support.books import make_books
from tests.support.command import kalla
from tests.support.jobs import Remembered
from tests.support.processes import children_of


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


@pytest.fixture
async def client(api: Served) -> AsyncIterator[Client]:
    async with Client(api.url) as one:
        yield one


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen for whoever connects; the list is of what each of them sends first."""
    heard: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], heard


async def test_the_service_finds_what_the_command_line_finds(
    client: Client, tmp_path: Path
) -> None:
    books = make_books(tmp_path)
    recipe = absolute_recipe(books)
    broken = {**recipe, "match_sql": "SELECT nothing FROM invoices"}

    good = await client.validate(recipe)
    bad = await client.validate(broken)
    shapeless = await client.validate({"name": 1})

    assert (good["valid"], good["faults"]) == (True, [])
    assert good["sources"]["invoices"]["amount"].startswith("decimal")
    assert [fault["path"] for fault in bad["faults"]] == ["match_sql"]
    assert {fault["path"] for fault in shapeless["faults"]} >= {"name", "match_sql", "sources"}
    here = await asyncio.to_thread(kalla, "validate", books.write(), "--json", cwd=tmp_path)
    assert '"valid": true' in here.out


async def test_an_explanation_is_the_same_over_http_and_grpc(
    api: Served, client: Client, tmp_path: Path
) -> None:
    recipe = {**absolute_recipe(make_books(tmp_path)), "groups": "members"}

    over_http = await client.explain(recipe)
    async with grpc.aio.insecure_channel(api.grpc) as channel:
        jobs: Any = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        text = json.dumps(recipe)
        over_grpc = await jobs.ExplainJob(jobs_pb2.ExplainJobRequest(recipe_json=text))

    assert over_http["strategy"] == over_grpc.strategy == "copartition"
    assert over_http["why"] == list(over_grpc.why)
    assert over_http["keys"][0]["left"] == over_grpc.keys[0].left
    assert over_http["groups"] == over_grpc.groups == "members"
    (rule,) = over_http["rules"]
    assert (rule["keys"], rule["conditions"]) == (over_http["keys"], over_http["conditions"])


async def test_an_explanation_tells_each_branch_of_a_union_over_http_and_grpc_alike(
    api: Served, client: Client, tmp_path: Path
) -> None:
    recipe = absolute_recipe(make_books(tmp_path))
    pairs = "SELECT i.invoice_id, p.payment_id FROM invoices i JOIN payments p ON"
    recipe["match_sql"] = (
        f"{pairs} i.reference = p.reference AND i.amount <= p.paid_amount "
        f"UNION ALL {pairs} i.amount = p.paid_amount"
    )

    over_http = await client.explain(recipe)
    async with grpc.aio.insecure_channel(api.grpc) as channel:
        jobs: Any = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        asked = jobs_pb2.ExplainJobRequest(recipe_json=json.dumps(recipe))
        over_grpc = await jobs.ExplainJob(asked)

    names = ["Branch 1 of the UNION", "Branch 2 of the UNION"]
    assert [rule["name"] for rule in over_http["rules"]] == names
    assert [[key["left"] for key in rule["keys"]] for rule in over_http["rules"]] == [
        ["reference"],
        ["amount"],
    ]
    assert over_http["rules"][0]["conditions"] == ["i.amount <= p.paid_amount"]
    for told, rule in zip(over_grpc.rules, over_http["rules"], strict=True):
        assert (told.name, list(told.conditions)) == (rule["name"], rule["conditions"])
        assert [{"left": k.left, "right": k.right} for k in told.keys] == rule["keys"]
        assert list(told.beyond) == rule["beyond"]


async def test_a_recipe_that_cannot_be_explained_says_all_that_is_wrong(
    client: Client, tmp_path: Path
) -> None:
    recipe = absolute_recipe(make_books(tmp_path))
    recipe["sources"]["left"]["primary_key"] = ["no_such"]
    recipe["sources"]["right"]["uri"] = "/nowhere.csv"

    with pytest.raises(RecipeInvalid) as told:
        await client.explain(recipe)

    assert [fault.code for fault in told.value.faults] == ["unknown_column", "source_not_found"]


async def test_a_source_is_previewed_with_its_filters(client: Client, tmp_path: Path) -> None:
    books = make_books(tmp_path)

    found = await client.preview(
        str(books.folder / "invoices.csv"),
        rows=2,
        filters=[{"column": "amount", "op": "gte", "value": 50}],
        types={"invoice_id": "text"},
    )

    assert [row["invoice_id"] for row in found["rows"]] == ["1", "2"]
    assert {"name": "invoice_id", "type": "text"} in found["columns"]


async def test_a_preview_has_words_for_numbers_that_json_has_none_for(
    client: Client, tmp_path: Path
) -> None:
    numbers = [float("nan"), float("inf"), -float("inf"), -0.0, 1e300, None]
    path = tmp_path / "rates.parquet"
    pq.write_table(pa.table({"rate": numbers}), path)

    found = await client.preview(str(path))
    here = await asyncio.to_thread(kalla, "preview", path, "--json", cwd=tmp_path)

    told = [{"rate": one} for one in ("nan", "inf", "-inf", -0.0, 1e300, None)]
    assert found["rows"] == told
    assert json.loads(here.out, parse_constant=pytest.fail)["rows"] == told


async def test_a_preview_reads_a_source_with_the_format_it_is_given(
    client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.csv"
    file.write_text("id;paid;on\n1;1.234,50;31.12.2026\n2;;01.02.2027\n")
    written = {"delimiter": ";", "decimal": ",", "thousands": ".", "date": "%d.%m.%Y"}

    found = await client.preview(str(file), types={"id": "text"}, format=written)
    bare = await client.preview(str(file), format={"delimiter": ";"})

    assert found["rows"] == [
        {"id": "1", "paid": "1234.50", "on": "2026-12-31"},
        {"id": "2", "paid": None, "on": "2027-02-01"},
    ]
    assert {one["name"]: one["type"] for one in bare["columns"]}["paid"] == "text"
    assert any("paid" in note and "thousands" in note for note in bare["notes"])
    assert PreviewDocument.model_validate(bare, extra="forbid").notes == bare["notes"]


async def test_a_preview_says_how_a_source_seems_to_be_written(
    api: Served, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "bank.csv"
    file.write_text("Bank\n\nid;paid\n1;1.234,50\n2;7,25\n")

    asked = await api.http.post("/api/sources/preview", json={"uri": str(file), "guess": True})
    failed = await client.preview(str(file))

    for found in (asked.json(), failed):
        assert found["rows"][0] == {"id": 1, "paid": "1234.50"}
        assert found["guess"]["format"]["header"] == 3
        assert PreviewDocument.model_validate(found, extra="forbid")
    assert asked.json()["guess"]["instead_of"] is None
    assert "line 4 of bank.csv" in failed["guess"]["instead_of"]


async def test_a_wrong_format_of_a_preview_is_named_by_field(
    client: Client, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("a;b\n1;2\n")

    with pytest.raises(RecipeInvalid) as told:
        await client.preview(
            str(tmp_path / "a.csv"), format={"delimiter": ";;", "header": 0, "colour": "red"}
        )

    paths = {fault.path for fault in told.value.faults}
    assert paths == {"format.delimiter", "format.header", "format.colour"}


async def test_files_outside_what_is_allowed_are_not_looked_at(tmp_path: Path) -> None:
    recipe = absolute_recipe(make_books(tmp_path))
    access = SourceAccess(allowed_roots=(tmp_path / "allowed",))

    async with served(tmp_path, access=access) as api, Client(api.url) as client:
        found = await client.validate(recipe)
        preview = await api.http.post(
            "/api/sources/preview", json={"uri": str(tmp_path / "invoices.csv")}
        )

    assert not found["valid"]
    assert preview.status_code in (403, 422)
    assert "invoice_id" not in preview.text


async def test_hosts_that_are_not_allowed_are_not_asked(tmp_path: Path) -> None:
    recipe = absolute_recipe(make_books(tmp_path))
    elsewhere = "postgres://db/books?table=payments&host=127.0.0.1"
    recipe["sources"]["right"] |= {"type": "postgres", "uri": elsewhere}
    allowed = Allowed(tmp_path, hosts=frozenset({"db"}))

    async with served(tmp_path, check_sources=Outputs(allowed, Remembered()).readable) as api:
        answers = [
            await api.http.post("/api/validate", json=recipe),
            await api.http.post("/api/explain", json=recipe),
            await api.http.post("/api/sources/preview", json={"uri": elsewhere}),
        ]
        async with grpc.aio.insecure_channel(api.grpc) as channel:
            jobs: Any = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await jobs.ExplainJob(jobs_pb2.ExplainJobRequest(recipe_json=json.dumps(recipe)))

    assert [answer.status_code for answer in answers] == [403] * 3
    assert {answer.json()["error"]["code"] for answer in answers} == {NotAllowed.code}
    assert told.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("checked", [True, False], ids=["before", "by-the-connector"])
async def test_no_secret_of_the_coordinator_goes_to_a_host_that_a_caller_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    monkeypatch.setenv("KALLA_OWN_SECRET", "for-nobody")
    allowed = Allowed(tmp_path)
    check = Outputs(allowed, Remembered()).readable if checked else None
    recipe = absolute_recipe(make_books(tmp_path))

    async with (
        listening() as (port, heard),
        served(tmp_path, access=allowed.access, check_sources=check) as api,
    ):
        uri = f"postgres://${{env:KALLA_OWN_SECRET}}@127.0.0.1:{port}/db?table=t&sslmode=disable"
        recipe["sources"]["right"] |= {"type": "postgres", "uri": uri}
        answers = [
            await api.http.post("/api/validate", json=recipe),
            await api.http.post("/api/explain", json=recipe),
            await api.http.post("/api/sources/preview", json={"uri": uri}),
        ]

    for answer in answers:
        assert NotAllowed.code in answer.text
        assert "KALLA_ALLOWED_ENV" in answer.text
        assert "for-nobody" not in answer.text
    assert heard == []


async def test_planning_that_would_take_all_memory_is_stopped(tmp_path: Path) -> None:
    recipe = absolute_recipe(make_books(tmp_path))
    recipe["match_sql"] += " AND length(repeat('x', 2000000000)) > length(i.reference)"
    limits = Limits(memory_bytes=400 << 20, timeout=timedelta(seconds=20))

    async with served(tmp_path, inspection_limits=limits) as api, Client(api.url) as client:
        with pytest.raises((OutOfMemory, RecipeInvalid)):
            await client.explain(recipe)
        assert (await api.http.get("/health")).status_code == 200


async def test_a_source_that_hangs_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.csv")
    recipe = absolute_recipe(make_books(tmp_path))
    limits = Limits(memory_bytes=400 << 20, timeout=timedelta(milliseconds=1))

    async with served(tmp_path, inspection_limits=limits) as api, Client(api.url) as client:
        with pytest.raises(DeadlineExceeded):
            await client.explain(recipe)


async def test_an_inspection_ends_with_whoever_asked_for_it(
    client: Client, api: Served, tmp_path: Path
) -> None:
    recipe = absolute_recipe(make_books(tmp_path))
    before = set(children_of(os.getpid()))

    asked = [asyncio.ensure_future(client.validate(recipe)) for _ in range(6)]
    answers = await asyncio.gather(*asked)

    assert all(answer["valid"] for answer in answers)
    assert set(children_of(os.getpid())) == before


async def test_wrong_fields_of_a_preview_are_named(api: Served) -> None:
    answer = await api.http.post("/api/sources/preview", json={"url": "/x.csv", "rows": 0})

    details = answer.json()["error"]["details"]
    assert answer.status_code == 422
    assert {one["path"] for one in details} == {"uri", "url", "rows"}
