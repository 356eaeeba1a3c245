"""Picking rows of a CSV part gives what reading all of it and leaving rows out gives."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kalla_core.errors import KallaError, SourceChanged, SourceUnreadable
from kalla_core.sources.protocol import Connector, PicksRows, PinnedSource
from kalla_core.sources.registry import connector_for
from tests.support.chance import often
from tests.support.sources import file_spec

_PIECES = [
    "7,a\n",
    "8,bb\r\n",
    "\n",
    "\r\n",
    '9,"q\nq"\n',
    "1,\r2,x\n",
    ",\n",
    "\ufeff5,z\n",
    "3,y",
]


def _picked(
    connector: Connector, pinned: PinnedSource, flags: list[bool], parts: int
) -> tuple[pa.Table, pa.Table]:
    """Return the rows marked by `flags`, over and over: read and filtered, and picked."""
    assert isinstance(connector, PicksRows)
    filtered, picked = [], []
    for part in connector.plan(pinned, parts):
        whole = pa.Table.from_batches(list(connector.read(pinned, part)), pinned.schema)
        wanted = np.resize(np.array(flags, dtype=np.bool_), whole.num_rows)
        filtered.append(whole.filter(pa.array(wanted)))
        batches = list(connector.pick(pinned, part, wanted))
        picked.append(pa.Table.from_batches(batches, pinned.schema))
    empty = pinned.schema.empty_table()
    return pa.concat_tables([empty, *filtered]), pa.concat_tables([empty, *picked])


@given(
    st.lists(st.sampled_from(_PIECES), max_size=30),
    st.lists(st.booleans(), min_size=1, max_size=7),
    st.integers(1, 6),
)
@settings(deadline=None, max_examples=often(200))
def test_rows_picked_are_the_rows_read_whatever_lines_look_like(
    pieces: list[str], flags: list[bool], parts: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.csv"
        path.write_bytes(("a,b\n" + "".join(pieces)).encode())
        spec = file_spec(path, types={"a": "text", "b": "text"})
        connector = connector_for(spec)

        with connector.pin(spec) as pinned:
            try:
                filtered, picked = _picked(connector, pinned, flags, parts)
            except KallaError:
                assume(False)

    assert picked.equals(filtered)


def test_another_number_of_rows_than_flags_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a,b\n1,2\n3,4\n5,6\n")
    spec = file_spec(path)
    connector = connector_for(spec)
    assert isinstance(connector, PicksRows)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        for count in (2, 4):
            with pytest.raises(SourceChanged, match=f"had {count} rows at first"):
                list(connector.pick(pinned, part, np.ones(count, dtype=np.bool_)))


def test_a_value_that_does_not_fit_is_told_with_its_line_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a,b\n1,2\n3,4\n5,six\n7,8\n")
    spec = file_spec(path, types={"b": "int64"})
    connector = connector_for(spec)
    assert isinstance(connector, PicksRows)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        with pytest.raises(SourceUnreadable, match="line 4"):
            list(connector.pick(pinned, part, np.array([False, False, True, True])))
