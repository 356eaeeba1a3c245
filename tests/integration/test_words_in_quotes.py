"""A word for null that stands in quotes is text, and no error proposes to read it as null."""

from __future__ import annotations

from pathlib import Path

import pytest

from kalla_core.errors import KallaError
from tests.integration.test_files_as_people_have_them import recipe_of, run

QUOTED = 'id,ref,amount\n11,A1,1234.56\n12,A2,"N/A"\n13,A3,"N/A"\n14,A4,1.00\n15,A5,2.00\n'
BARE = QUOTED.replace('"', "")
EQUAL = "l.amount = r.amount"


@pytest.mark.parametrize("types", [{}, {"types": {"amount": "decimal(12,2)"}}])
def test_a_null_word_in_quotes_is_not_proposed_as_null(
    tmp_path: Path, types: dict[str, dict[str, str]]
) -> None:
    with pytest.raises(KallaError) as quoted:
        run(recipe_of(tmp_path, QUOTED, EQUAL, types, {}), tmp_path)
    with pytest.raises(KallaError) as bare:
        run(recipe_of(tmp_path, BARE, EQUAL, types, {}), tmp_path)

    assert '"null"' not in str(quoted.value)
    assert "CAST(nullif(amount, 'N/A') AS DECIMAL(18, 2))" in str(quoted.value)
    assert '"format": {"null": "N/A"} would read it' in str(bare.value)


def test_what_is_proposed_instead_reads_it(tmp_path: Path) -> None:
    on = "l.amount = CAST(nullif(r.amount, 'N/A') AS DECIMAL(18, 2))"

    _, matched = run(recipe_of(tmp_path, QUOTED, on, {}, {}), tmp_path)

    assert matched == [(1, 11)]


def test_a_word_that_stands_in_quotes_and_bare_is_proposed(tmp_path: Path) -> None:
    some = QUOTED.replace('"N/A"', "N/A", 1)

    with pytest.raises(KallaError) as caught:
        run(recipe_of(tmp_path, some, EQUAL, {}, {}), tmp_path)

    assert '"format": {"null": "N/A"} would read it' in str(caught.value)
