import pytest

from kalla_core.columns import first_place_of, place_of
from kalla_core.errors import UnknownColumn


def test_a_column_that_is_there_once_has_a_place():
    assert place_of("b", ["a", "b", "c"]) == 1


@pytest.mark.parametrize("names", [[], ["a", "c"], ["b", "b"]], ids=["none", "others", "twice"])
def test_a_name_that_is_not_that_of_one_column_is_an_error(names):
    with pytest.raises(UnknownColumn, match="`b`"):
        place_of("b", names)


def test_the_first_of_several_columns_is_found_where_that_is_asked_for():
    assert first_place_of("b", ["a", "b", "b"]) == 1
    assert first_place_of("d", ["a", "b", "b"]) is None
