import pytest

from kalla_core.errors import InvalidSetting
from kalla_core.ids import new_run_id, parse_run_id


def test_a_new_run_id_is_unlike_any_other_and_valid():
    ids = {new_run_id() for _ in range(100)}

    assert len(ids) == 100
    assert all(parse_run_id(one) == one for one in ids)


@pytest.mark.parametrize("text", ["r", "2024-05-31_close.v2", "A" * 128, "a-"])
def test_a_run_id_that_can_name_a_folder_is_taken(text):
    assert parse_run_id(text) == text


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../x", "a/b", "a\\b", "a b", "a\n", "-rf", ".kalla", "a.", "é", "A" * 129],
)
def test_a_run_id_that_could_leave_its_folder_is_refused(text):
    with pytest.raises(InvalidSetting) as refused:
        parse_run_id(text)

    assert refused.value.details["run_id"] == text
