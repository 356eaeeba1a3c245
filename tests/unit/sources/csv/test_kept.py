"""A small CSV file is its own sample, and what its types were told from is not read again."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.errors import SourceChanged
from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.file_formats import FileFormats
from kalla_core.sources.files import FileConnector
from kalla_core.sources.local import LocalStore
from kalla_core.sources.protocol import EVERYTHING, PinnedSource
from kalla_core.sources.store import NO_PROMISE, Promise, StoredFile
from tests.support.sources import file_spec
from tests.unit.sources.csv.test_oracle import written

KINDS = {
    "text": st.sampled_from(["", "a", "é", '"', "a,b", "two\nlines", " x "]),
    "integer": st.sampled_from(["", "0", "7", "-12", "900000000000000000"]),
    "amount": st.sampled_from(["", "0", "1.5", "-2.25", ".5", "123456789012.1"]),
    "day": st.sampled_from(["", "2024-02-29", "1999-12-31"]),
    "moment": st.sampled_from(["", "2024-02-29T10:00", "2024-02-29 10:00:01.5"]),
    "zoned": st.sampled_from(["", "2024-02-29T10:00Z", "2024-02-29 10:00:01+02:00"]),
    "truth": st.sampled_from(["", "true", "false"]),
    "nothing": st.just(""),
}
TYPES = {"integer": "decimal(20,2)", "amount": "decimal(18,4)", "day": "text", "truth": "text"}


class Counted(LocalStore):
    """Counts how often a file is opened."""

    opened = 0

    def open(self, file: StoredFile, promise: Promise = NO_PROMISE) -> pa.NativeFile:
        self.opened += 1
        return super().open(file, promise)


def connector() -> tuple[FileConnector, Counted]:
    store = Counted(EVERYTHING)
    return FileConnector("file", store, FileFormats()), store


def spec_of(path: Path, types: Mapping[str, str] | None = None) -> SourceSpec:
    return file_spec(path, types=dict(types or {}))


def rows(reader: FileConnector, pinned: PinnedSource) -> pa.Table:
    (part,) = reader.plan(pinned, 1)
    return pa.Table.from_batches(reader.read(pinned, part), pinned.schema)


@st.composite
def files(draw: st.DrawFn) -> str:
    drawn = draw(st.lists(st.tuples(*KINDS.values()), min_size=1, max_size=8))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerows([tuple(KINDS), *drawn])
    return out.getvalue()


@given(text=files(), said=st.lists(st.sampled_from(sorted(TYPES)), unique=True))
@settings(max_examples=60, deadline=None)
def test_rows_that_the_pin_has_read_are_those_of_the_file(text: str, said: list[str]) -> None:
    with written(text) as path:
        keeping, _ = connector()
        with keeping.pin(spec_of(path, {name: TYPES[name] for name in said})) as pinned:
            kept = rows(keeping, pinned)
            reading, _ = connector()
            read = rows(reading, pinned)

    assert kept.schema == read.schema
    assert kept.equals(read)


def test_a_small_file_is_opened_for_its_pin_alone(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,amount,day\n1,2.50,2024-02-29\n2,,\n")
    keeping, store = connector()

    with keeping.pin(spec_of(path, {"id": "text"})) as pinned:
        before = store.opened
        found = rows(keeping, pinned)
        opened = store.opened
        again = rows(keeping, pinned)

    assert opened == before
    assert store.opened > before  # what was kept is given once
    assert found.equals(again)
    assert found["id"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("id,amount\n1, 2.50\n", {"amount": "decimal(18,2)"}),  # of which text is told
        ("id,amount\n1,2.50\n\n2,3.50,4\n", {}),
        ('id,note\n1,"open\n', {}),
    ],
    ids=["blanks around a number", "a field too many", "a quote that is not closed"],
)
def test_what_reading_may_find_otherwise_is_read(
    text: str, types: Mapping[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    answers = []

    for fresh in (False, True):
        keeping, _ = connector()
        with keeping.pin(spec_of(path, types)) as pinned:
            reading = connector()[0] if fresh else keeping
            try:
                answers.append(rows(reading, pinned).to_pylist())
            except Exception as error:
                answers.append((type(error), str(error)))

    assert answers[0] == answers[1]


def test_a_file_that_changed_since_its_pin_is_not_taken_for_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,amount\n1,2.50\n")
    keeping, _ = connector()
    with keeping.pin(spec_of(path)) as pinned:
        (part,) = keeping.plan(pinned, 1)
        path.write_text("id,amount\n1,9.50\n2,1.00\n")

        with pytest.raises(SourceChanged):
            list(keeping.read(pinned, part))
