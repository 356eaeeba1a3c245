"""The job in DuckDB: one table of pairs, two anti joins, three COPYs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import duck
from benchmarks.peers.job import COMPRESSION, Job, command
from benchmarks.shapes import LEFT_KEY, MATCH_COLUMNS, RIGHT_KEY, Format


def run(job: Job) -> None:
    """Do the job."""
    connection = duck.connect(
        memory_bytes=job.memory_bytes, threads=job.threads, temporary=job.out / "spill"
    )
    shape = job.shape
    with connection:
        # CSV is costly to read twice; Parquet is cheaper to read twice than to keep in memory.
        kind = "TEMP TABLE" if job.format is Format.CSV else "VIEW"
        connection.execute(f"CREATE {kind} l AS FROM {duck.scan(job.left, shape.left)}")
        connection.execute(f"CREATE {kind} r AS FROM {duck.scan(job.right, shape.right)}")
        connection.execute(
            f"CREATE TEMP TABLE pairs AS SELECT {MATCH_COLUMNS} FROM l JOIN r ON {shape.rule.plain}"
        )
        _copy(connection, "FROM pairs", job.matched)
        _copy(connection, _unmatched(job, "l", "r", LEFT_KEY), job.unmatched_left)
        _copy(connection, _unmatched(job, "r", "l", RIGHT_KEY), job.unmatched_right)


def _unmatched(job: Job, side: str, other: str, key: str) -> str:
    if job.keys_identify:
        return f"SELECT * FROM {side} ANTI JOIN pairs USING ({key})"
    return f"SELECT * FROM {side} WHERE NOT EXISTS (FROM {other} WHERE {job.shape.rule.plain})"


def _copy(connection: Any, query: str, path: Path) -> None:
    target = duck.quoted(str(path))
    connection.execute(f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION {COMPRESSION})")


if __name__ == "__main__":
    command(run)
