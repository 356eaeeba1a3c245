import asyncio
import base64
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text, update

from kalla_app.exceptions.life import Decision, Kind, State
from kalla_app.exceptions.policy import Policy
from kalla_app.runs.life import AskedToCancel, Completed, RunState, RunStatus
from kalla_app.store import audit, exceptions, policies, runs
from kalla_app.store.database import FILE, Database, opened
from kalla_app.store.tables import AUDIT, SECRETS
from kalla_app.store.vault import Vault, open_vault
from kalla_core.errors import InvalidSetting, StoreUnavailable
from kalla_core.jobs.model import Counts

LEASE = timedelta(minutes=5)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
RUN = runs.Run("r1", "books", 1, "Books", RunState(), "anna", NOW, NOW, None)
SECRET_URI = {"uri": "postgres://u:s3cret@h/db"}
REQUEST = runs.Request(SECRET_URI, None, "http://app/api/worker")


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(database_url, tmp_path) as database:
        yield database


async def test_several_may_open_a_new_database_at_once(
    database_url: str | None, tmp_path: Path
) -> None:
    async def use() -> None:
        async with opened(database_url, tmp_path) as database, database.writing() as connection:
            await audit.add(connection, "anna", "test", "test/1")

    await asyncio.gather(*(use() for _ in range(4)))

    async with opened(database_url, tmp_path) as database, database.reading() as connection:
        assert len(await audit.page(connection, 10, None, None)) == 4
        assert await audit.broken_at(connection) is None


async def test_the_file_of_the_database_is_its_owners(tmp_path: Path) -> None:
    async with opened(None, tmp_path):
        pass

    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


async def test_a_secret_is_in_no_table_but_its_own_and_sealed_there(
    database: Database, tmp_path: Path
) -> None:
    vault = open_vault(None, tmp_path)

    async with database.writing() as connection:
        shown = await vault.keep(connection, "a", SECRET_URI)
        plain = await vault.keep(connection, "b", {"uri": "a.csv"})
        kept = (await connection.execute(SECRETS.select())).all()
        whole = await vault.whole(connection, "a", shown)

    assert shown == {"uri": "postgres://u:***@h/db"}
    assert whole == SECRET_URI
    assert [row.name for row in kept] == ["a"]
    assert plain == {"uri": "a.csv"}
    assert b"s3cret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_another_key_opens_nothing_and_says_so(database: Database, tmp_path: Path) -> None:
    other = SecretStr(base64.urlsafe_b64encode(bytes(32)).decode())
    async with database.writing() as connection:
        shown = await open_vault(None, tmp_path).keep(connection, "a", SECRET_URI)

        with pytest.raises(StoreUnavailable, match="another key"):
            await open_vault(other, tmp_path).whole(connection, "a", shown)


@pytest.mark.parametrize("key", ["short", "", "no base64 at all!"])
def test_what_is_no_key_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="KALLA_APP_KEY"):
        open_vault(SecretStr(key), tmp_path)


async def test_an_entry_of_the_trail_that_was_changed_shows(database: Database) -> None:
    async with database.writing() as connection:
        for number in range(5):
            await audit.add(connection, "anna", "source.save", f"source/{number}", after={"a": 1})
    async with database.reading() as connection:
        assert await audit.broken_at(connection) is None

    async with database.writing() as connection:
        await connection.execute(update(AUDIT).where(AUDIT.c.number == 3).values(who="olaf"))

    async with database.reading() as connection:
        assert await audit.broken_at(connection) == 3


async def test_what_is_owed_is_one_senders_at_a_time(database: Database, tmp_path: Path) -> None:
    vault = open_vault(None, tmp_path)
    async with database.writing() as connection:
        assert await runs.add(connection, RUN, REQUEST, vault)
        assert not await runs.add(connection, RUN, REQUEST, vault)

    async with database.writing() as connection:
        first = await runs.claim(connection, 10, LEASE)
        second = await runs.claim(connection, 10, LEASE)

    assert [(errand.run.run_id, errand.action, errand.tries) for errand in first] == [
        ("r1", runs.SUBMIT, 0)
    ]
    assert second == ()


