from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.functions import FUNCTIONS, variant
from kalla_core.matching.plans.session import new_session

TEXT, NUMBER, DATE = pa.string(), pa.int64(), pa.date32()
UNZONED, ZONED = pa.timestamp("us"), pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("function", "types", "culprit"),
    [
        ("tolerance_match", [TEXT, NUMBER, NUMBER], "string"),
        ("tolerance_match", [NUMBER, pa.bool_(), NUMBER], "bool"),
        ("tolerance_match", [DATE, DATE, NUMBER], "date32"),
        ("tolerance_match", [NUMBER, NUMBER, pa.dictionary(pa.int8(), TEXT)], "string"),
        ("tolerance_pct", [NUMBER, NUMBER, TEXT], "string"),
        ("tolerance_pct", [pa.list_(NUMBER), NUMBER, NUMBER], "list"),
        ("date_within", [UNZONED, ZONED, NUMBER], "zone"),
        ("date_within", [ZONED, UNZONED, NUMBER], "zone"),
        ("date_within", [DATE, TEXT, NUMBER], "string"),
        ("date_within", [NUMBER, DATE, NUMBER], "int64"),
        ("date_within", [DATE, DATE, pa.duration("s")], "duration"),
        ("date_within", [DATE, pa.time64("us"), NUMBER], "time64"),
        ("norm_ref", [NUMBER], "int64"),
        ("norm_ref", [pa.binary()], "binary"),
    ],
)
def test_types_that_make_no_sense_are_refused_by_name(
    function: str, types: Sequence[pa.DataType], culprit: str
) -> None:
    with pytest.raises(TypesNotComparable) as refused:
        variant(function, "f", types)

    assert function in str(refused.value)
    assert culprit in str(refused.value)
    assert refused.value.details["function"] == function


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wrong_number_of_arguments_is_refused(function: str) -> None:
    with pytest.raises(InvalidSql, match=f"{function} takes {FUNCTIONS[function]} "):
        variant(function, "f", [NUMBER] * (FUNCTIONS[function] + 1))


def test_a_variant_goes_by_the_name_it_is_given_and_takes_literals() -> None:
    session = new_session()
    types = [pa.decimal128(12, 2), pa.decimal128(5, 2), pa.decimal128(2, 2)]
    session.register_udf(variant("tolerance_match", "tolerance_match__0", types))
    amounts = pa.array([Decimal("100.02"), Decimal("100.03"), None], types[0])
    session.register_record_batches("t", [pa.table({"a": amounts}).to_batches()])

    found = session.sql("SELECT tolerance_match__0(a, 100.00, 0.02) AS hit FROM t").to_pydict()
    empty = session.sql("SELECT a FROM t WHERE a > 999 AND tolerance_match__0(a, 100.00, 0.02)")

    assert found == {"hit": [True, False, None]}
    assert empty.count() == 0


def test_a_variant_is_immutable_so_that_literals_alone_are_folded() -> None:
    session = new_session()
    types = [pa.int64(), pa.decimal128(2, 1), pa.decimal128(1, 1)]
    session.register_udf(variant("tolerance_match", "near", types))

    plan = session.sql("SELECT near(2, 2.5, 0.5) AS hit").optimized_logical_plan()

    assert "Boolean(true)" in plan.display_indent()
