"""Tokens: who may come in.

A token is sent as `Authorization: Bearer TOKEN`, as gRPC metadata and Flight header likewise. With
no tokens everybody may, which is for the machine itself only.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass

from kalla_core.errors import InvalidSetting, Unauthenticated
from kalla_core.settings import CoordinatorSettings

_SCHEME = "bearer "
CHALLENGE = 'Bearer realm="kalla"'


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that let a caller in; none of them means that nobody is asked."""

    accepted: tuple[str, ...] = ()

    def check(self, authorization: str | None) -> None:
        """Let a caller pass.

        Args:
            authorization: the header or metadata of that name.

        Raises:
            Unauthenticated: no token, or a wrong one.
        """
        if not self.accepted:
            return
        if authorization is None or not authorization.lower().startswith(_SCHEME):
            raise Unauthenticated(
                "Send a token of this coordinator: `Authorization: Bearer TOKEN`."
            )
        sent = authorization[len(_SCHEME) :].strip().encode(errors="surrogateescape")
        # All are compared, each in constant time: how long it takes tells nothing.
        equal = [hmac.compare_digest(sent, token.encode()) for token in self.accepted]
        if not any(equal):
            raise Unauthenticated("This coordinator does not know the token that was sent.")


def read_tokens(settings: CoordinatorSettings) -> Tokens:
    """Return the tokens of the token file: its lines, but for blank ones and `#` comments.

    Raises:
        InvalidSetting: the file cannot be read or holds none, or there is none and others than
            this machine could come in.
    """
    if settings.token_file is None:
        if not settings.insecure and not _is_loopback(settings.bind_host):
            raise InvalidSetting(
                f"--bind-host {settings.bind_host} lets other machines in, and there is no token "
                "file. Give --token-file, or --insecure if everybody may."
            )
        return Tokens()
    try:
        lines = settings.token_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"The token file {settings.token_file} cannot be read: {error}."
        ) from error
    tokens = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not tokens:
        raise InvalidSetting(f"The token file {settings.token_file} holds no token.")
    return Tokens(tokens)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
