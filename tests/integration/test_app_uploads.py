"""Files that people bring, through the app and a real coordinator."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.apps import World, app_world
from tests.support.workbooks import sheet_xml, write_xlsx


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with app_world(tmp_path_factory.mktemp("uploads"), "--upload-limit", "1MiB") as world:
        yield world


def signed(world: World, filename: str) -> dict[str, str]:
    answer = world.http.post("/api/uploads/presign", json={"filename": filename, "session_id": "s"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def put(world: World, upload: dict[str, str], content: bytes) -> httpx.Response:
    parts = urlsplit(upload["presigned_url"])
    return world.http.put(f"{parts.path}?{parts.query}", content=content)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_signed_for_put_and_looked_into(world: World, packed: bool) -> None:
    content = b"id,amount\n1,10.50\n2,3.00\n"
    upload = signed(world, "bank.csv.gz" if packed else "bank.csv")

    taken = put(world, upload, gzip.compress(content) if packed else content)
    confirmed = world.http.post(f"/api/uploads/{upload['upload_id']}/confirm").json()
    source = world.http.post(
        "/api/sources", json={"alias": f"bank_{packed}", "uri": upload["s3_uri"]}
    )

    assert taken.status_code == 200
    assert confirmed["columns"] == [
        {"name": "id", "type": "integer"},
        {"name": "amount", "type": "decimal(18,2)"},
    ]
    assert confirmed["filename"].startswith("bank.csv")
    assert confirmed["s3_uri"] == upload["s3_uri"]
    assert confirmed["rows"][0] == {"id": 1, "amount": "10.50"}
    assert source.status_code == 201


def test_a_workbook_is_a_source_like_any_other_file(world: World, tmp_path: Path) -> None:
    sheet = sheet_xml([["id", "amount"], [1, Decimal("10.5")], [2, 3]])
    upload = signed(world, "Bank März.xlsx")
    put(world, upload, write_xlsx(tmp_path / "bank.xlsx", {"May": sheet}).read_bytes())

    confirmed = world.http.post(f"/api/uploads/{upload['upload_id']}/confirm").json()
    source = {"alias": "workbook", "uri": upload["s3_uri"]}

    assert [one["name"] for one in confirmed["columns"]] == ["id", "amount"]
    assert [str(one["id"]) for one in confirmed["rows"]] == ["1", "2"]
    assert world.http.post("/api/sources", json=source).status_code == 201


def test_a_file_that_cannot_be_read_says_where_and_why(world: World) -> None:
    upload = signed(world, "broken.csv")
    put(world, upload, b"id,amount\n1,10.50\n2,3.00,too,many\n")

    answer = world.http.post(f"/api/uploads/{upload['upload_id']}/confirm")

    seen = answer.json()
    said = seen["error"]["message"] if answer.status_code == 422 else str(seen["guess"])
    assert "3" in said


def test_a_name_leads_nowhere_else(world: World) -> None:
    upload = signed(world, "../../../etc/cron.d/evil\x00\n.csv")

    data = world.app.log.with_suffix("")
    lies = Path(upload["s3_uri"])
    assert lies.parent.parent == data / "uploads"
    assert ".." not in lies.name
    assert put(world, upload, b"id\n1\n").status_code == 200
    assert lies.read_bytes() == b"id\n1\n"


def test_only_who_was_signed_for_puts_a_file_and_only_once(world: World) -> None:
    upload, other = signed(world, "a.csv"), signed(world, "b.csv")
    address = f"/api/uploads/{upload['upload_id']}/content"
    query = urlsplit(other["presigned_url"]).query

    nobody = world.http.put(address, params={"expires": 99999999999, "signature": "0" * 64})
    of_another = world.http.put(f"{address}?{query}", content=b"id\n1\n")
    first = put(world, upload, b"id\n1\n")
    again = put(world, upload, b"id\n2\n")

    assert [nobody.status_code, of_another.status_code] == [403, 403]
    assert (first.status_code, again.status_code) == (200, 409)
    assert Path(upload["s3_uri"]).read_bytes() == b"id\n1\n"


def test_a_file_that_is_too_large_leaves_nothing(world: World) -> None:
    upload = signed(world, "large.csv")

    refused = put(world, upload, b"x" * ((1 << 20) + 1))

    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
    assert list(Path(upload["s3_uri"]).parent.iterdir()) == []
    unread = world.http.post(f"/api/uploads/{upload['upload_id']}/confirm")
    assert unread.status_code == 404
