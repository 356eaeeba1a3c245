import re
import sys
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.functions import call

LETTERS = "abcxyzABCXYZäöüéñßẞçøåčżğşœæдяЖ漢字ωΩ0000123456789"
NOISE = " \t\n\r\u00a0\u2003\u3000-_/.,:;#!?()[]{}'\"\\*&%@+=<>|~^`$«»\u2013\u2014…・、"
TEXTS = st.text(st.sampled_from(LETTERS + NOISE), max_size=24)


def is_noise(character: str) -> bool:
    """White space, Unicode's punctuation, and what C calls punctuation."""
    printable = character.isascii() and character.isprintable()
    return (
        character.isspace()
        or unicodedata.category(character)[0] in "ZP"
        or (printable and not character.isalnum())
    )


def expected(text: str) -> str:
    dense = "".join(character for character in text.upper() if not is_noise(character))
    dense = dense.replace("ẞ", "SS")
    return re.sub(r"[0-9]+", lambda run: run[0].lstrip("0") or "0", dense)


@given(st.lists(st.one_of(TEXTS, st.none()), min_size=1))
@settings(deadline=None)
def test_a_reference_is_upper_case_without_noise_and_leading_zeros(texts: list[str | None]) -> None:
    found = call("norm_ref", pa.array(texts, pa.string()))

    assert found == [None if text is None else expected(text) for text in texts]


@given(st.lists(TEXTS, min_size=1))
@settings(deadline=None)
def test_a_reference_once_normal_stays_as_it_is(texts: list[str]) -> None:
    once = call("norm_ref", pa.array(texts))

    assert call("norm_ref", pa.array(once, pa.string())) == once


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (" inv-00120/a ", "INV120A"),
        ("INV 120 A", "INV120A"),
        ("001", "1"),
        ("000", "0"),
        ("1-02", "102"),
        ("a00b00c10", "A0B0C10"),
        ("Straße 007", "STRASSE7"),
        ("", ""),
        ("--", ""),
        ("INV\u200b42\ufeff", "INV42"),
        ("INV\u221242", "INV42"),
        ("INV\u00ad\u2011\u2013\u2014\ufe63\uff0d\u207b42", "INV42"),
        ("\uff29\uff2e\uff36\uff10\uff14\uff12", "INV42"),
        ("caf\u00e9 1", "CAF\u00c91"),
        ("cafe\u200b\u0301 1", "CAF\u00c91"),
    ],
)
def test_references_people_write(text: str, normal: str) -> None:
    assert call("norm_ref", pa.array([text])) == [normal]


def test_composed_and_decomposed_are_one_and_once_normal_everything_stays() -> None:
    every = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]

    normal = call("norm_ref", pa.array(every))

    assert call("norm_ref", pa.array([unicodedata.normalize("NFD", c) for c in every])) == normal
    assert call("norm_ref", pa.array(normal, pa.string())) == normal


def test_all_white_space_and_punctuation_of_unicode_goes() -> None:
    every = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    noise = [character for character in every if is_noise(character)]
    letters = [character for character in every if character.isalnum()]

    assert set(call("norm_ref", pa.array(noise))) == {""}
    assert "" not in call("norm_ref", pa.array(letters))


@pytest.mark.parametrize(
    "data_type",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_every_kind_of_text_becomes_plain_text(data_type: pa.DataType) -> None:
    texts = pa.array(["x", "a-1", None, "b 02"]).cast(data_type).slice(1)

    assert call("norm_ref", texts) == ["A1", None, "B2"]


def test_null_is_null() -> None:
    assert call("norm_ref", pa.nulls(2)) == [None, None]
