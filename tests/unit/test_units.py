from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.units import format_bytes, parse_duration, parse_size_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1_048_576),
        ("17B", 17),
        ("1GiB", 2**30),
        ("1.5 gib", 3 * 2**29),
        ("512MB", 512_000_000),
        ("512Mi", 512 * 2**20),
        (" 2 TB ", 2 * 10**12),
        ("0.5kb", 500),
    ],
)
def test_a_size_is_read(text, size):
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "GiB", "1g", "1M", "-1", "1e9", "1,5GiB", "\u0661GiB", "9999999999TiB"]
)
def test_a_size_that_could_mean_two_things_or_none_is_refused(text):
    with pytest.raises(ValueError, match="size"):
        parse_size_bytes(text)


@given(st.integers(0, 2**20))
def test_whole_units_survive_being_shown_and_read(count):
    size = count * 2**20

    shown = format_bytes(size)

    assert abs(parse_size_bytes(shown) - size) <= size * 0.05


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90", timedelta(seconds=90)),
        ("0.25", timedelta(milliseconds=250)),
        ("250ms", timedelta(milliseconds=250)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        (" 2d ", timedelta(days=2)),
    ],
)
def test_a_duration_is_read(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5 minutes", "1h30", "9" * 20 + "d"])
def test_a_duration_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
