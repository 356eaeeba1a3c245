"""The job in Sail, in its `local-cluster` mode: a driver and workers, one slot each.

Unlike the other peers it stays: a cluster is there before its jobs are. It reads a JSON line per
job from standard input (`{"left", "right", "pattern", "format", "out"}`) and answers with
`{"seconds": N}`, or `{"error": TEXT}`; the first line it says is `{"ready": true}`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.job import Job
from benchmarks.shapes import MATCH_COLUMNS, Columns, Format, PatternName

WORKERS = "--workers"


def main() -> None:
    """Start a cluster and do what standard input asks for, until it ends."""
    workers = sys.argv[sys.argv.index(WORKERS) + 1] if WORKERS in sys.argv else "2"
    os.environ |= {
        "SAIL_MODE": "local-cluster",
        "SAIL_CLUSTER__WORKER_INITIAL_COUNT": workers,
        "SAIL_CLUSTER__WORKER_MAX_COUNT": workers,
        "SAIL_CLUSTER__WORKER_TASK_SLOTS": "1",
        "SAIL_EXECUTION__DEFAULT_PARALLELISM": workers,
    }
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    session.sql("SELECT 1").collect()
    _say({"ready": True})
    for line in sys.stdin:
        began = time.perf_counter()
        try:
            run(session, _job(json.loads(line)))
        except Exception as error:  # whatever it is, it is the answer
            _say({"error": f"{type(error).__name__}: {error}"})
        else:
            _say({"seconds": time.perf_counter() - began})


def run(session: Any, job: Job) -> None:
    """Do the job."""
    _register(session, "l", job.left, job, job.shape.left)
    _register(session, "r", job.right, job, job.shape.right)
    condition = job.shape.rule.plain
    for query, path in (
        (f"SELECT {MATCH_COLUMNS} FROM l JOIN r ON {condition}", job.matched),
        (f"SELECT l.* FROM l LEFT ANTI JOIN r ON {condition}", job.unmatched_left),
        (f"SELECT r.* FROM r LEFT ANTI JOIN l ON {condition}", job.unmatched_right),
    ):
        session.sql(query).write.mode("overwrite").parquet(str(path))


def _register(session: Any, name: str, path: Path, job: Job, columns: Columns) -> None:
    if job.format is Format.PARQUET:
        frame = session.read.parquet(str(path))
    else:
        schema = ", ".join(f"{column} {_type(type_)}" for column, type_ in columns.items())
        frame = session.read.csv(str(path), header=True, schema=schema)
    frame.createOrReplaceTempView(name)


def _type(type_: str) -> str:
    return {"text": "string", "int64": "bigint"}.get(type_, type_)


def _job(asked: dict[str, str]) -> Job:
    return Job(
        left=Path(asked["left"]),
        right=Path(asked["right"]),
        pattern=PatternName(asked["pattern"]),
        format=Format(asked["format"]),
        out=Path(asked["out"]),
        memory_bytes=0,
        threads=0,
    )


def _say(answer: dict[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
