"""The tokens of a service: who may come in, and what for.

A line of a token file is `ROLE[,ROLE] TOKEN`, or a bare token, which may submit and read.

| role       | may                                                                        |
|------------|----------------------------------------------------------------------------|
| `read`     | see jobs, their evidence, executors and metrics                            |
| `submit`   | submit and cancel jobs; validate, explain and preview                      |
| `admin`    | all of that                                                                |
| `executor` | register as an executor and be given fragments; nothing else               |
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kalla_core.errors import InvalidSetting, Unauthenticated
from kalla_core.settings.declare import Listening, Serving

CHALLENGE = 'Bearer realm="kalla"'
"""What `WWW-Authenticate` says to whoever sent no token."""

_SCHEME = "bearer "


class Role(StrEnum):
    """What a token is good for."""

    ADMIN = "admin"
    SUBMIT = "submit"
    READ = "read"
    EXECUTOR = "executor"


BARE = frozenset({Role.SUBMIT, Role.READ})
"""The roles of a token whose line names none."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and what it is good for."""

    text: str = field(repr=False)
    roles: frozenset[Role] = BARE

    @property
    def name(self) -> str:
        """What stands for it where it must not be shown, the same after every start."""
        return hashlib.sha256(b"kalla token " + self.text.encode()).hexdigest()[:16]

    def may(self, role: Role) -> bool:
        """Whether it is good for something; an admin's is for all but the work of executors."""
        return role in self.roles or (Role.ADMIN in self.roles and role is not Role.EXECUTOR)


def read_tokens(settings: Listening) -> tuple[Token, ...]:
    """Return the tokens of the token file; blank lines and `#` comments are left out.

    Empty without a token file: nobody is asked, which is for the machine itself only.

    Raises:
        InvalidSetting: the file cannot be read, holds none or a line that is none, or there is
            none and others than this machine could come in.
    """
    if settings.token_file is None:
        if not settings.insecure and not is_loopback(settings.bind_host):
            raise InvalidSetting(
                f"--bind-host {settings.bind_host} lets other machines in, and there is no token "
                "file. Give --token-file, or --insecure if everybody may."
            )
        return ()
    try:
        lines = settings.token_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"The token file {settings.token_file} cannot be read: {error}."
        ) from error
    tokens = tuple(
        _token(line.split(), f"Line {number} of the token file {settings.token_file}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.strip().startswith("#")
    )
    if not tokens:
        raise InvalidSetting(f"The token file {settings.token_file} holds no token.")
    return tokens


def tokens_sent(accepted: Sequence[Token], authorization: str | None) -> tuple[Token, ...]:
    """Return those of the tokens that a caller sent: one, or as many lines as repeat it.

    Args:
        authorization: the header or metadata of that name, `Bearer TOKEN`.

    Raises:
        Unauthenticated: no token was sent, or a wrong one.
    """
    if authorization is None or not authorization.lower().startswith(_SCHEME):
        raise Unauthenticated("Send a token of this service: `Authorization: Bearer TOKEN`.")
    sent = authorization[len(_SCHEME) :].strip().encode(errors="surrogateescape")
    # All are compared, each in constant time: how long it takes tells nothing.
    equal = [hmac.compare_digest(sent, token.text.encode()) for token in accepted]
    found = tuple(token for token, same in zip(accepted, equal, strict=True) if same)
    if not found:
        raise Unauthenticated("This service does not know the token that was sent.")
    return found


def executor_token(settings: Serving) -> str | None:
    """Return the token that an executor registers with; None without a token file.

    Raises:
        InvalidSetting: as `read_tokens`, or the file holds none for executors.
    """
    tokens = read_tokens(settings)
    for token in tokens:
        if token.may(Role.EXECUTOR):
            return token.text
    if tokens:
        raise InvalidSetting(
            f"The token file {settings.token_file} holds no token for executors: a line "
            "`executor TOKEN`, which the coordinator's file has too."
        )
    return None


def _token(words: list[str], where: str) -> Token:
    # What is said of a line never quotes it: it holds a secret.
    known = ", ".join(Role)
    if len(words) == 1:
        if set(words[0].split(",")) <= set(Role):
            raise InvalidSetting(f"{where} has a role and no token behind it.")
        return Token(words[0])
    roles = words[0].split(",")
    if len(words) > 2 or not set(roles) <= set(Role):
        raise InvalidSetting(
            f"{where} is neither a token nor `ROLE[,ROLE] TOKEN`; roles are {known}."
        )
    return Token(words[1], frozenset(map(Role, roles)))


def sends_tokens_openly(settings: Listening) -> bool:
    """Whether tokens come from other machines, and without TLS."""
    secret = settings.token_file is not None and settings.tls_cert_file is None
    return secret and not is_loopback(settings.bind_host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
