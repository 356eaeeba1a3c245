from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.errors import TypesNotComparable
from kalla_core.matching.plans.agreement import check_agreement
from kalla_core.matching.plans.session import new_session


def check(condition: str) -> None:
    """Check the plan of a join on `condition` as DataFusion makes it, without casts of ours."""
    session = new_session()
    table = pa.table({"id": [1], "a": [Decimal("1.19")], "t": ["x"]})
    for name in ("l", "r"):
        session.register_record_batches(name, [table.to_batches()])
    plan = session.sql(f"select l.id from l join r on {condition}").optimized_logical_plan()
    check_agreement(session, plan)


@pytest.mark.parametrize(
    "condition", ["round(l.a * 1.190, 2) = r.a", "l.a < round(r.a * 1.190, 1 + 1)"]
)
def test_a_plan_that_compares_unlike_types_does_not_run(condition: str) -> None:
    with pytest.raises(TypesNotComparable, match=r"decimal\(\d+,2\).*decimal\(\d+,5\)|CAST"):
        check(condition)


@pytest.mark.parametrize(
    "condition",
    ["l.a = r.a", "l.id = r.a", "l.a * 2 > r.id", "l.t = r.t and l.id < 5", "l.a = r.a + 0.001"],
)
def test_a_plan_whose_types_agree_runs(condition: str) -> None:
    check(condition)
