"""Rights that are missing or taken away, and tables whose shape is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import adbc_driver_manager
import pytest

from kalla_core.errors import SourceUnreadable
from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.registry import connector_for
from tests.support.books import Books
from tests.support.postgres import Database, new_database
from tests.support.sources import read_table


@pytest.fixture
def database() -> Iterator[Database]:
    """A ledger, and a teller who may read it."""
    made = new_database()
    teller = f"teller_of_{made.name}"
    made.run(
        "CREATE TABLE ledger (id int, note text)",
        "INSERT INTO ledger SELECT n, 'note' FROM generate_series(1, 100) n",
        f"CREATE ROLE {teller} LOGIN",
        f"GRANT SELECT ON ledger TO {teller}",
    )
    yield made
    made.run(f"DROP OWNED BY {teller}", f"DROP ROLE {teller}")


def of_teller(database: Database) -> SourceSpec:
    uri = database.uri("ledger").replace("kalla@", f"teller_of_{database.name}@")
    return replace(database.spec(), uri=uri)


def test_a_right_that_is_revoked_while_parts_are_read_is_an_error_that_names_the_table(
    database: Database,
) -> None:
    spec = of_teller(database)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        assert sum(batch.num_rows for batch in connector.read(pinned, part)) == 100
        database.run(f"REVOKE SELECT ON ledger FROM teller_of_{database.name}")

        with pytest.raises(SourceUnreadable, match=r"`ledger`.*denied for table ledger") as caught:
            list(connector.read(pinned, part))

    assert not caught.value.retryable


def test_a_table_that_may_not_be_read_is_refused_when_it_is_pinned(database: Database) -> None:
    database.run(f"REVOKE SELECT ON ledger FROM teller_of_{database.name}")
    spec = of_teller(database)

    with (
        pytest.raises(SourceUnreadable, match=r"`ledger`.*denied for table ledger"),
        connector_for(spec).pin(spec),
    ):
        pass


def test_columns_that_may_not_be_read_are_named(database: Database) -> None:
    teller = f"teller_of_{database.name}"
    database.run(
        f"REVOKE SELECT ON ledger FROM {teller}", f"GRANT SELECT (id) ON ledger TO {teller}"
    )
    spec = of_teller(database)

    with (
        pytest.raises(
            SourceUnreadable, match=r"`ledger`.*column `note`.*may not be read"
        ) as caught,
        connector_for(spec).pin(spec),
    ):
        pass

    assert caught.value.details["columns"] == ["note"]


def test_a_column_cannot_be_dropped_while_the_table_is_pinned_and_is_gone_from_the_next_pin(
    database: Database,
) -> None:
    spec = of_teller(database)
    drop = "ALTER TABLE ledger DROP COLUMN note"

    with connector_for(spec).pin(spec) as pinned:
        with pytest.raises(adbc_driver_manager.Error, match="lock timeout"):
            database.run("SET lock_timeout = '50ms'", drop)
        assert read_table(spec).column_names == pinned.schema.names == ["id", "note"]

    database.run("SET lock_timeout = '5s'", drop)
    assert read_table(spec).column_names == ["id"]


def test_a_run_whose_column_was_dropped_says_which_column_of_which_source(books: Books) -> None:
    database = new_database()
    database.run("CREATE TABLE invoices (invoice_id text, reference text, amount numeric(12,2))")
    books.recipe["sources"]["left"] |= {"type": "postgres", "uri": database.uri("invoices")}
    assert books.run("--output", "before").exit_code == 0

    database.run("ALTER TABLE invoices DROP COLUMN invoice_id")
    outcome = books.run("--output", "after")

    said = " ".join(outcome.err.split())
    assert outcome.exit_code == 2
    assert "sources.left.primary_key[0] (unknown_column)" in said
    assert "i.invoice_id" in said
    assert "after" not in books.names()
