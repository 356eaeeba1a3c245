"""Two threads find in a sample what one does, wherever it is cut."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalla_core.errors import KallaError
from kalla_core.sources.csv import sample
from kalla_core.sources.file_formats import FileFormats
from kalla_core.sources.files import FileConnector
from kalla_core.sources.formats import FileSource
from kalla_core.sources.local import LocalStore
from kalla_core.sources.protocol import EVERYTHING
from tests.support.sources import file_spec
from tests.unit.sources.csv.test_oracle import written

FIELD = st.sampled_from(["", "a", "é", "7", "-1.5", "2024-02-29", "NULL", '"q,u"', '"', "\ufeffb"])
RECORD = st.lists(FIELD, min_size=1, max_size=4).map(",".join)
_BYTES_OF_A_CHUNK = 5
"""What each column has once more: the end of an offset, and of what says which values are NULL."""
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n"])


def told(text: str, threads: int) -> tuple[object, int]:
    """Return what is told of a file and its rows, or what is wrong with it; and how large it is."""
    connector = FileConnector("file", LocalStore(EVERYTHING), FileFormats(threads=threads))
    with written(text) as path:
        try:
            with connector.pin(file_spec(path)) as pinned:
                rows = [
                    batch.to_pydict()
                    for part in connector.plan(pinned, 1)
                    for batch in connector.read(pinned, part)
                ]
                known = pinned.statistics
                found = (pinned.schema, known.rows, known.exact, pinned.detail, rows)
                return found, known.arrow_bytes or 0
        except KallaError as error:
            return type(error), 0


@given(records=st.lists(RECORD, min_size=1, max_size=12), end=ENDS)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_two_threads_find_what_one_does(
    monkeypatch: pytest.MonkeyPatch, records: list[str], end: str
) -> None:
    monkeypatch.setattr(sample, "_WORTH_A_THREAD_BYTES", 0)
    text = end.join(["a,b,c", *records, ""])

    (by_two, size), (by_one, size_of_one) = told(text, 2), told(text, 1)

    assert by_two == by_one
    assert abs(size - size_of_one) <= _BYTES_OF_A_CHUNK * 3


@pytest.mark.parametrize(
    ("rows", "cut"),
    [
        (b"1,a\n2,b\n3,c\n", 8),
        (b"1,a\r\n2,b\r\n3,c\r\n", 10),
        (b"1,a\n2,bbbbbb", None),  # the second half has no other record
        (b'1,a\n2,"b\nb"\n3,c\n', None),  # a line may end within a record
        (b"1,a\n2,b\n\xef\xbb\xbf3,c\n", None),  # a parser would take these for a mark
        (b"1,a\n", None),
        (b"", None),
    ],
)
def test_rows_are_cut_where_a_record_begins(
    monkeypatch: pytest.MonkeyPatch, rows: bytes, cut: int | None
) -> None:
    monkeypatch.setattr(sample, "_WORTH_A_THREAD_BYTES", 0)
    source = FileSource(LocalStore(EVERYTHING), (), {})

    found = sample._middle(rows, sample.Dialect.of(source.format), ord("\n"))

    assert found == cut
