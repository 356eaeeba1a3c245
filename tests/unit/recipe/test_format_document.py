"""What is wrong with a source's `format` is told with its place and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from kalla_core.recipe.format_document import FormatDocument, format_of
from kalla_core.recipe.format_written import NAMES
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.source_format import AS_USUAL
from kalla_core.recipe.write import to_document
from tests.support.recipe_documents import changed, faults_of, only_fault

PLACE = "sources.right.format"
WRONG: list[tuple[str, Any, str, str]] = [
    ("delimiter", ";;", "", "Must be one ASCII character other than a line break, not ';;'."),
    ("delimiter", "§", "", "Must be one ASCII character"),
    ("delimiter", 1, "", "Must be text"),
    ("quote", "''", "", "Must be one ASCII character"),
    ("escape", "\n", "", "other than a line break"),
    ("comment", "//", "", "Must be one ASCII character"),
    ("encoding", "latin-99", "", "There is no encoding 'latin-99'; Python's names are taken"),
    ("encoding", "base64", "", "There is no encoding 'base64'"),
    ("decimal", "5", "", "Must be one character that is no part of numbers, not '5'."),
    ("thousands", "--", "", "Must be one character that is no part of numbers"),
    ("thousands", ".", "", "Must be another sign than the one before the fraction, which is '.'"),
    ("date", "%d/%m", "[0]", "`%d/%m` needs one directive for the year: %Y, %y."),
    ("date", ["%d.%m.%Y", "%Q"], "[1]", "`%Q` is no directive"),
    ("date", "%d.%m.%Y %H", "[0]", "has a time of day; that goes under `timestamp`."),
    ("timestamp", "%d.%m.%Y", "[0]", "needs one directive for the hour: %H, %I."),
    ("timestamp", "%d.%m.%Y %I:%M", "[0]", "%I and %p go together."),
    ("true", 1, "", "Must be a list"),
    ("false", [False], "[0]", "Must be text"),
    ("null", {"a": "b"}, "", "Must be a list"),
    ("header", 0, "", "Must be a line's number from 1 to 1000, what that line starts with"),
    ("header", " ", "", "true or false."),
    ("skip_first", -1, "", "Must be at least 0"),
    ("skip_last", 1001, "", "Must be at most 1000"),
    ("trailing_delimiter", "yes", "", "Must be true or false"),
    ("amounts", "roman", "[0]", "parentheses"),
    ("stop", "(", "", "Must be a regular expression, and `(` is none"),
    ("stop", " ", "", "Must not be empty."),
    ("row_number", "", "", "Must not be empty."),
    ("row_number", True, "", "Must be text"),
    ("amount", "n", "", "Must be an object"),
    (
        "amount",
        {"name": "n", "credit": "c", "debit": "c"},
        ".debit",
        "another column than `credit`",
    ),
    (
        "amount",
        {"name": "n", "credit": "c", "debit": "d", "debit_sign": "-"},
        ".debit_sign",
        "plus",
    ),
    ("delimiter", '"', "", "other than a quote or a line break."),
    ("columns", [{"name": "a"}], "[0]", "Must have either `width` or `end`."),
    ("sheet", 0, "", "Must be a sheet's name, or its number from 1, not 0."),
    ("table", "", "", "Must not be empty."),
    ("records", "a..b", "", "Must be names parted by single dots, not 'a..b'."),
    ("colour", "red", "", "colour"),
]


@pytest.mark.parametrize(("field", "value", "within", "sentence"), WRONG)
def test_a_wrong_field_of_a_format_is_told_with_its_place(
    field: str, value: Any, within: str, sentence: str
) -> None:
    _, path, message = only_fault(changed(sources__right__format={field: value}))

    assert path == f"{PLACE}.{field}{within}"
    assert sentence in message


def test_each_field_of_a_format_has_a_fault() -> None:
    fields = {field.alias or name for name, field in FormatDocument.model_fields.items()}

    assert fields <= {field for field, *_ in WRONG}


@pytest.mark.parametrize("field", ["quote", "escape", "comment"])
def test_signs_of_a_format_differ(field: str) -> None:
    faults = faults_of(changed(sources__right__format={"delimiter": "|", field: "|"}))

    assert {path: message for path, (_, message) in faults.items()} == {
        f"{PLACE}.{field}": "Must be another sign than `delimiter`."
    }


def test_all_faults_of_a_format_are_told_at_once() -> None:
    faults = faults_of(
        changed(sources__right__format={"delimiter": "", "date": ["x", "y"], "skip_last": "2"})
    )

    assert set(faults) == {
        f"{PLACE}.delimiter", f"{PLACE}.date[0]", f"{PLACE}.date[1]", f"{PLACE}.skip_last"
    }  # fmt: skip


def test_a_field_of_a_format_that_is_null_says_nothing() -> None:
    unsaid = [
        field.alias or name
        for name, field in FormatDocument.model_fields.items()
        if field.default is None
    ]

    document = FormatDocument.model_validate(dict.fromkeys(unsaid))

    assert "header" in unsaid
    assert format_of(document) == AS_USUAL


def test_a_format_is_written_as_it_was_read() -> None:
    written = {
        "delimiter": ";", "quote": "none", "encoding": "cp1252", "decimal": ",", "thousands": ".",
        "date": ["%d.%m.%Y"], "timestamp": ["%d.%m.%Y %H:%M"], "true": ["ja"], "false": ["nein"],
        "null": ["n/a", "-"], "comment": "#", "header": 3, "skip_first": 1, "skip_last": 2,
        "trailing_delimiter": True, "amounts": ["parentheses", "currency"],
        "stop": "Total|Sum", "row_number": "line",
        "amount": {"name": "n", "credit": "c", "debit": "d", "debit_sign": "minus"},
    }  # fmt: skip

    recipe = parse_recipe(changed(sources__right__format=written))

    assert to_document(recipe)["sources"]["right"]["format"] == written
    assert not to_document(recipe)["sources"]["left"].get("format")


def test_a_signed_amount_may_stand_beside_the_format() -> None:
    amount = {"name": "n", "credit": "c", "debit": "d"}

    beside = parse_recipe(changed(sources__right__amount=amount))
    within = parse_recipe(changed(sources__right__format={"amount": amount}))

    assert beside == within


def test_a_signed_amount_is_said_in_one_place() -> None:
    amount = {"name": "n", "credit": "c", "debit": "d"}
    twice = changed(sources__right__format={"amount": amount}, sources__right__amount=amount)

    _, path, message = only_fault(twice)

    assert path == f"{PLACE.removesuffix('.format')}.amount"
    assert message == "Is said in `format` as well."


def test_fields_are_written_as_they_are_read() -> None:
    read = {name: field.alias or name for name, field in FormatDocument.model_fields.items()}

    assert read == NAMES
