"""What lets somebody put one file, for a while: a signature over its name and its end. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

_UNSAFE = re.compile(r"[^\w.() -]+")
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Ticket:
    """Lets somebody put the file of an upload.

    Attributes:
        expires: in whole seconds since 1970.
    """

    upload_id: str
    expires: int
    signature: str

    @property
    def query(self) -> str:
        """As it stands in an address."""
        return f"expires={self.expires}&signature={self.signature}"


def ticket(upload_id: str, expires: int, key: bytes) -> Ticket:
    """Return a ticket, signed with a key."""
    text = f"kalla upload {upload_id} {expires}".encode()
    return Ticket(upload_id, expires, hmac.new(key, text, hashlib.sha256).hexdigest())


def is_good(shown: Ticket, now: float, key: bytes) -> bool:
    """Whether a ticket is ours and has not expired."""
    ours = ticket(shown.upload_id, shown.expires, key)
    same = hmac.compare_digest(ours.signature.encode(), shown.signature.encode())
    return same and now < shown.expires


def safe_name(filename: str) -> str:
    """Return a name for a file that leads nowhere else and keeps its endings."""
    last = re.split(r"[/\\]", filename)[-1]
    name = _UNSAFE.sub("_", last).strip(" .")
    return name[-_LONGEST_NAME:].lstrip(" .") or "file"
