"""Ends of attempts, as messages and back."""

from __future__ import annotations

import pytest

from kalla_core.fragments.attempt import parse_attempt_id
from kalla_core.fragments.crowd import Crowd
from kalla_core.fragments.outcome import FragmentEnded, JoinDone, Outcome, SettleDone
from kalla_core.fragments.several import Several
from kalla_core.matching.query import Side
from kalla_core.wire.outcomes import ended_message, ended_of

COUNTS = {Side.LEFT: 3, Side.RIGHT: 4}
SEVERAL = {Side.LEFT: Several(2, "7"), Side.RIGHT: Several()}
CROWDS = (Crowd("k = 'N/A'", 30, 40, placeholder=True), Crowd("k = 1", 500, 400, placeholder=False))


@pytest.mark.parametrize(
    "outcome",
    [
        JoinDone((), COUNTS, COUNTS, COUNTS, {"whole": 1}, 5, 6, 7, SEVERAL, CROWDS, 9),
        JoinDone((), COUNTS, COUNTS, COUNTS, groups=0),
        SettleDone((), COUNTS, COUNTS, 5, 6, SEVERAL, CROWDS),
    ],
)
def test_what_joins_counted_comes_back_from_its_message(outcome: Outcome) -> None:
    ended = FragmentEnded(parse_attempt_id("run-1/1/join/0-1"), 1.5, outcome)

    assert ended_of(ended_message(ended)) == ended
