"""The DataFusion session every plan is made and run in, so that SQL means the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from datafusion import RuntimeEnvBuilder, ScalarUDF, SessionConfig, SessionContext

from kalla_core.matching.sql.periods import period_functions

_MERGE_BYTES = "datafusion.execution.sort_spill_reservation_bytes"
_BUILT_ONCE_BELOW = "datafusion.optimizer.hash_join_single_partition_threshold"
_MERGE_SHARE = 256
_MOST_MERGE_BYTES = 10 << 20
"""What every sort sets aside for merging what it holds: DataFusion's own figure, less where the
pool is small, for a plan may have dozens of sorts."""


SPILLED_BATCH_ROWS = 8192
"""Of the batches of operators that spill, which have to hold many of them."""
MEMORY_BATCH_ROWS = 32_768
"""Of those of a join in memory: fewer batches are less to do for each."""
FEW_THREADS = 4
"""For so few, cutting both sides of a join costs more than building tables side by side gains."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What a session may use; the default suits planning and small tables.

    Attributes:
        threads: DataFusion partitions, hence cores.
        memory_bytes: pool shared by the operators; None for no bound.
        spill_path: folder for sorts and aggregates that spill; None forbids spilling.
        sort_merge: join by sorting, which spills, instead of hashing, which does not. DataFusion
            does so only with two partitions or more, so it gets at least two.
        batch_rows: of the batches that operators pass on.
        build_once: hash joins build one table that all threads look into, instead of cutting both
            sides among them. It spares a copy of both sides, but one thread builds the table.
        fan_in: spill files that a sort merges at once. It takes memory for two batches of each
            before it merges; without a bound it takes all there is, and sorts beside it in the
            plan, which cannot make it give back, find none. None where nothing is sorted or
            grouped: to say it takes longer than to make the session.
    """

    threads: int = 1
    memory_bytes: int | None = None
    spill_path: str | None = None
    sort_merge: bool = False
    batch_rows: int = SPILLED_BATCH_ROWS
    build_once: bool = False
    fan_in: int | None = 4


def new_session(limits: SessionLimits = SessionLimits()) -> SessionContext:
    """Return a fresh session: decimal literals, functions of hashes and periods, no file tables."""
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
    if limits.build_once:
        for unit in ("", "_rows"):
            config.set(f"{_BUILT_ONCE_BELOW}{unit}", str(2**62))
    runtime = RuntimeEnvBuilder()
    if limits.memory_bytes is not None:
        runtime = runtime.with_fair_spill_pool(limits.memory_bytes)
    if limits.spill_path is None:
        runtime = runtime.with_disk_manager_disabled()
    else:
        runtime = runtime.with_disk_manager_specified(limits.spill_path)
    if limits.memory_bytes is not None and limits.spill_path is not None:
        config.set(_MERGE_BYTES, str(min(limits.memory_bytes // _MERGE_SHARE, _MOST_MERGE_BYTES)))
    session = SessionContext(config, runtime)
    if limits.spill_path is not None and limits.fan_in is not None:
        # An option of the runtime, which only SQL sets.
        session.sql(f"SET datafusion.runtime.max_spill_merge_fan_in = {limits.fan_in}").collect()
    for function in (*_hash_functions(), *period_functions()):
        session.register_udf(function)
    return session


@cache
def _hash_functions() -> tuple[ScalarUDF, ...]:
    # Enabled as a whole, Spark's functions take the place of built-in ones: concat gives NULL
    # beside NULL, date_trunc refuses dates, substr counts otherwise.
    spark = SessionContext()
    spark.enable_spark_functions()
    return (spark.udf("xxhash64"), spark.udf("pmod"))
