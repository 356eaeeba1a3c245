"""Counting repeated and missing primary keys."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.engine.keys.census import KeyCensus
from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.errors import OutputNotWritable


@given(
    st.lists(
        st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), max_size=20), max_size=6
    ),
    st.sampled_from([1, 10, 10_000]),
)
@settings(max_examples=60, deadline=None)
def test_every_row_beyond_the_first_of_a_key_is_a_duplicate(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], held_rows: int
) -> None:
    census = KeyCensus(tmp_path_factory.mktemp("census"), "left", held_rows)

    for batch in batches:
        census.add(np.array(batch, dtype=np.int64), nulls=1)

    keys = [key for batch in batches for key in batch]
    assert census.finish() == KeyCounts(len(keys) - len(set(keys)), len(batches))


def test_nothing_is_left_on_disk(tmp_path: Path) -> None:
    census = KeyCensus(tmp_path, "left", held_rows=1)
    census.add(np.arange(10, dtype=np.int64), nulls=0)

    census.finish()

    assert list(tmp_path.iterdir()) == []


def test_what_a_census_that_was_given_up_left_behind_does_not_count(tmp_path: Path) -> None:
    given_up = KeyCensus(tmp_path, "left", held_rows=1)
    given_up.add(np.arange(10, dtype=np.int64), nulls=0)
    census = KeyCensus(tmp_path, "left", held_rows=1)

    census.add(np.arange(10, dtype=np.int64), nulls=0)

    assert census.finish() == KeyCounts(duplicates=0, nulls=0)


def test_no_room_for_the_keys_is_said_so() -> None:
    census = KeyCensus(Path("/dev/full"), "left", held_rows=1)

    with pytest.raises(OutputNotWritable, match="/dev/full/keys-left-0"):
        census.add(np.arange(10, dtype=np.int64), nulls=0)


def test_keys_may_be_counted_in_several_threads(tmp_path: Path) -> None:
    census = KeyCensus(tmp_path, "left", held_rows=500)
    tasks = [
        partial(census.add, np.arange(n, n + 100, dtype=np.int64), nulls=1) for n in range(100)
    ]

    run_all(tasks, 8, Stop())

    assert census.finish() == KeyCounts(duplicates=100 * 100 - 199, nulls=100)
