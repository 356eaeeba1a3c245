"""People, their roles, and what each request needs. Pure.

| role       | may                                                        |
|------------|------------------------------------------------------------|
| `viewer`   | see everything but the audit trail                         |
| `operator` | also change sources, recipes and exceptions, start runs    |
| `admin`    | also remove sources and recipes, set policies, read the    |
|            | audit trail                                                |
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from kalla_core.errors import InvalidSetting


class Role(IntEnum):
    """What somebody may do; a greater one may do all that a lesser one may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """As token files and answers have it."""
        return self.name.lower()


_ROLES = {role.word: role for role in Role}


@dataclass(frozen=True, slots=True)
class Person:
    """Who does something; the name is what the audit trail and owners show."""

    name: str
    role: Role


SOMEBODY = Person("local", Role.ADMIN)
"""Whoever comes where nobody is asked."""


@dataclass(frozen=True, slots=True)
class Known:
    """A person and the token that lets them in."""

    person: Person
    token: str = field(repr=False)


def parse_people(text: str, where: str) -> tuple[Known, ...]:
    """Return the people of a token file, `ROLE NAME TOKEN` a line; `#` begins a comment.

    Args:
        text: of the file.
        where: what messages call it. They never quote a line, which holds a secret.

    Raises:
        InvalidSetting: a line that is none, or no line.
    """
    known = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 3 or words[0] not in _ROLES:
            roles = ", ".join(_ROLES)
            raise InvalidSetting(
                f"Line {number} of {where} is no `ROLE NAME TOKEN`; roles are {roles}."
            )
        known.append(Known(Person(words[1], _ROLES[words[0]]), words[2]))
    if not known:
        raise InvalidSetting(f"{where} holds no token.")
    return tuple(known)


def person_of(people: Sequence[Known], token: str) -> Person | None:
    """Return whose token it is; how long that takes tells nothing."""
    sent = token.encode(errors="surrogateescape")
    same = [hmac.compare_digest(sent, one.token.encode()) for one in people]
    found = [one.person for one, equal in zip(people, same, strict=True) if equal]
    return max(found, key=lambda one: one.role, default=None)


def digest(secret: str) -> str:
    """Return what stands for a secret in a table."""
    return hashlib.sha256(b"kalla app " + secret.encode(errors="surrogateescape")).hexdigest()


_FOR_ALL = frozenset({"/health", "/ready", "/favicon.ico"})
_OPEN_BELOW = ("/static/",)
CALLBACKS = "/api/worker/"
"""What the coordinator calls; a signature lets it in, not a token."""

_SIGNED = re.compile(r"/api/uploads/[0-9a-f]+/content")
"""What is let in by the signature in its address."""

_ADMIN_BELOW = ("/api/audit", "/audit")
_READING = ("GET", "HEAD", "OPTIONS")


def is_signed(path: str) -> bool:
    """Whether requests to a path bring a signature, which lets them in instead of a token."""
    return path.startswith(CALLBACKS) or _SIGNED.fullmatch(path) is not None


def is_for_all(path: str) -> bool:
    """Whether a path answers everybody the same, so that nobody has to be known."""
    return path in _FOR_ALL or path.startswith(_OPEN_BELOW)


def needed(method: str, path: str) -> Role | None:
    """Return the role that a request needs; None where nobody is asked."""
    if path == "/login" or is_for_all(path) or is_signed(path):
        return None
    if path.startswith(_ADMIN_BELOW) or method == "DELETE" or path.endswith("/remove"):
        return Role.ADMIN
    if method in _READING or path == "/logout":
        return Role.VIEWER
    if path.endswith("/policy"):
        return Role.ADMIN  # whoever needs a second person does not lift that
    return Role.OPERATOR
