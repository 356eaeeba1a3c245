"""One state of a database, however others write, and what becomes of queries nobody wants."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import adbc_driver_manager
import pytest

from kalla_core.errors import SourceChanged, SourceUnavailable, SourceUnreadable
from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.pins import pinned_together
from kalla_core.sources.postgres.statements import Query
from kalla_core.sources.registry import connector_for
from tests.support.postgres import SPARSE, Database, new_database
from tests.support.sources import file_spec, read_table

PATIENCE_S = 60.0
PARTED = (
    "CREATE TABLE parted (id int, owner text) PARTITION BY RANGE (id)",
    "CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100)",
    "CREATE TABLE high PARTITION OF parted FOR VALUES FROM (100) TO (200)",
    "INSERT INTO parted SELECT n, CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END"
    " FROM generate_series(0, 199) n",
)


@pytest.fixture
def database() -> Database:
    made = new_database()
    made.run(
        f"CREATE TABLE ledger (id int PRIMARY KEY, note text) {SPARSE}",
        "INSERT INTO ledger SELECT n, 'note ' || n FROM generate_series(1, 4000) n",
    )
    return made


def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true, for a bounded time."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE_S / 0.05)):
        if condition():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not come true in time")


@contextmanager
def writing(database: Database) -> Iterator[threading.Event]:
    """Others who change, add, remove and tidy up all the time; the event says they have begun."""
    begun, stop = threading.Event(), threading.Event()

    def write() -> None:
        with database.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20ms'")
            turn = 0
            while not stop.is_set():
                turn += 1
                for statement in (
                    f"UPDATE ledger SET note = 'changed {turn}' WHERE id % 7 = {turn % 7}",
                    f"DELETE FROM ledger WHERE id % 11 = {turn % 11}",
                    f"INSERT INTO ledger SELECT n, 'new' FROM generate_series({turn * 10000},"
                    f" {turn * 10000 + 200}) n ON CONFLICT DO NOTHING",
                    "VACUUM ledger",
                    "TRUNCATE ledger",
                ):
                    try:
                        cursor.execute(statement)
                    except adbc_driver_manager.Error:
                        assert statement.startswith(("TRUNCATE", "VACUUM"))
                begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield begun
    finally:
        stop.set()
        thread.join()


def test_parts_show_one_state_while_others_write_vacuum_and_try_to_truncate(
    database: Database,
) -> None:
    spec = database.spec()
    connector = connector_for(spec)

    with connector.pin(spec) as pinned, writing(database) as begun:
        assert begun.wait(PATIENCE_S)
        parts = connector.plan(pinned, 8)
        read = [
            [row for b in connector.read(pinned, part) for row in b.to_pylist()] for part in parts
        ]
        again = [
            [row for b in connector.read(pinned, part) for row in b.to_pylist()] for part in parts
        ]
        connector.verify(pinned)

    rows = [row for part in read for row in part]
    assert len(parts) == 8
    assert again == read
    assert rows == [{"id": n, "note": f"note {n}"} for n in range(1, 4001)]
    assert database.value("SELECT count(*) FROM ledger WHERE note = 'new'") > 0


def test_a_table_that_was_just_filled_and_grows_while_parts_are_cut_loses_nothing(
    database: Database,
) -> None:
    spec = database.spec()
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        database.run("INSERT INTO ledger SELECT n, 'late' FROM generate_series(5000, 9000) n")
        parts = connector.plan(pinned, 8)
        rows = sum(batch.num_rows for part in parts for batch in connector.read(pinned, part))

    assert rows == 4000
    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 8)
        assert sum(b.num_rows for part in parts for b in connector.read(pinned, part)) == 8001


def test_sources_of_one_database_are_pinned_under_one_snapshot(
    database: Database, tmp_path: Path
) -> None:
    database.run("CREATE TABLE other AS SELECT * FROM ledger", "CREATE ROLE auditor LOGIN",
                 "GRANT SELECT ON other TO auditor")  # fmt: skip
    left = database.spec()
    (tmp_path / "extra.csv").write_text("a\n1\n")
    uri = database.uri("other").replace("kalla@", "auditor@")
    right = replace(database.spec(), alias="other", uri=uri)

    with pinned_together([left, file_spec(tmp_path / "extra.csv"), right]) as pins:
        database.run("DELETE FROM ledger", "DELETE FROM other")
        counts = [
            sum(
                b.num_rows
                for part in connector.plan(pinned, 2)
                for b in connector.read(pinned, part)
            )
            for connector, pinned in pins
        ]
        snapshots = {
            pinned.identity["snapshot"] for _, pinned in pins if "snapshot" in pinned.identity
        }
        for table in ("ledger", "other"):
            with pytest.raises(adbc_driver_manager.Error, match="lock timeout"):
                database.run("SET lock_timeout = '50ms'", f"TRUNCATE {table}")

    assert counts == [4000, 1, 4000]
    assert len(snapshots) == 1
    until(lambda: kalla_connections(database) == 0)
    database.run("TRUNCATE ledger", "TRUNCATE other")


def test_a_view_gives_its_rows_in_the_same_order_whatever_columns_are_read(
    database: Database,
) -> None:
    database.run(
        "CREATE VIEW sums AS SELECT id % 97 AS k, count(*) AS n, max(note) AS note"
        " FROM ledger GROUP BY id % 97 UNION ALL SELECT 5, 1, NULL FROM generate_series(1, 3)"
    )
    spec = replace(database.spec("sums"), primary_key=("n",))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 8)
        whole = [row for b in connector.read(pinned, part) for row in b.to_pylist()]
        database.run("ANALYZE", "UPDATE ledger SET note = 'x' WHERE id < 2000")
        keys = [
            row["k"] for b in connector.read(pinned, part, columns=("k",)) for row in b.to_pylist()
        ]

    assert len(whole) == 100
    assert [row["k"] for row in whole] == keys
    assert [row["n"] for row in whole] == sorted(row["n"] for row in whole)


def test_partitions_that_may_not_be_read_by_themselves_are_read_as_a_whole(
    database: Database,
) -> None:
    reader = f"reader_of_{database.name}"
    database.run(*PARTED, f"CREATE ROLE {reader} LOGIN", f"GRANT SELECT ON parted TO {reader}")
    uri = database.uri("parted").replace("kalla@", f"{reader}@")
    spec = replace(database.spec(), uri=uri)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 4)
        batches = [batch for part in parts for batch in connector.read(pinned, part)]

    assert len(parts) == 1
    assert sum(batch.num_rows for batch in batches) == 200


@pytest.mark.parametrize("table", ["parted", "low", "mine"])
def test_rows_that_policies_hide_are_an_error_that_names_the_table(
    database: Database, table: str
) -> None:
    even = f"even_of_{database.name}"
    secured = "low" if table == "low" else "parted"
    database.run(
        *PARTED,
        f"CREATE ROLE {even} LOGIN",
        f"GRANT SELECT ON parted, low TO {even}",
        f"ALTER TABLE {secured} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY own ON {secured} USING (owner = current_user)",
        "CREATE VIEW mine AS SELECT * FROM parted",
        f"ALTER VIEW mine OWNER TO {even}",
        "CREATE VIEW theirs AS SELECT * FROM parted WHERE owner = 'even'",
        f"GRANT SELECT ON theirs TO {even}",
    )
    as_owner = database.spec(table)
    spec = replace(as_owner, uri=database.uri(table).replace("kalla@", f"{even}@"))
    view = replace(as_owner, uri=database.uri("theirs").replace("kalla@", f"{even}@"))

    with (
        pytest.raises(SourceUnreadable, match=f'row-level security policy for table "{secured}"'),
        connector_for(spec).pin(spec),
    ):
        pass

    assert read_table(view).num_rows == 100
    assert read_table(database.spec("parted")).num_rows == 200


def test_materialised_views_and_inherited_tables_are_read_in_parts(database: Database) -> None:
    database.run(
        f"CREATE MATERIALIZED VIEW kept {SPARSE} AS SELECT * FROM ledger ORDER BY id",
        "CREATE TABLE child () INHERITS (ledger)",
        "INSERT INTO child SELECT n, 'child' FROM generate_series(10001, 10100) n",
    )

    for table, count in (("kept", 4000), ("ledger", 4100)):
        spec = database.spec(table)
        connector = connector_for(spec)
        with connector.pin(spec) as pinned:
            parts = connector.plan(pinned, 4)
            assert len(parts) == 4
            assert sum(b.num_rows for p in parts for b in connector.read(pinned, p)) == count


def test_a_lost_holder_is_found_by_verify_and_by_the_next_reader(database: Database) -> None:
    spec = database.spec()
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        database.end_others()

        with pytest.raises(SourceChanged, match=r"`ledger`.*is gone") as verified:
            connector.verify(pinned)
        with pytest.raises(SourceChanged, match=r"`ledger`.*is gone"):
            list(connector.read(pinned, part))

    assert verified.value.retryable


def test_giving_up_a_part_ends_its_query(database: Database) -> None:
    database.run("CREATE VIEW endless AS SELECT generate_series(1, 2000000000) AS n")
    spec = database.spec("endless")
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        queries = connector.read(pinned, connector.plan(pinned, 1)[0], columns=("n",))
        # Sorting would come first, and take for ever.
        (query,) = queries._queries  # type: ignore[attr-defined]
        queries._queries = (Query(query.sql.partition(" ORDER BY")[0]),)  # type: ignore[attr-defined]
        with closing(iter(queries)) as batches:  # type: ignore[type-var]
            assert next(batches).num_rows > 0
        until(lambda: running(database, "endless") == 0)


def test_the_query_of_a_killed_process_is_stopped_by_the_server(database: Database) -> None:
    database.run("CREATE VIEW slow AS SELECT 1 AS n FROM pg_sleep(600)")
    code = (
        "import sys\n"
        "from kalla_core.recipe.model import SourceSpec, SourceType\n"
        "from kalla_core.sources.registry import connector_for\n"
        "spec = SourceSpec('slow', SourceType.POSTGRES, sys.argv[1])\n"
        "connector = connector_for(spec)\n"
        "with connector.pin(spec) as pinned:\n"
        "    connector.preview(pinned, 1)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, database.uri("slow")])
    try:
        until(lambda: running(database, "slow") == 1)
    finally:
        child.kill()
        child.wait()

    until(lambda: kalla_connections(database) == 0)


def test_a_query_that_takes_too_long_is_given_up_by_the_server(database: Database) -> None:
    database.run("CREATE VIEW slow AS SELECT 1 AS n FROM pg_sleep(600)")
    spec = replace(database.spec("slow"), uri=database.uri("slow", statement_timeout="1"))
    connector = connector_for(spec)

    with (
        connector.pin(spec) as pinned,
        pytest.raises(SourceUnavailable, match=r"`ledger`.*statement_timeout"),
    ):
        connector.preview(pinned, 1)


def test_a_table_that_somebody_keeps_locked_is_not_waited_for_without_end(
    database: Database,
) -> None:
    spec: SourceSpec = replace(database.spec(), uri=database.uri("ledger", lock_timeout="1"))
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE ledger")

        with pytest.raises(SourceUnavailable, match="lock_timeout"), connector_for(spec).pin(spec):
            pass


def running(database: Database, word: str) -> int:
    found: int = database.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        f" AND application_name = 'kalla' AND state = 'active' AND query LIKE '%FROM%{word}%'"
    )
    return found


def kalla_connections(database: Database) -> int:
    found: int = database.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'kalla'"
    )
    return found
