"""Tokens: who may come in.

A token is sent as `Authorization: Bearer TOKEN`, as gRPC metadata and Flight header likewise. With
no tokens everybody may, which is for the machine itself only.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from kalla_core.errors import Unauthenticated

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
