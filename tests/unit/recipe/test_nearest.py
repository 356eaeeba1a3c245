import pytest

from kalla_core.recipe.nearest import nearest, suggestion


@pytest.mark.parametrize(
    ("name", "names", "found"),
    [
        ("amout", ["amount", "id"], ("amount",)),
        ("AMOUNT", ["amount", "Amount"], ("amount", "Amount")),
        ("invoice", ["payment_id", "invoice_no", "invoice_id"], ("invoice_id", "invoice_no")),
        ("zzz", ["amount"], ()),
        ("x", [], ()),
    ],
)
def test_the_names_most_alike_come_first(name, names, found):
    assert set(nearest(name, names)) == set(found)


def test_a_suggestion_names_the_nearest():
    assert suggestion("amout", ["id", "amount"]) == "Did you mean `amount`?"


def test_without_anything_alike_it_names_what_there_is():
    assert suggestion("zzz", ["id", "amount"]) == "There are `id`, `amount`."
    assert suggestion("zzz", []) == "There are none."


def test_it_does_not_list_a_hundred_names():
    sentence = suggestion("zzz", [f"column_{index}" for index in range(100)])

    assert sentence.endswith("`column_11` and 88 more.")
