"""The command line on Postgres: what it does, and how it says what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kalla_core.errors import InvalidUri
from kalla_core.sources.registry import connector_for
from tests.support.books import Books
from tests.support.command import KALLA, clean_environment, kalla
from tests.support.pooler import transaction_pooler
from tests.support.postgres import Database, fresh_server, new_database, shared_server

PASSWORD = "s3cr3t"  # noqa: S105 - made up


@pytest.fixture
def database() -> Database:
    """The tables of the books."""
    made = new_database()
    made.run(
        "CREATE TABLE invoices (invoice_id text, reference text, amount numeric(12,2),"
        " booked date)",
        "INSERT INTO invoices VALUES ('1','R-1',100,'2026-01-01'), ('2','R-2',50,'2026-01-02'),"
        " ('3','R-3',70,'2026-01-03'), ('4',NULL,10,'2026-01-04'), ('5','R-5',20,'2026-01-05')",
        "CREATE TABLE payments (payment_id text, reference text, paid_amount numeric)",
        "INSERT INTO payments VALUES ('P1','R-1',100.02), ('P2','R-2',50), ('P3','R-3',67.00),"
        " ('P4',NULL,10), ('P5','R-9',20)",
    )
    return made


def from_postgres(books: Books, database: Database) -> Books:
    for side, table in (("left", "invoices"), ("right", "payments")):
        books.recipe["sources"][side] |= {"type": "postgres", "uri": database.uri(table)}
    return books


def test_a_run_from_postgres_finds_what_a_run_from_files_finds(
    books: Books, database: Database
) -> None:
    from_files = books.run("--output", "files", "--json")
    from_tables = from_postgres(books, database).run("--output", "tables", "--json")

    metadata = json.loads(from_tables.out)
    sources = metadata["sources"]
    assert from_files.exit_code == from_tables.exit_code == 0, from_tables.err
    assert metadata["matched_count"] == json.loads(from_files.out)["matched_count"] == 2
    assert sources["left"]["table"] == "public.invoices"
    assert sources["left"]["snapshot"] == sources["right"]["snapshot"]
    assert sources["left"]["server_version"].startswith("18")
    assert metadata["left_excluded_count"] is None
    for name in ("unmatched_left", "unmatched_right"):
        of_files, of_tables = (
            pq.read_table(
                books.folder / out / f"{name}.parquet", columns=["record_key", "rejection_reason"]
            )
            for out in ("files", "tables")
        )
        assert sorted(map(str, of_tables.to_pylist())) == sorted(map(str, of_files.to_pylist()))


def test_preview_validate_and_explain_work_on_tables(books: Books, database: Database) -> None:
    recipe = from_postgres(books, database).write()

    previewed = kalla("preview", database.uri("payments"), cwd=books.folder)
    validated = kalla("validate", recipe, cwd=books.folder)
    explained = kalla("explain", recipe, cwd=books.folder)

    assert "67.00" in previewed.out
    assert "is valid" in validated.out.replace("\n", "")
    assert "copartition" in explained.out


def preview(folder: Path, uri: str, **environment: str) -> str:
    """Preview what cannot be, and return what is said; a traceback or the password never is."""
    outcome = kalla("preview", uri, cwd=folder, environment=environment)
    assert outcome.exit_code in (2, 3)
    assert PASSWORD not in outcome.out + outcome.err
    assert "Traceback" not in outcome.err
    return " ".join(outcome.err.split())


def test_what_is_wrong_with_a_connection_is_said_without_the_password(
    tmp_path: Path, database: Database
) -> None:
    port = shared_server().port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = taken.getsockname()[1]
        down = preview(tmp_path, f"postgres://u:{PASSWORD}@127.0.0.1:{nobody}/db?table=t")
    nowhere = preview(tmp_path, f"postgres://kalla:{PASSWORD}@127.0.0.1:{port}/nodb?table=t")
    tls = preview(
        tmp_path, f"postgres://kalla:{PASSWORD}@127.0.0.1:{port}/postgres?table=t&sslmode=require"
    )
    option = preview(
        tmp_path, f"postgres://kalla:{PASSWORD}@127.0.0.1:{port}/postgres?table=t&sslmod=x"
    )
    unset = preview(tmp_path, "postgres://u:${env:KALLA_NO_SUCH}@127.0.0.1/db?table=t")

    assert "source_unavailable" in down
    assert "Connection refused" in down
    assert "source_not_found" in nowhere
    assert '"nodb"' in nowhere
    assert "does not support SSL" in tls
    assert "sslmod" in option
    assert "KALLA_NO_SUCH" in unset


def test_an_unknown_table_is_answered_with_the_nearest_names(
    tmp_path: Path, database: Database
) -> None:
    database.run("CREATE SCHEMA sales", "CREATE TABLE sales.orders (id int)")

    assert "`invoices`" in preview(tmp_path, database.uri("invoice"))
    assert "`sales.orders`" in preview(tmp_path, database.uri("orders"))
    assert "names no table" in preview(tmp_path, database.server.uri(database.name))


def test_a_wrong_password_is_refused_and_a_right_one_may_come_from_the_environment(
    tmp_path: Path,
) -> None:
    with fresh_server(tcp=True) as server:
        database = Database(server, "postgres")
        database.run(
            f"CREATE ROLE teller LOGIN PASSWORD '{PASSWORD}'",
            "CREATE TABLE ledger (id int)",
            "GRANT SELECT ON ledger TO teller",
        )
        (server.data / "pg_hba.conf").write_text(
            "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        database.run("SELECT pg_reload_conf()")
        place = f"127.0.0.1:{server.port}/postgres?table=ledger"

        wrong = preview(tmp_path, f"postgres://teller:{PASSWORD}x@{place}")
        right = kalla(
            "preview", f"postgres://teller:${{env:TELLER}}@{place}", cwd=tmp_path,
            environment={"TELLER": PASSWORD},
        )  # fmt: skip

    assert "password authentication failed" in wrong
    assert right.exit_code == 0, right.err
    assert PASSWORD not in right.out


def test_a_server_that_is_killed_in_the_middle_fails_the_run_and_leaves_nothing(
    books: Books,
) -> None:
    with fresh_server() as server:
        database = Database(server, "postgres")
        database.run(
            "CREATE TABLE invoices (invoice_id text, reference text, amount numeric(12,2))",
            "INSERT INTO invoices VALUES ('1', 'R-1', 100)",
            "CREATE VIEW payments AS SELECT n::text AS payment_id, 'R' || n AS reference,"
            " 1::numeric(12,2) AS paid_amount, pg_sleep(0.001)::text AS waited"
            " FROM generate_series(1, 400000) n",
        )
        run = subprocess.Popen(
            [*KALLA, "run", from_postgres(books, database).write(), "--output", "out"],
            cwd=books.folder, env=clean_environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        waiting = threading.Event()
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE query LIKE 'COPY%' AND query LIKE '%ORDER BY%'"
        )
        for _ in range(600):
            if database.value(query):
                break
            waiting.wait(0.05)
        os.kill(server.pid, signal.SIGQUIT)
        said = " ".join(run.communicate(timeout=60)[1].split())

    assert run.returncode == 3, said
    assert "`payments`" in said
    assert "source_unavailable" in said
    assert "out" not in books.names()


def test_a_transaction_pooler_is_recognised_and_refused_by_name(database: Database) -> None:
    with transaction_pooler(database.server) as port:
        spec = database.spec("invoices")
        uri = f"postgres://kalla@127.0.0.1:{port}/{database.name}?table=invoices&sslmode=disable"
        through = type(spec)("ledger", spec.type, uri)

        with pytest.raises(InvalidUri, match="PgBouncer"), connector_for(through).pin(through):
            pass
