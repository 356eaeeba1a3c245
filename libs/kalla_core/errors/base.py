"""What all errors have in common, and whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

_LONGEST_MESSAGE = 1 << 19


def shortened(text: str, most: int) -> str:
    """Return `text`, or its beginning and how long it is in all."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


class KallaError(Exception):
    """Base of all; `str()` is one readable sentence or paragraph without secrets."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: object) -> None:
        message = shortened(message, _LONGEST_MESSAGE)
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details


class UserError(KallaError):
    """The request or the data is wrong; the same again fails again."""


class SystemFailure(KallaError):
    """Kalla, the machine or a source failed; the request may be fine."""
