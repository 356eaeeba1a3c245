"""One message that is owed, as it is kept."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from kalla_core.ids import RunId


@dataclass(frozen=True, slots=True)
class Delivery:
    """A body for an address.

    Attributes:
        sequence: within the run; with the run id it names the delivery on every try.
        url: of the payload's kind, `{callback_url}/complete`.
        body: JSON text.
        trace: that it is part of; empty for none, and after a restart.
    """

    run_id: RunId
    sequence: int
    url: str
    body: str
    owed_since: datetime
    failures: int = 0
    trace: str = ""

    @property
    def receiver(self) -> tuple[str, str]:
        """Who gets it: scheme and network address, user names left out."""
        parts = urlsplit(self.url)
        return parts.scheme, parts.netloc.rpartition("@")[2].lower()

    def headers(self, secret: bytes | None) -> dict[str, str]:
        """Return the headers, signed if there is a secret."""
        headers = {
            "Content-Type": "application/json",
            "X-Kalla-Delivery": f"{self.run_id}/{self.sequence}",
        }
        if secret is not None:
            digest = hmac.new(secret, self.body.encode(), hashlib.sha256).hexdigest()
            headers["X-Kalla-Signature"] = f"sha256={digest}"
        return headers


def address(callback_url: str, kind: str) -> str:
    """Return where a payload of a kind goes; a query of the address is kept."""
    parts = urlsplit(callback_url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{kind}", fragment="").geturl()
