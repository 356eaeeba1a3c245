"""How an executor's memory is divided among its slots."""

import re

import pytest

from kalla_core.engine.budget import MIB
from kalla_core.errors import InvalidSetting
from kalla_executor.slots import PARENT_BYTES, slot_environment, slot_share


@pytest.mark.parametrize("slots", [1, 3, 16])
def test_slots_share_evenly_what_the_executor_does_not_need_itself(slots: int) -> None:
    limit = 8 << 30

    share = slot_share(limit, slots)

    assert share.memory_bytes == (limit - PARENT_BYTES) // slots
    assert share.budget.threads == 1
    assert share.budget.join_bytes < share.memory_bytes


def test_too_little_memory_is_refused_with_what_would_do() -> None:
    with pytest.raises(InvalidSetting, match="2 slots") as refused:
        slot_share(PARENT_BYTES, 2)

    needed = re.search(r"need (\d+) MiB", refused.value.message)
    assert needed is not None
    assert slot_share(int(needed[1]) * MIB, 2).memory_bytes > 0
    with pytest.raises(InvalidSetting):
        slot_share(int(needed[1]) * MIB - 2 * MIB, 2)


def test_pages_are_kept_for_long_only_where_there_is_much_memory() -> None:
    delays = [
        int(slot_environment(slot_share(limit, 1))["MIMALLOC_PURGE_DELAY"])
        for limit in (1 << 30, 8 << 30)
    ]

    assert delays[0] * 10 < delays[1]
