"""A Postgres that falls silent while its connections live: what waits for it ends, and says why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.errors import SourceUnavailable
from kalla_core.sources.registry import connector_for
from tests.support.command import KALLA, Outcome, clean_environment, names_below
from tests.support.postgres import Database, new_database, shared_server
from tests.support.wires import Wire, wire

CATALOGUE_BYTES = 10_000
"""In the middle of what is looked up before any row is read."""
ROWS_BYTES = 400_000
"""More than all that is looked up, and less than the rows."""
AT_ONCE_S = 5
PATIENCE_S = 60
HASTY = "&read_timeout=1&connect_timeout=2"


@pytest.fixture(scope="module")
def database() -> Database:
    made = new_database()
    made.put(
        "entries", pa.table({"id": range(20_000), "text": [f"{n:050}" for n in range(20_000)]})
    )
    return made


@pytest.fixture
def to_postgres() -> Iterator[Wire]:
    with wire(("127.0.0.1", shared_server().port)) as laid:
        yield laid


def uri_over(over: Wire, database: Database, more: str) -> str:
    return f"postgresql://kalla@127.0.0.1:{over.port}/{database.name}?table=entries{more}"


def arguments(command: str, database: Database, over: Wire, folder: Path, more: str) -> list[str]:
    """Return a command over both sources in the database, told apart by their aliases."""
    uri = uri_over(over, database, more)
    if command == "preview":
        return [command, uri]
    sides = {
        side: {"alias": side[0], "type": "postgres", "uri": uri, "primary_key": ["id"]}
        for side in ("left", "right")
    }
    recipe = {
        "recipe_id": "silence",
        "name": "Silence",
        "sources": sides,
        "match_sql": "SELECT l.id AS left_id, r.id AS right_id FROM l JOIN r ON l.id = r.id",
        "options": {"timeout_s": 4 if more == "" else 60},
    }
    (folder / "recipe.json").write_text(json.dumps(recipe))
    output = ["--output", "out", "--quiet"] if command == "run" else []
    return [command, "recipe.json", *output]


def heed_interrupts() -> None:
    """Let Ctrl-C count also where whoever runs the tests has it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def silenced(words: list[str], over: Wire, size: int, folder: Path, number: int = 0) -> Outcome:
    """Run a command over a wire that is cut after so many bytes; send it a signal then, if any."""
    over.after(size, over.cut)
    running = subprocess.Popen(
        [*KALLA, *words],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    try:
        assert over.held_up.wait(PATIENCE_S)
        if number:
            os.kill(running.pid, number)
        out, err = running.communicate(timeout=AT_ONCE_S if number else PATIENCE_S)
    finally:
        running.kill()
    return Outcome(running.returncode, out, err)


@pytest.mark.parametrize(
    ("command", "number", "head", "code"),
    [
        ("run", signal.SIGINT, "Interrupted", 130),
        ("run", signal.SIGTERM, "Terminated", 143),
        ("validate", signal.SIGINT, "Interrupted", 130),
        ("explain", signal.SIGTERM, "Terminated", 143),
        ("preview", signal.SIGINT, "Interrupted", 130),
    ],
)
def test_a_command_that_looks_at_a_silent_server_ends_at_once_when_it_is_told_to(
    database: Database,
    to_postgres: Wire,
    tmp_path: Path,
    command: str,
    number: int,
    head: str,
    code: int,
) -> None:
    words = arguments(command, database, to_postgres, tmp_path, "&read_timeout=60")

    done = silenced(words, to_postgres, CATALOGUE_BYTES, tmp_path, number)

    assert done.err.strip().splitlines()[-1] == f"{head}: nothing was left behind."
    assert done.exit_code == code
    assert names_below(tmp_path) <= {"recipe.json"}


@pytest.mark.parametrize("command", ["run", "validate", "preview"])
def test_a_command_that_looks_at_a_silent_server_ends_and_says_who_was_silent(
    database: Database, to_postgres: Wire, tmp_path: Path, command: str
) -> None:
    words = arguments(command, database, to_postgres, tmp_path, HASTY)

    done = silenced(words, to_postgres, CATALOGUE_BYTES, tmp_path)

    assert done.exit_code == 3
    assert "source_unavailable" in done.err
    assert "`127.0.0.1` fell silent: nothing came in" in done.err
    assert "read_timeout" in done.err
    assert names_below(tmp_path) <= {"recipe.json"}


def test_a_run_whose_rows_stop_coming_ends_and_leaves_nothing(
    database: Database, to_postgres: Wire, tmp_path: Path
) -> None:
    words = arguments("run", database, to_postgres, tmp_path, HASTY)

    done = silenced(words, to_postgres, ROWS_BYTES, tmp_path)

    # Of several readers the one that is told of may have waited for rows, or still connected.
    assert done.exit_code == 3
    assert "source_unavailable" in done.err
    assert "`127.0.0.1` fell silent" in done.err or "timeout expired" in done.err
    assert names_below(tmp_path) == {"recipe.json"}


def test_rows_that_stop_coming_are_an_error_that_says_what_was_waited_for(
    database: Database, to_postgres: Wire
) -> None:
    spec = replace(database.spec("entries"), uri=uri_over(to_postgres, database, HASTY))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        to_postgres.after(ROWS_BYTES, to_postgres.cut)
        began = time.monotonic()
        with pytest.raises(
            SourceUnavailable,
            match=r"nothing came in \d+ s of waiting for rows; connecting anew failed as well",
        ):
            list(connector.read(pinned, part))
        took = time.monotonic() - began

    assert took < PATIENCE_S


def test_a_silent_server_does_not_keep_a_run_beyond_its_timeout(
    database: Database, to_postgres: Wire, tmp_path: Path
) -> None:
    words = arguments("run", database, to_postgres, tmp_path, "")

    done = silenced(words, to_postgres, CATALOGUE_BYTES, tmp_path)

    assert done.exit_code == 3
    assert "deadline_exceeded" in done.err
    assert names_below(tmp_path) == {"recipe.json"}


def test_a_view_that_takes_long_to_begin_is_waited_for_while_its_server_is_there(
    database: Database,
) -> None:
    database.run("CREATE VIEW slow AS SELECT 1 AS n FROM pg_sleep(2.5)")
    spec = replace(database.spec("slow"), uri=database.uri("slow", read_timeout="1"))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        began = time.monotonic()
        rows = connector.preview(pinned, 1)
        took = time.monotonic() - began

    assert rows.to_pylist() == [{"n": 1}]
    assert took > 2
