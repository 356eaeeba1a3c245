"""What the coordinator sends: verified, and read into news.

A callback without a valid signature is believed nothing: at most it is a reason to ask.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kalla_app.runs.life import Completed, Failed, News, Progressed
from kalla_core.errors import RequestRefused
from kalla_core.jobs.model import Counts

_SCHEME = "sha256="
Count = Annotated[int | None, Field(ge=0)]


class _Payload(BaseModel):
    model_config = ConfigDict(extra="ignore")

    run_id: Annotated[str, Field(max_length=256)]
    matched_count: Count = None
    matched_left_count: Count = None
    matched_right_count: Count = None
    unmatched_left_count: Count = None
    unmatched_right_count: Count = None
    total_left: Count = None
    total_right: Count = None

    def counts(self) -> Counts:
        return Counts(
            matched=self.matched_count,
            unmatched_left=self.unmatched_left_count,
            unmatched_right=self.unmatched_right_count,
            matched_left=self.matched_left_count,
            matched_right=self.matched_right_count,
            total_left=self.total_left,
            total_right=self.total_right,
        )


class _Progress(_Payload):
    stage: str
    progress: Annotated[float, Field(ge=0, le=1)]


class _Complete(_Payload):
    output_paths: dict[str, str]


class _Error(_Payload):
    error: str
    code: str
    stage: str | None = None


_KINDS: dict[str, type[_Payload]] = {
    "progress": _Progress,
    "complete": _Complete,
    "error": _Error,
}
KINDS = tuple(_KINDS)
"""The last step of a callback's path."""


def is_signed(body: bytes, signature: str | None, secret: bytes) -> bool:
    """Whether a body was signed with the secret; `signature` is the header of that name."""
    expected = _SCHEME + hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), (signature or "").encode("utf-8", "replace"))


def news_of(kind: str, body: bytes, delivery: str | None) -> tuple[str, News]:
    """Return the run that a callback is about, and its news.

    Args:
        kind: one of `KINDS`.
        delivery: the header of that name, `RUN_ID/SEQUENCE`; without one a callback of progress
            is older than all others.

    Raises:
        RequestRefused: it is none.
    """
    try:
        payload = _KINDS[kind].model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise RequestRefused(f"This is no callback of a job: {where}: {first['msg']}.") from None
    match payload:
        case _Progress():
            number = _number(delivery)
            return payload.run_id, Progressed(
                number, payload.stage, payload.progress, payload.counts()
            )
        case _Complete():
            return payload.run_id, Completed(payload.counts(), payload.output_paths)
        case _Error():
            return payload.run_id, Failed(payload.code, payload.error, payload.stage)
    raise AssertionError(kind)


def _number(delivery: str | None) -> int:
    number = (delivery or "").rpartition("/")[2]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else 0
