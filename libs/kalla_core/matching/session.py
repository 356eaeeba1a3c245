"""The DataFusion session every plan is made and run in, so that SQL means the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from datafusion import RuntimeEnvBuilder, ScalarUDF, SessionConfig, SessionContext


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What a session may use; the default suits planning and small tables.

    Attributes:
        threads: DataFusion partitions, hence cores.
        memory_bytes: pool shared by the operators; None for no bound.
        spill_path: folder for sorts and aggregates that spill; None forbids spilling.
        sort_merge: join by sorting, which spills, instead of hashing, which does not. DataFusion
            does so only with two partitions or more, so it gets at least two.
    """

    threads: int = 1
    memory_bytes: int | None = None
    spill_path: str | None = None
    sort_merge: bool = False
    batch_rows: int = 8192


def new_session(limits: SessionLimits = SessionLimits()) -> SessionContext:
    """Return a fresh session: decimal literals, Spark's hash functions, no file tables."""
    config = (
        SessionConfig()
        .with_target_partitions(max(limits.threads, 2) if limits.sort_merge else limits.threads)
        .with_batch_size(limits.batch_rows)
        .with_information_schema(False)
        .set("datafusion.sql_parser.parse_float_as_decimal", "true")
        .set("datafusion.sql_parser.map_string_types_to_utf8view", "false")
        .set("datafusion.execution.parquet.schema_force_view_types", "false")
        .set("datafusion.optimizer.prefer_hash_join", str(not limits.sort_merge).lower())
    )
    runtime = RuntimeEnvBuilder()
    if limits.memory_bytes is not None:
        runtime = runtime.with_fair_spill_pool(limits.memory_bytes)
    if limits.spill_path is None:
        runtime = runtime.with_disk_manager_disabled()
    else:
        runtime = runtime.with_disk_manager_specified(limits.spill_path)
    session = SessionContext(config, runtime)
    for function in _hash_functions():
        session.register_udf(function)
    return session


@cache
def _hash_functions() -> tuple[ScalarUDF, ...]:
    # Enabled as a whole, Spark's functions take the place of built-in ones: concat gives NULL
    # beside NULL, date_trunc refuses dates, substr counts otherwise.
    spark = SessionContext()
    spark.enable_spark_functions()
    return (spark.udf("xxhash64"), spark.udf("pmod"))
