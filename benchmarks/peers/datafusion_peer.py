"""The job in DataFusion alone: three queries, each written as it runs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext
from datafusion.options import CsvReadOptions

from benchmarks.peers.job import COMPRESSION, Job, command
from benchmarks.shapes import MATCH_COLUMNS, Columns, Format, PatternName, decimal_digits


def run(job: Job) -> None:
    """Do the job."""
    session = _session(job)
    _register(session, "l", job.left, job, job.shape.left)
    _register(session, "r", job.right, job, job.shape.right)
    condition = job.shape.rule.plain
    _copy(session, f"SELECT {MATCH_COLUMNS} FROM l JOIN r ON {condition}", job.matched)
    _copy(session, f"SELECT l.* FROM l LEFT ANTI JOIN r ON {condition}", job.unmatched_left)
    _copy(session, f"SELECT r.* FROM r LEFT ANTI JOIN l ON {condition}", job.unmatched_right)


def _session(job: Job) -> SessionContext:
    config = (
        SessionConfig()
        .with_target_partitions(job.threads)
        .set("datafusion.sql_parser.parse_float_as_decimal", "true")
        .set("datafusion.execution.parquet.compression", f"{COMPRESSION}_raw")
    )
    (job.out / "spill").mkdir(exist_ok=True)
    runtime = (
        RuntimeEnvBuilder()
        .with_fair_spill_pool(job.memory_bytes)
        .with_disk_manager_specified(str(job.out / "spill"))
    )
    return SessionContext(config, runtime)


def _register(session: SessionContext, name: str, path: Path, job: Job, columns: Columns) -> None:
    if job.format is Format.PARQUET:
        session.register_parquet(name, str(path))
        return
    options = CsvReadOptions(
        schema=pa.schema([(name, _type(type_)) for name, type_ in columns.items()]),
        # Line ends within quotes forbid reading a file in parallel; only `hard` has them.
        newlines_in_values=job.pattern is PatternName.HARD,
    )
    session.register_csv(name, str(path), options=options)


def _copy(session: SessionContext, query: str, path: Path) -> None:
    session.sql(f"COPY ({query}) TO '{path}' STORED AS PARQUET").collect()


def _type(type_: str) -> pa.DataType:
    digits = decimal_digits(type_)
    if digits is not None:
        return pa.decimal128(*digits)
    return {"text": pa.string(), "date": pa.date32(), "int64": pa.int64()}[type_]


if __name__ == "__main__":
    command(run)
