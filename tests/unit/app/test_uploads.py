from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kalla_app.store import sources, uploads
from kalla_app.store.database import opened
from kalla_app.store.sources import Source
from kalla_app.store.uploads import Upload
from kalla_app.store.vault import open_vault
from kalla_app.uploads.dock import Dock
from kalla_app.uploads.places import FolderPlace
from kalla_app.uploads.ticket import Ticket, is_good, safe_name, ticket
from kalla_core.client.client import Client

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_a_ticket_is_good_until_it_expires_for_its_upload_only() -> None:
    made = ticket("a", 100, b"key")

    assert is_good(made, 99, b"key")
    assert not is_good(made, 100, b"key")
    assert not is_good(made, 99, b"other")
    assert not is_good(Ticket("b", made.expires, made.signature), 99, b"key")
    assert not is_good(Ticket("a", 200, made.signature), 99, b"key")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("bank.csv", "bank.csv"),
        ("../../x.csv", "x.csv"),
        ("C:\\Users\\a\\März 2026 (1).csv.gz", "März 2026 (1).csv.gz"),
        ("a\x00b\n.csv", "a_b_.csv"),
        ("..", "file"),
        (".hidden", "hidden"),
        ("x" * 500 + ".csv", "x" * 116 + ".csv"),
    ],
)
def test_a_name_of_a_file_is_made_safe(given: str, name: str) -> None:
    assert safe_name(given) == name


async def test_old_files_that_no_source_lies_in_are_swept(tmp_path: Path) -> None:
    old = datetime.now(UTC) - timedelta(days=8)
    folder = tmp_path / "uploads"
    async with opened(None, tmp_path) as database, Client() as client:
        dock = Dock(database, client, FolderPlace(folder), b"key", "http://app", 1 << 20)
        async with database.writing() as connection:
            for name, at in (("used", old), ("unused", old), ("new", datetime.now(UTC))):
                path = folder / name / "a.csv"
                path.parent.mkdir(parents=True)
                path.write_bytes(b"id\n1\n")
                await uploads.add(connection, Upload(name, "a.csv", str(path), "anna", at))
            uri = str(folder / "used" / "a.csv")
            source = Source("a", uri, "file", NOW, NOW)
            await sources.put(connection, source, uri, open_vault(None, tmp_path))

        swept = await dock.sweep()

        assert swept == 1
        assert {path.name for path in folder.iterdir()} == {"used", "new"}
