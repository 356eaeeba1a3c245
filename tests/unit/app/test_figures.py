"""What a run tells of its passes and amounts, out of its metadata alone."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kalla_app.evidence.figures import MOST_CURRENCIES, figures_of
from kalla_app.pages.signs import bar
from kalla_core.errors import EvidenceGone

LARGE = f"{10**37}.01"


def written(folder: Path, **fields: Any) -> Path:
    document = {"left_record_count": 7, "right_record_count": 5, **fields}
    (folder / "metadata.json").write_text(json.dumps(document))
    return folder


def side(*currencies: str | None, amount: str = LARGE) -> list[dict[str, Any]]:
    amounts = {"matched": amount, "unmatched": "0.50", "total": amount}
    return [{"currency": one, "amounts": amounts} for one in currencies]


def bridge(*currencies: str | None) -> list[dict[str, Any]]:
    return [{"currency": one} for one in currencies]


def test_differences_are_exact_also_of_a_currency_that_one_side_has_alone(tmp_path: Path) -> None:
    totals = {
        "left": side("EUR", None),
        "right": side("EUR", amount="0.02"),
        "bridge": bridge("EUR", None),
    }

    euros, others = figures_of(written(tmp_path, control_totals=totals)).amounts

    assert euros.apart["matched"] == Decimal(f"{10**37 - 1}.99")
    assert euros.apart["unmatched"] == 0
    assert (others.currency, others.right) == (None, {})
    assert others.apart["total"] == Decimal(LARGE)


def test_of_very_many_currencies_the_first_are_told_and_how_many_more(tmp_path: Path) -> None:
    names = [f"C{number}" for number in range(MOST_CURRENCIES + 3)]
    totals = {"left": side(*names), "right": side(*names), "bridge": bridge(*names)}

    figures = figures_of(written(tmp_path, control_totals=totals))

    assert [one.currency for one in figures.amounts] == names[:MOST_CURRENCIES]
    assert figures.more == 3


def test_a_plain_join_has_no_figures_and_broken_ones_are_said(tmp_path: Path) -> None:
    plain = figures_of(written(tmp_path))

    assert (plain.passes, plain.amounts) == ((), ())
    assert plain.records == {"left": 7, "right": 5}
    for broken in ({"passes": [{"name": "by id"}]}, {"control_totals": {"left": []}}):
        with pytest.raises(EvidenceGone):
            figures_of(written(tmp_path, **broken))


def test_a_bar_begins_where_others_end_and_says_what_it_shows() -> None:
    drawn = bar(30, 200, '30 of 200 of "<b>"', 50)

    assert '<rect class="before" x="0.000" width="25.000"' in drawn
    assert '<rect class="full" x="25.000" width="15.000"' in drawn
    assert 'aria-label="30 of 200 of &#34;&lt;b&gt;&#34;"' in drawn
    assert "full" not in bar(0, 0)
    assert 'aria-hidden="true"' in bar(1, 2)
