"""What DataFusion says when a query fails, told as an error of Kalla's."""

import pyarrow as pa
import pytest

from kalla_core.engine.failures import query_errors
from kalla_core.errors import InvalidSql, KallaError, OutOfDisk, OutOfMemory
from kalla_core.matching.plans.session import SessionLimits, new_session

ROWS = pa.record_batch({"a": ["x", "1"], "n": [0, 1], "d": ["2026-01-01", "nope"]})
MANY = pa.record_batch({"a": [str(n) for n in range(50_000)]})
NO_SPACE = "DataFusion error: External error: No space left on device (os error 28)"


def failure(
    sql: str, rows: pa.RecordBatch = ROWS, limits: SessionLimits | None = None
) -> KallaError:
    session = new_session(limits or SessionLimits())
    session.register_record_batches("t", [[rows]])
    with pytest.raises(KallaError) as raised, query_errors():
        session.sql(sql).to_arrow_table()
    return raised.value


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("CAST(a AS INT)", "Cannot cast string 'x' to value of Int32 type"),
        ("CAST(d AS DATE)", "Cannot cast string 'nope'"),
        ("1 / n", "Divide by zero"),
        ("1 % n", "Divide by zero"),
        ("to_timestamp(d)", "'nope'"),
        ("(SELECT n FROM t)", "more than one row"),
        ("sqrt(-1.0 * (n + 1))", "square root of a negative number"),
        ("chr(n - 5)", "-5"),
    ],
)
def test_a_value_that_the_sql_cannot_take_is_the_fault_of_sql_or_data(
    expression: str, said: str
) -> None:
    error = failure(f"SELECT {expression} FROM t")

    assert isinstance(error, InvalidSql)
    assert error.message.startswith("The match SQL failed on a value: ")
    assert said in error.message
    assert "\n" not in error.message
    assert "DataFusion" not in error.message


@pytest.mark.parametrize(
    ("sql", "operator"),
    [
        ("SELECT * FROM t l JOIN t r ON l.a = r.a", "HashJoinInput"),
        ("SELECT * FROM t l JOIN t r ON l.a < r.a", "NestedLoopJoinLoad"),
        ("SELECT * FROM t ORDER BY a", "ExternalSorter"),
    ],
)
def test_an_operator_that_needs_too_much_memory_is_named(sql: str, operator: str) -> None:
    error = failure(sql, MANY, SessionLimits(memory_bytes=100_000))

    assert type(error) is OutOfMemory
    assert operator in error.message
    assert "--memory-limit" in error.message
    assert error.details == {"operator": operator}


def test_no_space_to_spill_is_no_space() -> None:
    with pytest.raises(OutOfDisk, match="No space left on device"), query_errors():
        raise Exception(NO_SPACE)


@pytest.mark.parametrize("call", ["encode(a, a)", "xxhash64(INTERVAL '1 day')"])
def test_what_datafusion_has_no_way_to_run_is_refused_as_sql(call: str) -> None:
    error = failure(f"SELECT {call} FROM t")

    assert type(error) is InvalidSql
    assert error.message.startswith("The query engine cannot run this match SQL: ")


@pytest.mark.parametrize("error", [KeyError("k"), ValueError("v"), InvalidSql("as it is")])
def test_what_is_not_from_the_engine_passes_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, query_errors():
        raise error

    assert raised.value is error


def test_sql_that_makes_the_engine_panic_is_refused_as_sql() -> None:
    session = new_session()
    session.register_record_batches("t", [[pa.record_batch({"a": [1, 2], "b": [3, 4]})]])

    with pytest.raises(InvalidSql, match="cannot run this match SQL"), query_errors():
        session.sql("SELECT a, count(1 ORDER BY a, b) FROM t GROUP BY a").collect()
