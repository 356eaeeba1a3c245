"""A line that comes again and again is said a few times in a while, and then with a count."""

from kalla_core.observe.repeats import Repeats


def test_what_is_said_too_often_is_held_back_and_counted_in_the_next_period() -> None:
    repeats = Repeats(burst=2, period_s=10)

    early = [repeats.held_back("no files", 0.1 * i) for i in range(5)]
    other = repeats.held_back("another", 0.5)
    later = repeats.held_back("no files", 10.0)

    assert early == [0, 0, None, None, None]
    assert other == 0
    assert later == 3
