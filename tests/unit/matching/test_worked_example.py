"""The example that the package tells itself by."""

from __future__ import annotations

import doctest

from kalla_core import matching


def test_the_example_of_the_package_is_what_happens() -> None:
    told = doctest.testmod(matching, raise_on_error=True)

    assert told.attempted > 15
    assert told.failed == 0
