"""The bodies of requests as they arrive."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
from fastapi import Request

from kalla_core.errors import RequestRefused
from kalla_core.serving.bodies import body_of


async def test_a_body_that_its_sender_cuts_off_is_the_senders_fault() -> None:
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)

    with pytest.raises(RequestRefused, match="cut off"):
        await body_of(request)
