"""Tokens: who may come in, and what for.

A token is sent as `Authorization: Bearer TOKEN`, as gRPC metadata and Flight header likewise. With
no tokens everybody may do everything, which is for the machine itself only.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from kalla_coordinator.jobs.caller import ANYBODY, STRANGER, Caller
from kalla_core.errors import NotAllowed
from kalla_core.settings.tokens import Role, Token, tokens_sent

caller: ContextVar[Caller] = ContextVar("caller", default=STRANGER)
"""Who is behind the call that is being answered; set by whoever lets it pass."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that let a caller in; none of them means that nobody is asked."""

    accepted: tuple[Token, ...] = ()

    def check(self, authorization: str | None, role: Role | None = Role.READ) -> Caller:
        """Let a caller pass.

        Args:
            authorization: the header or metadata of that name.
            role: what it wants to do; None for what every token may.

        Raises:
            Unauthenticated: no token, or a wrong one.
            NotAllowed: a token that is not good for this.
        """
        if not self.accepted:
            return ANYBODY
        found = tokens_sent(self.accepted, authorization)
        if role is not None and not any(token.may(role) for token in found):
            raise NotAllowed(
                f"The token that was sent is not good for this; it needs the role {role.value}.",
                role=role.value,
            )
        return Caller(found[0].name, any(token.may(Role.ADMIN) for token in found))
