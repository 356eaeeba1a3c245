import re
import unicodedata

import pyarrow as pa
import pytest
from cleanco import basename
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chance import often
from tests.support.functions import call

FORMS = ["GmbH", "AG", "Ltd.", "Inc.", "LLC", "S.A.", "B.V.", "N.V.", "Oy", "AB", "S.p.A.", "PLC"]


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Müller & Söhne G.m.b.H.", "MULLER AND SOHNE"),
        ("Mu\u0308ller und Söhne GmbH & Co. KG", "MULLER UND SOHNE"),
        ("ACME, Inc.", "ACME"),
        ("acme incorporated", "ACME"),
        ("Foo, S.A. de C.V.", "FOO"),
        ("St.Pauli e.V.", "ST PAULI"),
        ("J.P. Morgan Chase & Co.", "JP MORGAN CHASE"),
        ("O'Neill  Pty. Ltd", "ONEILL"),
        ("O\u2019Neill", "ONEILL"),
        ("Łódź Handel Sp. z o.o.", "LODZ HANDEL"),
        ("Ørsted A/S", "ORSTED"),
        ("Dvořák, s.r.o.", "DVORAK"),
        ("Straße AG", "STRASSE"),
        ("OOO Romashka", "ROMASHKA"),
        ("\uff21\uff43\uff4d\uff45 \uff2c\uff54\uff44", "ACME"),
        ("東京 商事", "東京 商事"),
        ("  \t", ""),
        ("", ""),
    ],
)
def test_a_name_loses_accents_punctuation_and_its_legal_form(name: str, normal: str) -> None:
    assert call("norm_name", pa.array([name])) == [normal]


@pytest.mark.parametrize("name", ["AG", "Ltd", "Co", "S.A."])
def test_a_name_that_is_only_a_legal_form_keeps_it(name: str) -> None:
    assert call("norm_name", pa.array([name])) == [re.sub(r"\W", "", name).upper()]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=30))
@settings(max_examples=often(200), deadline=None)
def test_a_normal_name_stays_as_it_is_however_its_letters_were_composed(names: list[str]) -> None:
    once = call("norm_name", pa.array(names))

    assert call("norm_name", pa.array(once, pa.string())) == once
    apart = [unicodedata.normalize("NFD", name) for name in names]
    assert call("norm_name", pa.array(apart)) == once


@pytest.mark.parametrize("form", FORMS)
def test_legal_forms_go_where_the_library_for_them_takes_them_away(form: str) -> None:
    name = f"Nordwind Handel {form}"
    assert basename(name) == "Nordwind Handel"

    assert call("norm_name", pa.array([name])) == ["NORDWIND HANDEL"]


def test_null_stays_null() -> None:
    assert call("norm_name", pa.array([None, "a"], pa.large_string())) == [None, "A"]
