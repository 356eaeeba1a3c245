"""Damaged files of every kind: an error that names the file, or rows; never anything else."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.connectors import ledger, plain_ledger
from tests.support.ledgers import (
    avro_source,
    duckdb_source,
    fixed_source,
    json_source,
    ods_source,
    sqlite_source,
    workbook_source,
)
from tests.unit.sources.banks.test_bai2 import WHOLE
from tests.unit.sources.banks.test_camt import balance, entry, statement
from tests.unit.sources.banks.test_mt940 import GERMAN, closed

ROWS = 40
MAX_BYTES = 2 << 30
"""Of address space, beyond what a reader has once it read a whole file: what a damaged length asks
for is refused. Much of what it has is reserved by allocators and never used."""


def text(name: str, content: str) -> Callable[[Path], Mapping[str, Any]]:
    def put(folder: Path) -> Mapping[str, Any]:
        (folder / name).write_text(content)
        return {"uri": str(folder / name)}

    return put


KINDS: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {
    "avro": lambda folder: avro_source(folder, ledger(ROWS)),
    "bai2": text("in.bai2", WHOLE),
    "camt053": text(
        "in.xml", statement(balance("OPBD", "1.00"), balance("CLBD", "2.00"), entry("1.00"))
    ),
    "duckdb": lambda folder: duckdb_source(folder, ledger(ROWS)),
    "fixed": lambda folder: fixed_source(folder, plain_ledger(ROWS)),
    "json array": lambda folder: json_source(folder, ledger(ROWS), lines=False),
    "json envelope": lambda folder: {
        "uri": str(folder / "in.json"),
        "format": {"records": "data"},
        "written": (folder / "in.json").write_text(
            json.dumps(
                {"page": {"n": 1}, "data": [{"id": n, "s": "x"} for n in range(ROWS)], "e": []}
            )
        ),
    },
    "json lines": lambda folder: json_source(folder, ledger(ROWS)),
    "mt940": text("in.sta", closed("1012,50", GERMAN)),
    "ods": lambda folder: ods_source(folder, ledger(ROWS)),
    "sqlite": lambda folder: sqlite_source(folder, ledger(ROWS)),
    "xlsx": lambda folder: workbook_source(folder, ledger(ROWS)),
}

READER = """
import json, psutil, resource, sys
from kalla_core.errors import KallaError
from kalla_core.recipe.parse import parse_source
from kalla_core.sources.registry import connector_for
for number, line in enumerate(sys.stdin):
    if number == 1:
        most = psutil.Process().memory_info().vms + int(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    asked = json.loads(line)
    with open(asked["path"], "wb") as file:
        file.write(bytes.fromhex(asked["data"]))
    spec = parse_source({"alias": "ledger", "type": "file", **asked["source"]})
    connector = connector_for(spec)
    try:
        with connector.pin(spec) as pinned:
            for part in connector.plan(pinned, 2):
                for batch in connector.read(pinned, part):
                    batch.validate(full=True)
        print("rows", flush=True)
    except KallaError as error:
        print("error" if "ledger" in str(error) else f"unnamed: {error}", flush=True)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}".replace("\\n", " "), flush=True)
"""


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with one to three things wrong."""
    wrong = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(wrong) or 1)
        match chance.randrange(5):
            case 0:
                wrong[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del wrong[at:]
            case 2:
                del wrong[at : at + chance.randint(1, 50)]
            case 3:
                wrong[at:at] = wrong[at : at + chance.randint(1, 50)]
            case _:
                wrong[at : at + 8] = chance.choice(
                    [b"\xff" * 8, b"\0" * 8, b"99999999", b'"<{[,;:/']
                )
    return bytes(wrong)


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(12, id="some"),
        pytest.param(1500, id="many", marks=pytest.mark.full),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_gives_rows_or_an_error_that_names_it(
    tmp_path: Path, kind: str, times: int
) -> None:
    source = {key: one for key, one in KINDS[kind](tmp_path).items() if key in ("uri", "format")}
    path = Path(source["uri"].partition("?")[0])
    whole, chance = path.read_bytes(), random.Random(f"{kind} {times}")
    tries = [damaged(whole, chance) for _ in range(times)]
    asked = [json_line(path, one, source) for one in [whole, *tries]]

    done = subprocess.run(
        [sys.executable, "-c", READER, str(MAX_BYTES)],
        input="\n".join(asked), capture_output=True, text=True, timeout=60 + times, check=False,
    )  # fmt: skip

    said = done.stdout.splitlines()
    assert done.returncode == 0, f"it ended at {tries[len(said) - 1].hex()}: {done.stderr[-500:]}"
    assert said[0] == "rows"
    wrong = [
        (answer, one.hex())
        for answer, one in zip(said[1:], tries, strict=True)
        if answer not in ("rows", "error")
    ]
    assert wrong == []


def json_line(path: Path, data: bytes, source: Mapping[str, Any]) -> str:
    return json.dumps({"path": str(path), "data": data.hex(), "source": dict(source)})
