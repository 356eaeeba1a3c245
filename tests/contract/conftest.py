"""Which tests of the contract only the full run takes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.connectors import SourceKind

SAMPLE = (
    "test_the_schema_and_the_rows_are_those_that_were_put_there",
    "test_rows_that_are_picked_are_those_of_the_whole_part",
    "test_what_has_not_changed_is_verified_and_a_change_is_found",
)
"""What those kinds of source are held to in the short run as well."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
            continue
        kind = item.callspec.params.get("kind")
        if isinstance(kind, SourceKind) and kind.sampled and item.originalname not in SAMPLE:
            item.add_marker(pytest.mark.full)
