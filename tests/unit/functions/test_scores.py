from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler

from tests.support.functions import call

LIBRARY: dict[str, Any] = {
    "jaro_winkler": JaroWinkler.similarity,
    "token_sort_ratio": lambda a, b: fuzz.token_sort_ratio(a, b) / 100,
    "token_set_ratio": lambda a, b: fuzz.token_set_ratio(a, b) / 100,
}
TEXTS = st.one_of(
    st.none(),
    st.text(max_size=70),
    st.lists(st.sampled_from(["acme", "ltd", "Ö", "1"])).map(" ".join),
)


@pytest.mark.parametrize("function", LIBRARY)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_a_score_is_that_of_the_library_and_null_beside_null(
    function: str, pairs: list[tuple[str | None, str | None]]
) -> None:
    a, b = (pa.array([pair[side] for pair in pairs], pa.string()) for side in (0, 1))

    wanted = [None if None in pair else LIBRARY[function](*pair) for pair in pairs]
    assert call(function, a, b) == wanted


@pytest.mark.parametrize(
    ("function", "a", "b", "score"),
    [
        ("jaro_winkler", "MARTHA", "MARHTA", pytest.approx(0.9611, abs=1e-4)),
        ("jaro_winkler", "same", "same", 1.0),
        ("jaro_winkler", "abc", "xyz", 0.0),
        ("token_sort_ratio", "Acme Trading Ltd", "Ltd Acme Trading", 1.0),
        ("token_set_ratio", "Acme Trading", "Acme Trading of London", 1.0),
        ("token_set_ratio", "Acme", "acme", 0.25 * 3),
    ],
)
def test_scores_reach_from_nothing_to_one(function: str, a: str, b: str, score: float) -> None:
    assert call(function, pa.array([a]), pa.array([b])) == [score]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_every_kind_of_text_is_scored(kind: pa.DataType) -> None:
    a, b = pa.array(["Acme", None], kind), pa.array(["Acme", "Acme"])

    assert [call(name, a, b) for name in LIBRARY] == [[1.0, None]] * 3
