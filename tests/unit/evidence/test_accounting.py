import pytest

from kalla_core.errors import AccountingFailed
from kalla_core.evidence.accounting import RowAccount, prove
from kalla_core.matching.sql.query import Side

LEFT = RowAccount(Side.LEFT, scanned=10, joined=10, matched=7, unmatched=3)


def test_sides_that_add_up_pass() -> None:
    right = RowAccount(Side.RIGHT, scanned=0, joined=0, matched=0, unmatched=0)

    prove(LEFT, right)


@pytest.mark.parametrize(
    "wrong",
    [
        RowAccount(Side.RIGHT, scanned=11, joined=10, matched=7, unmatched=3),
        RowAccount(Side.RIGHT, scanned=10, joined=11, matched=7, unmatched=3),
        RowAccount(Side.RIGHT, scanned=10, joined=10, matched=8, unmatched=3),
        RowAccount(Side.RIGHT, scanned=10, joined=10, matched=7, unmatched=2),
        RowAccount(Side.RIGHT, scanned=11, joined=11, matched=7, unmatched=3),
    ],
)
def test_each_counter_that_differs_fails_the_run_and_names_the_side_and_all_figures(
    wrong: RowAccount,
) -> None:
    with pytest.raises(AccountingFailed) as failure:
        prove(LEFT, wrong)

    assert "left" not in failure.value.message
    assert (
        f"right: {wrong.scanned} rows scanned, {wrong.joined} joined, "
        f"{wrong.matched} matched + {wrong.unmatched} unmatched" in failure.value.message
    )
    assert failure.value.details["sides"] == ["right"]


def test_all_wrong_sides_are_named() -> None:
    lost = [RowAccount(side, scanned=2, joined=2, matched=1, unmatched=0) for side in Side]

    with pytest.raises(AccountingFailed) as failure:
        prove(*lost)

    assert failure.value.details["sides"] == ["left", "right"]
