"""Values of rows are texts, also those that Python has no value for."""

from __future__ import annotations

import pyarrow as pa
import pytest

from kalla_app.evidence.row_texts import texts

NS, LATE = "1970-01-01T00:00:00.000000001", "9999-12-31"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, 0, None], pa.timestamp("ns")), [NS, f"{NS[:-1]}0", None]),
        (
            pa.array([1], pa.timestamp("ns", "America/New_York")),
            ["1969-12-31T19:00:00.000000001-0500"],
        ),
        (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
        (pa.array([2932896, 2932897], pa.int32()).cast(pa.date32()), [LATE, "10000-01-01"]),
        (pa.array([253402300800000], pa.timestamp("ms")), ["10000-01-01T00:00:00.000"]),
        (
            pa.array([1000, 0], pa.timestamp("us")),
            ["1970-01-01T00:00:00.001000", "1970-01-01T00:00:00"],
        ),
    ],
)
def test_a_moment_that_python_does_not_have_is_written_with_all_its_digits(
    column: pa.Array, expected: list[str | None]
) -> None:
    assert [row[0] for row in texts(pa.table({"at": column}))] == expected


@pytest.mark.parametrize(
    "kind", [pa.date32(), pa.timestamp("us"), pa.timestamp("ms", "UTC"), pa.duration("s")]
)
def test_no_number_of_days_or_moments_keeps_a_page_from_being_shown(kind: pa.DataType) -> None:
    bits = 31 if kind == pa.date32() else 62
    whole = pa.array([2**bits - 1, -(2**bits), 0], pa.int32() if bits == 31 else pa.int64())

    found = texts(pa.table({"at": whole.cast(kind)}))

    assert len(found) == 3
    assert None not in [row[0] for row in found]