async def test_what_is_owed_is_claimed_once_by_apps_that_ask_at_the_same_time(
    database_url: str | None, tmp_path: Path
) -> None:
    vault = open_vault(None, tmp_path)
    names = {f"r{number}" for number in range(12)}
    async with opened(database_url, tmp_path) as database, database.writing() as connection:
        for name in names:
            await runs.add(connection, replace(RUN, run_id=name), REQUEST, vault)

    async def claimed() -> list[str]:
        got: list[str] = []
        async with opened(database_url, tmp_path) as database:
            for _ in range(len(names)):
                async with database.writing() as connection:
                    found = await runs.claim(connection, 2, LEASE)
                    got += [errand.run.run_id for errand in found]
        return got

    shares = await asyncio.gather(*(claimed() for _ in range(3)))

    assert sorted(name for share in shares for name in share) == sorted(names)


async def test_decisions_and_policies_are_kept_as_they_were_taken(database: Database) -> None:
    subject = exceptions.Subject("books", "left", "3")
    asked = Decision("anna", NOW, state=State.WRITTEN_OFF, reason_code="other", kind=Kind.ASKED)
    asleep = Decision("olaf", NOW, until="2026-12-31", note="é中", owner="")
    kept = [exceptions.Kept(subject, "r1", one) for one in (asked, asleep)]
    policy = Policy(approval=True, left="booked")
    async with database.writing() as connection:
        await exceptions.hold(connection)
        await exceptions.add(connection, kept)
        await policies.put(connection, "books", Policy())
        await policies.put(connection, "books", policy)
        await policies.follow(connection, "books", NOW)

    async with database.reading() as connection:
        assert await exceptions.touched(connection, "books") == {subject.exception_id: kept}
        assert await policies.find(connection, "books") == policy
        assert await policies.find(connection, "others") == Policy()
        assert await policies.followed(connection, "books") == NOW


async def test_tables_of_the_version_before_become_these_and_keep_what_they_hold(
    tmp_path: Path,
) -> None:
    async with opened(None, tmp_path) as database, database.writing() as connection:
        await exceptions.add(
            connection,
            [exceptions.Kept(exceptions.Subject("books", "left", "3"), "r1", Decision("a", NOW))],
        )
        for statement in (
            "ALTER TABLE decisions DROP COLUMN kind",
            "ALTER TABLE decisions DROP COLUMN until",
            "DROP TABLE policies",
            "DROP TABLE followed",
            "DROP TABLE chats",
            "DROP TABLE chat_events",
            "DROP TABLE model_use",
            "UPDATE app_schema SET version = 3",
        ):
            await connection.execute(text(statement))

    async with opened(None, tmp_path) as database, database.reading() as connection:
        (kept,) = (await exceptions.touched(connection, "books")).values()

    assert kept[0].decision == Decision("a", NOW)


async def test_a_run_is_read_as_it_was_kept(database: Database, tmp_path: Path) -> None:
    vault: Vault = open_vault(None, tmp_path)
    done = Completed(Counts(matched=7), {"matched": "/out/r1/matched.parquet"})
    async with database.writing() as connection:
        await runs.add(connection, RUN, REQUEST, vault)
        await runs.change(connection, "r1", AskedToCancel())
        found = await runs.change(connection, "r1", done)
        shown = await runs.document(connection, "r1")
        sent = await runs.request(connection, "r1", vault)

    assert found is not None
    _, after = found
    assert after.state == replace(
        RunState(),
        status=RunStatus.SUCCEEDED,
        progress=1.0,
        counts=Counts(matched=7),
        asked_to_cancel=True,
        output_path="/out/r1",
        output_paths={"matched": "/out/r1/matched.parquet"},
    )
    assert after.ended_at is not None
    assert "s3cret" not in json.dumps(shown)
    assert sent == REQUEST
