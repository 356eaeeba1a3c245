"""Masking takes time in proportion to a text, whatever a stranger has put into it."""

from __future__ import annotations

import time

import pytest

from kalla_core.observe.secrets import mask_text
from kalla_core.sources.uri import mask
from tests.support.machine import least

MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a@",
        "://",
        "a://a:",
        "a://${env:",
        "?token",
        "?a=",
        "&key=b",
        "password=",
        "a:/b:@/",
        "${env:A}:",
    ],
)
def test_a_megabyte_is_masked_in_some_milliseconds(piece: str) -> None:
    text = (piece * MEGABYTE)[:MEGABYTE]
    uri = f"postgres://{text}"

    took = least(lambda: _seconds(text, uri), 2.0)

    # A pattern that looked at the rest of the text from each place took minutes.
    assert took < 2


def _seconds(text: str, uri: str) -> float:
    began = time.process_time()
    mask_text(text)
    mask(uri)
    return time.process_time() - began
