import re
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.errors import InvalidSql
from kalla_core.functions.reference_lists import check_pattern
from tests.support.chance import often
from tests.support.functions import call

PATTERNS = [r"[A-Z]{2}-?\d+", r"INV (\d+)", r"\d*", r"(?i)inv", r"a|b|ab", r"(a)(b)?", r"\w+$"]
TEXTS = st.lists(st.sampled_from(["INV", "INV 12", "AB-3", " ", "\n", "a", "ab", "é", "7"])).map(
    "".join
)
LISTS = st.one_of(st.none(), st.lists(st.sampled_from(["A1", "B2", "", None]), max_size=3))


def by_hand(pattern: str, text: str | None) -> list[str] | None:
    if text is None:
        return None
    compiled = re.compile(pattern, re.ASCII)
    group = min(compiled.groups, 1)
    found = {match.group(group) for match in compiled.finditer(text)}
    return sorted(one for one in found if one)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_extract_refs_finds_all_that_a_regular_expression_finds_sorted_and_once(
    pattern: str, texts: list[str | None]
) -> None:
    texts = [text and text.rstrip("\n") for text in texts]  # Python's $ also stands before these

    found = call("extract_refs", pa.array(texts, pa.string()), pa.array([pattern] * len(texts)))

    assert found == [by_hand(pattern, text) for text in texts]


def test_each_row_may_have_a_pattern_of_its_own() -> None:
    texts = pa.array(["A1 B2 A3", "A1 B2", "A1", None])
    patterns = pa.array([r"A\d", r"B\d", None, r"A\d"])

    assert call("extract_refs", texts, patterns) == [["A1", "A3"], ["B2"], None, None]


@given(st.lists(st.tuples(LISTS, LISTS), min_size=1, max_size=15))
@settings(max_examples=often(150), deadline=None)
def test_refs_match_when_a_reference_is_in_both(
    pairs: list[tuple[Sequence[str | None] | None, Sequence[str | None] | None]],
) -> None:
    kind = pa.list_(pa.string())
    a, b = (pa.array([pair[side] for pair in pairs], kind) for side in (0, 1))

    wanted = [
        None if one is None or other is None else bool({*one} & {*other} - {None})
        for one, other in pairs
    ]
    assert call("refs_match", a, b) == wanted


@pytest.mark.parametrize("kind", [pa.large_list(pa.large_string()), pa.list_(pa.string_view())])
def test_every_kind_of_list_of_texts_is_compared(kind: pa.DataType) -> None:
    a, b = pa.array([["x", "y"], []], kind), pa.array([["y"], ["y"]], pa.list_(pa.string()))

    assert call("refs_match", a, b) == [True, False]


@pytest.mark.parametrize("pattern", ["(", "[", "a{2000}", "(?=x)", "*"])
def test_what_is_no_regular_expression_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(InvalidSql, match="is no regular expression") as refused:
        check_pattern(pattern)

    assert repr(pattern) in str(refused.value)
