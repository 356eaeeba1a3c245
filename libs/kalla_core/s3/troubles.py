"""What can go wrong with S3. Pure; `answers` tells it from what the client library raises."""

from __future__ import annotations

from enum import Enum


class Trouble(Enum):
    """What kind of failure it is."""

    NO_BUCKET = "no bucket"
    NO_KEY = "no key"
    DENIED = "denied"
    CREDENTIALS = "credentials"
    CHANGED = "changed"
    CONFLICT = "conflict"
    BUSY = "busy"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"


class S3Error(Exception):
    """A request that failed for good.

    Attributes:
        trouble: its kind; `BUSY` may be different later.
        sentence: what is wrong, as a predicate of what was asked for: `does not exist.`
        unexplained: the answer had no body, so that another request would tell more.
    """

    def __init__(self, trouble: Trouble, sentence: str, unexplained: bool = False) -> None:
        super().__init__(sentence)
        self.trouble = trouble
        self.sentence = sentence
        self.unexplained = unexplained
