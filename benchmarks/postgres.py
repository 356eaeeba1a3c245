"""Reading from Postgres: `python -m benchmarks.postgres`, or `--size 5m` for the full size.

Two scenarios on an embedded server, on the same cores, each contender in turn:

    reading   1M invoices in 8 parts, in one part, and by `asyncpg.fetch` and conversion to Arrow
    job       invoices and payments, end to end, beside two parallel binary `COPY … TO STDOUT` of
              the same columns with nothing else done

Seconds are medians; CPU seconds are those of the server and of its clients together, and tell more
where others use the machine as well. What is printed is added to `.bench/results/postgres.jsonl`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Annotated

import adbc_driver_postgresql.dbapi as adbc
import asyncpg
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.generate import DEFAULT_SEED, Dataset, Format, PatternName
from benchmarks.run import add_result, data_for, parse_size
from kalla_core.cli.embedded_postgres import EmbeddedServer, binaries, embedded_server
from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.sources.registry import connector_for

_READING_ROWS = 1_000_000
_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "max_connections": "30"}
_SQL_TYPES = {
    pa.string(): "text",
    pa.date32(): "date",
    pa.int64(): "bigint",
    pa.timestamp("us"): "timestamp",
}


class Scenario(StrEnum):
    """What is measured."""

    READING = "reading"
    JOB = "job"


Contenders = Mapping[str, Callable[[], object]]


def main(
    size: Annotated[str, typer.Option(help="invoices of the job: 250k, 1m, 5m")] = "1m",
    rounds: Annotated[int, typer.Option(help="turns of each contender, after one to warm up")] = 3,
    work: Annotated[Path, typer.Option(help="folder for data and evidence")] = Path(".bench"),
    only: Annotated[Scenario | None, typer.Option(help="one of the two")] = None,
) -> None:
    """Print seconds and CPU seconds of every contender, and what they make of each other."""
    with embedded_server(_SETTINGS) as server:
        if only is not Scenario.JOB:
            data = _data(work, _READING_ROWS)
            load_table(server, "reading", data.left)
            _note(work, _READING_ROWS, _take_turns("reading", _readers(server), server, rounds))
        if only is not Scenario.READING:
            data = _data(work, parse_size(size))
            load_table(server, "invoices", data.left)
            load_table(server, "payments", data.right)
            _note(work, data.size, _take_turns("job", _jobs(server, data, work), server, rounds))


def _note(work: Path, rows: int, taken: Mapping[str, Mapping[str, float]]) -> None:
    add_result(work, "postgres", {"size": rows, "contenders": taken})


def _data(work: Path, rows: int) -> Dataset:
    return data_for(work, PatternName.ONE_TO_ONE, rows, Format.PARQUET, DEFAULT_SEED)


def load_table(server: EmbeddedServer, name: str, path: Path) -> None:
    """Fill a table by binary COPY, a batch at a time."""
    file = pq.ParquetFile(path)
    columns = ", ".join(f"{f.name} {_sql_type(f.type)}" for f in file.schema_arrow)
    with adbc.connect(server.uri(), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} ({columns})")
        for batch in file.iter_batches(131_072):
            cursor.adbc_ingest(name, pa.Table.from_batches([batch]), mode="append")
        cursor.execute(f"VACUUM (FREEZE, ANALYZE) {name}")


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    return _SQL_TYPES[kind]


def _readers(server: EmbeddedServer) -> Contenders:
    return {
        "1 part": lambda: _read(server, 1),
        "8 parts": lambda: _read(server, 8),
        "8 parts, 2 at a time": lambda: _read(server, 8, threads=2),
        "asyncpg.fetch + Arrow": lambda: asyncio.run(_fetch(server)),
    }


def _read(server: EmbeddedServer, parts: int, threads: int = 1) -> int:
    spec = SourceSpec("reading", SourceType.POSTGRES, server.uri(table="reading"))
    connector = connector_for(spec)
    with connector.pin(spec) as pinned, ThreadPoolExecutor(threads) as pool:
        cut = connector.plan(pinned, parts)
        counts = pool.map(lambda p: sum(b.num_rows for b in connector.read(pinned, p)), cut)
        return _checked(sum(counts))


async def _fetch(server: EmbeddedServer) -> int:
    connection = await asyncpg.connect(server.uri())
    try:
        records = await connection.fetch("SELECT * FROM reading")
        names = list(records[0].keys())
        columns = zip(*(tuple(record) for record in records), strict=True)
        return _checked(pa.table([pa.array(c) for c in columns], names=names).num_rows)
    finally:
        await connection.close()


def _checked(rows: int) -> int:
    if rows != _READING_ROWS:
        raise AssertionError(f"{rows} rows were read of {_READING_ROWS}")
    return rows


def _jobs(server: EmbeddedServer, job: Dataset, work: Path) -> Contenders:
    document = job.recipe
    for side, table in (("left", "invoices"), ("right", "payments")):
        document["sources"][side] |= {"type": "postgres", "uri": server.uri(table=table)}
        document["sources"][side].pop("types", None)
    recipe, output = work / "postgres.json", work / "postgres-out"
    recipe.write_text(json.dumps(document), encoding="utf-8")

    def kalla() -> None:
        shutil.rmtree(output, ignore_errors=True)
        command = [sys.executable, "-m", "kalla_core.cli", "run", str(recipe), "-o", str(output)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return {"two binary COPY": lambda: _copies(server), "kalla run": kalla}


def _copies(server: EmbeddedServer) -> None:
    copies = [
        subprocess.Popen(
            [
                str(binaries() / "psql"),
                server.uri(),
                "-qc",
                f"COPY {table} TO STDOUT (FORMAT binary)",
            ],
            stdout=subprocess.DEVNULL,
        )
        for table in ("invoices", "payments")
    ]
    if any(copy.wait() for copy in copies):
        raise AssertionError("a COPY failed")


def _take_turns(
    name: str, contenders: Contenders, server: EmbeddedServer, rounds: int
) -> Mapping[str, Mapping[str, float]]:
    """Return of each contender what it takes, also as a multiple of the first one's."""
    seconds: dict[str, list[float]] = {each: [] for each in contenders}
    cpu: dict[str, list[float]] = {each: [] for each in contenders}
    for turn in range(rounds + 1):
        for each, work in contenders.items():
            before, start = _cpu_seconds(server), time.perf_counter()
            work()
            took = time.perf_counter() - start
            if turn:
                seconds[each].append(took)
                cpu[each].append(_cpu_seconds(server) - before)
            print(f"{name}: turn {turn}, {each}: {took:.2f} s", file=sys.stderr)
    first = next(iter(contenders))
    taken = {}
    for each in contenders:
        wall, busy = median(seconds[each]), median(cpu[each])
        ratios = median(a / b for a, b in zip(seconds[each], seconds[first], strict=True))
        of_cpu = median(a / b for a, b in zip(cpu[each], cpu[first], strict=True))
        print(
            f"{name:8} {each:24} {wall:7.2f} s  {busy:7.2f} s CPU"
            f"   {ratios:5.2f} x and {of_cpu:5.2f} x CPU of {first}"
        )
        taken[each] = {"seconds": wall, "cpu_s": busy, "ratio": ratios, "cpu_ratio": of_cpu}
    return taken


def _cpu_seconds(server: EmbeddedServer) -> float:
    """Return what this process, its children and the server's, living or ended, have used."""
    postmaster = psutil.Process(server.pid)
    used = [os.times()[:4], postmaster.cpu_times()[:4]]
    for backend in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            used.append(backend.cpu_times()[:4])
    return float(sum(map(sum, used)))


if __name__ == "__main__":
    typer.run(main)
