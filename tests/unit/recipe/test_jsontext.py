"""JSON that no honest writer writes: it costs no more than other JSON, and is refused by name."""

from __future__ import annotations

import time

import pytest

from kalla_core.errors import RecipeInvalid
from kalla_core.recipe.jsontext import read_json
from tests.support.machine import least


def test_a_field_twice_among_very_many_is_found_in_no_time() -> None:
    text = "{" + ",".join(f'"a{number}":1' for number in range(9_000)) + ',"a7":2}'

    def spend() -> float:
        began = time.process_time()
        read_json(text)
        return time.process_time() - began

    _, faults = read_json(text)

    assert [fault.path for fault in faults] == ["a7"]
    assert least(spend, 0.2) < 0.2


@pytest.mark.parametrize(
    "text",
    ['{"a": "\\ud800"}', '{"\\uDfff": 1}', '[["x", "\\ud83d\\ud83d"]]', '{"a": "\ud800"}'],
)
def test_half_a_character_is_refused_by_name(text: str) -> None:
    with pytest.raises(RecipeInvalid, match="is half of a character"):
        read_json(text)


def test_a_character_that_is_written_as_two_halves_is_one() -> None:
    document, faults = read_json('{"a": "\\ud83d\\ude00", "b": "\\u00e9"}')

    assert (document, faults) == ({"a": "\U0001f600", "b": "\u00e9"}, ())


def test_a_number_whose_exponent_nothing_holds_is_refused() -> None:
    with pytest.raises(RecipeInvalid, match="not JSON"):
        read_json('{"a": 1e99999999999999999999999}')
