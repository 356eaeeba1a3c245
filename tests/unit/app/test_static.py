"""The files that pages load: packed for whoever takes that, and few for a first page."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from kalla_app.pages.render import FOLDER, STATIC
from kalla_app.pages.static import static_files


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(static_files())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://app"
    ) as client:
        yield client


@pytest.mark.parametrize("name", ["app.css", "vendor/editor.js", "vendor/inter.woff2"])
async def test_a_file_is_the_same_packed_and_plain(http: httpx.AsyncClient, name: str) -> None:
    content = (STATIC / name).read_bytes()

    packed = await http.get(f"/static/{name}?v", headers={"Accept-Encoding": "gzip"})
    plain = await http.get(f"/static/{name}", headers={"Accept-Encoding": "identity"})

    assert packed.content == plain.content == content
    worth = not name.endswith("woff2")
    assert ("gzip" in packed.headers.get("content-encoding", "")) is worth
    assert (int(packed.headers["content-length"]) < len(content)) is worth
    assert "content-encoding" not in plain.headers
    assert "immutable" in packed.headers["cache-control"]
    assert "immutable" not in plain.headers["cache-control"]
    assert packed.headers["vary"] == "Accept-Encoding"


def test_pages_load_little_script_but_for_the_one_with_the_editor() -> None:
    loaded = re.compile(r'<script src="/static/([^?"]+)')
    pages = {path.name: loaded.findall(path.read_text()) for path in FOLDER.rglob("*.html")}

    sizes = {
        page: sum((STATIC / name).stat().st_size for name in {*names, *pages["base.html"]})
        for page, names in pages.items()
    }

    assert [page for page, size in sizes.items() if size >= 150 << 10] == ["recipe.html"]
    assert "vendor/editor.js" in pages["recipe.html"]


def test_what_was_fetched_is_what_the_manifest_says() -> None:
    manifest = json.loads((STATIC / "vendor" / "manifest.json").read_text())
    noted = {name: said for files in manifest.values() for name, said in files.items()}

    packages = noted.pop("packages").split()
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (STATIC / "vendor").iterdir()
        if path.name != "manifest.json"
    }

    assert there == noted
    licences = (STATIC / "vendor" / "editor.LICENSE").read_text()
    assert all(package in licences for package in packages)
